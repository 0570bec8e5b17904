"""Infers a schema from statistics."""

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from kfp_ct.base.errors import DataError
from kfp_ct.data import layouts


def infer(statistics_path: str) -> schema_pb2.Schema:
    """Infers types, presence, shapes and small vocabularies (100 values at most) from the train split.

    Raises:
        DataError: There are no statistics of the train split, or they are of no feature.
    """
    path = layouts.split_path(statistics_path, layouts.TRAIN) / "FeatureStats.pb"
    if not path.is_file():
        raise DataError(
            f"no statistics of the split {layouts.TRAIN!r} at {statistics_path}\n"
            "expected: FeatureStats.pb written by statistics\n"
            "fix: name a split train, or give a curated schema with `schema_file`"
        )
    statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes())
    schema = tfdv.infer_schema(statistics)
    if not schema.feature:
        raise DataError(f"the statistics at {path} have no feature to infer a schema from")
    _declare_lists(schema, statistics)
    return schema


def _declare_lists(schema: schema_pb2.Schema, statistics: statistics_pb2.DatasetFeatureStatisticsList) -> None:
    """Says of features with several values in a row that lists have any length: TFDV says nothing if one is empty."""
    longest = {
        ".".join(each.path.step) or each.name: getattr(each, each.WhichOneof("stats")).common_stats.max_num_values
        for each in statistics.datasets[0].features
    }
    for feature in schema.feature:
        if longest.get(feature.name, 0) > 1 and not feature.HasField("shape") and not feature.HasField("value_count"):
            feature.value_count.min = 0
