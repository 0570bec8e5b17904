"""How far two datasets' distributions are apart, feature by feature, as TFDV measures it from their statistics.

Strings and categorical integers by the L-infinity distance (the largest change of any value's share), numbers by the
Jensen-Shannon divergence (base 2, of histograms): both are 0 for equal distributions and 1 for disjoint ones.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from kfp_ct.base.errors import ConfigurationError, DataError

Comparator = Literal["drift", "skew"]

# Measures by the name of the field in TensorFlow Metadata's FeatureComparator.
L_INFINITY, JENSEN_SHANNON = "infinity_norm", "jensen_shannon_divergence"
_UNUSED_STAGES = (
    schema_pb2.PLANNED, schema_pb2.ALPHA, schema_pb2.DEPRECATED, schema_pb2.DEBUG_ONLY, schema_pb2.DISABLED,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Distance:
    """How far one feature is from its baseline, from 0 to 1, and how far it may be."""

    feature: str
    measure: str  # `L_INFINITY` or `JENSEN_SHANNON`
    value: float
    threshold: float

    @property
    def exceeded(self) -> bool:
        """Whether the distance is larger than it may be."""
        return self.value > self.threshold


def check_comparators(schema: schema_pb2.Schema) -> None:
    """Refuses comparators that TFDV would silently not apply (tensorflow/data-validation#147).

    Raises:
        ConfigurationError: It names the feature, its type, and the comparator that fits.
    """
    for feature in schema.feature:
        for kind in ("drift_comparator", "skew_comparator"):
            if feature.HasField(kind):
                _check(feature, kind, getattr(feature, kind))


def distances(
    schema: schema_pb2.Schema,
    current: statistics_pb2.DatasetFeatureStatisticsList,
    baseline: statistics_pb2.DatasetFeatureStatisticsList,
    comparator: Comparator,
    default_thresholds: Mapping[str, float],
) -> list[Distance]:
    """Measures the features that have a threshold and one type in both datasets; `not_compared` names the others.

    A feature with values on one side only has the distance 1, without any on both sides 0. Only finite numbers count.

    Args:
        schema: Its features' `drift_comparator` or `skew_comparator` give measures and thresholds.
        current: Statistics of the data in question, one dataset.
        baseline: Statistics of what it is compared with, one dataset.
        comparator: Which of the schema's comparators counts: "drift" or "skew".
        default_thresholds: Thresholds by measure (`L_INFINITY`, `JENSEN_SHANNON`) of features without that
            comparator; empty compares none of them.

    Returns:
        The distances in the schema's order.

    Raises:
        ConfigurationError: A comparator or a default does not fit.
        DataError: There are no rows to compare.
    """
    check_comparators(schema)
    _check_thresholds(default_thresholds)
    now, before = _features(current, "current"), _features(baseline, "baseline")
    wanted = _thresholds(schema, now, before, comparator, default_thresholds)
    present = {name: (_is_present(now[name]), _is_present(before[name])) for name in wanted}
    measured = _measure(now, before, {name: wanted[name] for name in wanted if all(present[name])})
    return [
        Distance(name, measure, measured[name] if all(present[name]) else float(any(present[name])), threshold)
        for name, (measure, threshold) in wanted.items()
    ]


def not_compared(
    schema: schema_pb2.Schema,
    current: statistics_pb2.DatasetFeatureStatisticsList,
    baseline: statistics_pb2.DatasetFeatureStatisticsList,
    comparator: Comparator,
) -> list[str]:
    """Returns the features whose comparator was not applied: a dataset lacks the column, or has it as another type."""
    now, before = _features(current, "current"), _features(baseline, "baseline")
    asked = [feature.name for feature in _in_use(schema) if feature.HasField(f"{comparator}_comparator")]
    return [name for name in asked if not _comparable(name, now, before)]


def _check(feature: schema_pb2.Feature, kind: str, comparator: schema_pb2.FeatureComparator) -> None:
    named = [field.name for field, _ in comparator.ListFields()]
    fitting = _fitting(feature)
    place = f"{kind} of the feature {feature.name!r} in the schema"
    fix = f"fix: `{kind} {{ {fitting[0]} {{ threshold: 0.1 }} }}`"
    if len(named) != 1 or named[0] not in fitting:
        kind_of = schema_pb2.FeatureType.Name(feature.type)
        raise ConfigurationError(
            f"the {place} does not fit its type {kind_of}: {' and '.join(named) or 'it names no measure'}\n"
            f"expected: {' or '.join(fitting)}, and no other\n{fix}"
        )
    threshold = getattr(comparator, named[0]).threshold
    if not 0 <= threshold <= 1:  # NaN is neither
        raise ConfigurationError(f"the {place} has the threshold {threshold}\nexpected: from 0 to 1\n{fix}")


def _fitting(feature: schema_pb2.Feature) -> tuple[str, ...]:
    if feature.type not in (schema_pb2.INT, schema_pb2.FLOAT):
        return (L_INFINITY,)
    if feature.WhichOneof("domain_info") == "int_domain" and feature.int_domain.is_categorical:
        # Statistics made without the schema describe it as a number.
        return (L_INFINITY, JENSEN_SHANNON)
    return (JENSEN_SHANNON,)


def _check_thresholds(default_thresholds: Mapping[str, float]) -> None:
    for measure, threshold in default_thresholds.items():
        if measure not in (L_INFINITY, JENSEN_SHANNON):
            raise ConfigurationError(
                f"unknown measure {measure!r} among the default thresholds\n"
                f"expected: {L_INFINITY} (categorical) or {JENSEN_SHANNON} (numeric)"
            )
        if not 0 <= threshold <= 1:
            raise ConfigurationError(f"the default threshold of {measure} is {threshold}\nexpected: from 0 to 1")


def _features(statistics: statistics_pb2.DatasetFeatureStatisticsList, which: str) -> dict[str, Any]:
    if len(statistics.datasets) != 1:
        raise DataError(f"the {which} statistics hold {len(statistics.datasets)} datasets\nexpected: one")
    if not statistics.datasets[0].num_examples:
        raise DataError(f"the {which} statistics are of no rows: there is nothing to compare\nexpected: at least one")
    return {".".join(feature.path.step) or feature.name: feature for feature in statistics.datasets[0].features}


def _thresholds(
    schema: schema_pb2.Schema,
    now: Mapping[str, Any],
    before: Mapping[str, Any],
    comparator: Comparator,
    default_thresholds: Mapping[str, float],
) -> dict[str, tuple[str, float]]:
    """Returns the measure and the threshold of every feature to compare."""
    wanted = {}
    for feature in _in_use(schema):
        if not _comparable(feature.name, now, before):
            continue
        chosen = _chosen(feature, comparator)
        if chosen is None:
            measure = JENSEN_SHANNON if _is_numeric(now[feature.name]) else L_INFINITY
            if measure not in default_thresholds:
                continue
            chosen = measure, float(default_thresholds[measure])
        _check_statistics(feature.name, chosen[0], now[feature.name])
        wanted[feature.name] = chosen
    return wanted


def _chosen(feature: schema_pb2.Feature, comparator: Comparator) -> tuple[str, float] | None:
    if not feature.HasField(f"{comparator}_comparator"):
        return None
    (field, value), *_ = getattr(feature, f"{comparator}_comparator").ListFields()
    return field.name, value.threshold


def _comparable(name: str, now: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether a column is on both sides, as a number or a string on both."""
    if name not in now or name not in before:
        return False
    return len({_is_numeric(side[name]) for side in (now, before) if _is_present(side[name])}) < 2


def _check_statistics(name: str, measure: str, feature: Any) -> None:
    """Refuses what TFDV would measure as 0 or not at all: the L-infinity distance of numbers."""
    if _is_present(feature) and _is_numeric(feature) != (measure == JENSEN_SHANNON):
        found, fits = ("numbers", JENSEN_SHANNON) if _is_numeric(feature) else ("strings", L_INFINITY)
        raise ConfigurationError(
            f"the statistics describe the feature {name!r} as {found}, which {measure} does not compare\n"
            f"expected: {fits}\nfix: name {fits} in the schema, or cast the column in the query"
        )


def _measure(
    now: Mapping[str, Any], before: Mapping[str, Any], wanted: Mapping[str, tuple[str, float]]
) -> dict[str, float]:
    """Returns what TFDV measures, by feature."""
    asked = schema_pb2.Schema()
    for name, (measure, threshold) in wanted.items():
        kind = schema_pb2.FLOAT if measure == JENSEN_SHANNON else schema_pb2.BYTES
        getattr(asked.feature.add(name=name, type=kind).drift_comparator, measure).threshold = threshold
    result = tfdv.validate_statistics(_finite(now, wanted), asked, previous_statistics=_finite(before, wanted))
    return {
        # Rounding may leave what is equal a little below 0, and what is disjoint a little above 1.
        ".".join(info.path.step): min(1.0, max(0.0, each.value))
        for info in result.drift_skew_info
        for each in info.drift_measurements
    }


def _finite(features: Mapping[str, Any], names: Iterable[str]) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns statistics of some features without NaN and infinity, in which TFDV lets nothing equal itself."""
    kept = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = kept.datasets.add(num_examples=1)
    for name in names:
        feature = dataset.features.add()
        feature.CopyFrom(features[name])
        for histogram in feature.num_stats.histograms if _is_numeric(feature) else ():
            buckets = [bucket for bucket in histogram.buckets if _is_finite(bucket)]
            histogram.num_nan = 0
            del histogram.buckets[:]
            histogram.buckets.extend(buckets)
    return kept


def _is_present(feature: Any) -> bool:
    if not _is_numeric(feature):
        return feature.string_stats.common_stats.num_non_missing > 0
    # What TFDV compares; a range too large for a double has none, nor has a column of nothing but NaN.
    histograms = [each for each in feature.num_stats.histograms if each.type == statistics_pb2.Histogram.STANDARD]
    return any(bucket.sample_count > 0 and _is_finite(bucket) for each in histograms for bucket in each.buckets)


def _is_finite(bucket: Any) -> bool:
    return math.isfinite(bucket.low_value) and math.isfinite(bucket.high_value)


def _is_numeric(feature: Any) -> bool:
    return feature.WhichOneof("stats") == "num_stats"


def _in_use(schema: schema_pb2.Schema) -> list[schema_pb2.Feature]:
    """Returns the features that TFDV validates, the others being nobody's yet or any more."""
    return [feature for feature in schema.feature if feature.lifecycle_stage not in _UNUSED_STAGES]
