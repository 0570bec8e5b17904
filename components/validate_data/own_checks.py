"""What TFDV lets pass and no training survives: a column without a value, infinite values, a label of one class."""

import math
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from kfp_ct.components.validate_data.anomaly import INFINITE, Anomaly, common, feature_name
from kfp_ct.data import feature_statistics
from kfp_ct.pages.formats import quoted

_NOTHING = statistics_pb2.FeatureNameStatistics()
# Stages whose features TFDV does not validate, because nothing relies on them.
_UNUSED_STAGES = (
    schema_pb2.PLANNED, schema_pb2.ALPHA, schema_pb2.DEPRECATED, schema_pb2.DEBUG_ONLY, schema_pb2.DISABLED,
)  # fmt: skip


def empty_columns(
    dataset: statistics_pb2.DatasetFeatureStatistics, schema: schema_pb2.Schema, environment: str
) -> list[Anomaly]:
    """Finds columns of the schema that are there but have no value, whether or not the schema allows missing ones.

    A feature whose presence says `min_count: 0` may be empty.
    """
    statistics = {feature_name(feature): feature for feature in dataset.features}
    wanted = [
        feature.name
        for feature in schema.feature
        if _in_use(feature, schema, environment) and not _may_be_empty(feature.presence)
    ]
    empty = [name for name in wanted if name in statistics and not common(statistics[name]).num_non_missing]
    rows = int(dataset.num_examples)
    return [Anomaly(dataset.name, name, "NO_VALUES", "column without any value", rows, 1.0) for name in sorted(empty)]


def infinite_values(
    dataset: statistics_pb2.DatasetFeatureStatistics, schema: schema_pb2.Schema, environment: str
) -> list[Anomaly]:
    """Finds infinite values, unless the schema's float_domain has an infinite bound on their side.

    One of them makes the mean and the variance of its column NaN, and so every z-score.
    """
    statistics = {feature_name(feature): feature for feature in dataset.features}
    wanted = [feature for feature in schema.feature if _in_use(feature, schema, environment)]
    found = []
    for feature in sorted(wanted, key=lambda each: each.name):
        low, high = feature_statistics.infinite_values(statistics.get(feature.name, _NOTHING))
        low, high = (
            0 if -math.inf == feature.float_domain.min else low,
            0 if math.inf == feature.float_domain.max else high,
        )
        if low or high:
            fraction = (low + high) / dataset.num_examples
            found.append(
                Anomaly(
                    dataset.name,
                    feature.name,
                    INFINITE,
                    "infinite values",
                    low + high,
                    fraction,
                    "-inf" if low else "inf",
                )
            )
    return found


def label(
    dataset: statistics_pb2.DatasetFeatureStatistics, schema: schema_pb2.Schema, expected: tuple[str, str]
) -> list[Anomaly]:
    """Finds a label that is absent or always the same, unless the environment (expected[1]) has no label."""
    name, environment = expected
    known = next((feature for feature in schema.feature if feature.name == name), None)
    if not name or (known is not None and not _expected_in(known, schema, environment)):
        return []
    feature = next((feature for feature in dataset.features if feature_name(feature) == name), None)
    if feature is None or not common(feature).num_non_missing:
        return [Anomaly(dataset.name, name, "LABEL_MISSING", "the label is missing")]
    only = _only_value(feature)
    if only is None:
        return []
    rows = int(common(feature).num_non_missing)
    return [
        Anomaly(
            dataset.name,
            name,
            "LABEL_CONSTANT",
            "the label has one value only: nothing to learn",
            rows,
            rows / dataset.num_examples,
            only,
        )
    ]


def _only_value(feature: Any) -> str | None:
    """Returns the value of a feature that has no other, else None."""
    if feature.WhichOneof("stats") == "string_stats":
        stats = feature.string_stats
        return None if stats.unique > 1 else quoted(next((top.value for top in stats.top_values), ""))
    stats = feature.num_stats
    return f"{stats.min:g}" if stats.min >= stats.max else None


def _may_be_empty(presence: Any) -> bool:
    return presence.HasField("min_count") and not presence.min_count and not presence.min_fraction


def _in_use(feature: Any, schema: schema_pb2.Schema, environment: str) -> bool:
    return feature.lifecycle_stage not in _UNUSED_STAGES and _expected_in(feature, schema, environment)


def _expected_in(feature: Any, schema: schema_pb2.Schema, environment: str) -> bool:
    """Whether the schema expects a feature in an environment, by TensorFlow Metadata's rules."""
    if environment in feature.not_in_environment:
        return False
    return (
        environment in feature.in_environment
        or environment in schema.default_environment
        or not schema.default_environment
    )
