"""Infers a schema from statistics."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from kfp_ct.base.errors import DataError
from kfp_ct.data import layouts

# Texts longer than this on average, or most of which are there once, are no vocabulary.
_LONG, _MOSTLY_DISTINCT = 40, 0.5
# So few values say little of what they are.
_FEW = 10


def infer(statistics_path: str) -> schema_pb2.Schema:
    """Infers types, presence, shapes and small vocabularies (100 values at most) from the statistics of all splits.

    As TFX's SchemaGen does: from the train split, widened by the others. What is free text has no vocabulary.

    Raises:
        DataError: There are no statistics of the train split, or they are of no feature.
    """
    path = layouts.split_path(statistics_path, layouts.TRAIN) / layouts.STATISTICS_FILE
    if not path.is_file():
        raise DataError(
            f"no statistics of the split {layouts.TRAIN!r} at {statistics_path}\n"
            "expected: FeatureStats.pb written by statistics\n"
            "fix: name a split train, or give a curated schema with `schema_file`"
        )
    others = sorted(each for each in Path(statistics_path).glob(f"Split-*/{layouts.STATISTICS_FILE}") if each != path)
    splits = [statistics_pb2.DatasetFeatureStatisticsList.FromString(each.read_bytes()) for each in (path, *others)]
    schema = tfdv.infer_schema(splits[0])
    if not schema.feature:
        raise DataError(f"the statistics at {path} have no feature to infer a schema from")
    for statistics in splits[1:]:
        schema = tfdv.update_schema(schema, statistics)
    _open_free_text(schema, splits)
    _declare_lists(schema, splits)
    _declare_shapes(schema, statistics_path)
    return schema


def _declare_shapes(schema: schema_pb2.Schema, statistics_path: str) -> None:
    """Gives features that were lists of lists their shape, of which statistics see the values only."""
    summary = Path(statistics_path) / layouts.SUMMARY
    shapes = layouts.read_json(summary).get("shapes", {}) if summary.is_file() else {}
    for feature in schema.feature:
        if feature.name in shapes:
            del feature.shape.dim[:]  # which clears value_count, the other form of the same
            feature.shape.dim.extend(schema_pb2.FixedShape.Dim(size=size) for size in shapes[feature.name])


def _open_free_text(schema: schema_pb2.Schema, splits: Sequence[statistics_pb2.DatasetFeatureStatisticsList]) -> None:
    """Takes the vocabulary from features whose values are mostly distinct or long: the next row has another one."""
    free = {
        _name(each)
        for statistics in splits
        for each in statistics.datasets[0].features
        if each.WhichOneof("stats") == "string_stats" and _is_free(each.string_stats)
    }
    closed = [feature for feature in schema.feature if feature.name in free and feature.HasField("domain")]
    for feature in closed:
        feature.ClearField("domain")
    used = {feature.domain for feature in schema.feature}
    kept = [domain for domain in schema.string_domain if domain.name in used]
    del schema.string_domain[:]
    schema.string_domain.extend(kept)


def _is_free(stats: Any) -> bool:
    distinct = stats.unique > max(_FEW, _MOSTLY_DISTINCT * stats.common_stats.tot_num_values)
    return distinct or stats.avg_length > _LONG


def _name(feature: Any) -> str:
    return ".".join(feature.path.step) or feature.name


def _declare_lists(schema: schema_pb2.Schema, splits: Sequence[statistics_pb2.DatasetFeatureStatisticsList]) -> None:
    """Says of features with several values in a row that lists have any length: TFDV says nothing if one is empty."""
    longest: dict[str, int] = {}
    for each in (feature for statistics in splits for feature in statistics.datasets[0].features):
        values = getattr(each, each.WhichOneof("stats")).common_stats.max_num_values
        longest[_name(each)] = max(values, longest.get(_name(each), 0))
    for feature in schema.feature:
        if longest.get(feature.name, 0) > 1 and not feature.HasField("shape") and not feature.HasField("value_count"):
            feature.value_count.min = 0
