"""Infers a schema from statistics."""

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from kfp_ct.base.errors import DataError
from kfp_ct.data import layouts


def infer(statistics_path: str) -> schema_pb2.Schema:
    """Infers types, presence and small vocabularies (100 values at most) from the train split.

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
    schema = tfdv.infer_schema(statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes()))
    if not schema.feature:
        raise DataError(f"the statistics at {path} have no feature to infer a schema from")
    return schema
