"""One anomaly: what TFDV says, in words a person can act on, with how many rows and an example."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from kfp_ct.data import feature_statistics
from kfp_ct.pages.formats import quoted

MISSING_KINDS = ("SCHEMA_MISSING_COLUMN", "FEATURE_TYPE_NOT_PRESENT")
INFINITE = "INFINITE_VALUES"
# What TFDV says of infinite values where the schema bounds them.
_BOUNDED = ("FLOAT_TYPE_BIG_FLOAT", "FLOAT_TYPE_SMALL_FLOAT", "FLOAT_TYPE_HAS_INF")
# TFDV says the same twice: a missing value also spoils a fixed shape.
_REPEATS = {"INVALID_FEATURE_SHAPE": ("FEATURE_TYPE_LOW_FRACTION_PRESENT", *MISSING_KINDS)}
# Differences between distributions are a reason to retrain, not to stop.
_NOT_STOPPING = ("COMPARATOR_",)


@dataclasses.dataclass(frozen=True)
class Anomaly:
    """What is wrong with one feature of one split; `feature` is empty where it is the split as a whole."""

    split: str
    feature: str
    kind: str  # the name of TFDV's reason, or one of this component's own
    what: str
    how_many: int | None = None  # rows
    fraction: float | None = None  # of the split's rows
    example: str = ""
    severity: str = "stop"  # or "warn": it is said, and the run goes on

    @property
    def stops(self) -> bool:
        """Whether it ends the run."""
        return self.severity == "stop"


@dataclasses.dataclass(frozen=True)
class _Case:
    """A reason of TFDV with what is known about its feature."""

    reason: Any
    feature: Any  # statistics; empty if the column is missing
    expected: Any  # the schema's feature; empty if it has none
    vocabulary: frozenset[str]

    @property
    def text(self) -> Any:
        return self.feature.string_stats

    @property
    def numbers(self) -> Any:
        return self.feature.num_stats

    @property
    def bounds(self) -> Any:
        is_float = self.expected.WhichOneof("domain_info") == "float_domain"
        return self.expected.float_domain if is_float else self.expected.int_domain


@dataclasses.dataclass(frozen=True)
class _Explanation:
    what: str
    how_many: int | None = None
    example: str = ""


def feature_name(feature: Any) -> str:
    """Returns the name of a feature's statistics."""
    return ".".join(feature.path.step) or feature.name


def common(feature: Any) -> Any:
    """Returns what statistics of numbers and of strings have in common: present and missing values."""
    return getattr(feature, feature.WhichOneof("stats") or "num_stats").common_stats


def domain_values(feature: Any, schema: schema_pb2.Schema) -> frozenset[str]:
    """Returns the values of a feature's closed domain; empty if any value may come."""
    if feature.WhichOneof("domain_info") == "string_domain":
        return frozenset(feature.string_domain.value)
    return frozenset(
        value for domain in schema.string_domain if domain.name == feature.domain for value in domain.value
    )


def from_tfdv(
    result: anomalies_pb2.Anomalies, dataset: statistics_pb2.DatasetFeatureStatistics, schema: schema_pb2.Schema
) -> list[Anomaly]:
    """Translates TFDV's anomalies of one split, ordered by feature."""
    statistics = {feature_name(feature): feature for feature in dataset.features}
    expected = {feature.name: feature for feature in schema.feature}
    found = [_of_dataset(reason, dataset.name) for reason in result.dataset_anomaly_info.reason if _is_error(reason)]
    for key, info in sorted(result.anomaly_info.items()):
        name = ".".join(info.path.step) or key
        feature = statistics.get(name, statistics_pb2.FeatureNameStatistics())
        wanted = expected.get(name, schema_pb2.Feature())
        cases = [_Case(reason, feature, wanted, domain_values(wanted, schema)) for reason in info.reason]
        found += [
            _of_feature(case, name, dataset) for case in cases if _is_error(case.reason) and not _repeats(case, cases)
        ]
    return found


def without_repeats(own: Sequence[Anomaly], found: Sequence[Anomaly]) -> list[Anomaly]:
    """Drops what TFDV has already said: that a column is missing or empty, or beyond its bounds."""
    missing, beyond = (
        {anomaly.feature for anomaly in found if anomaly.kind in kinds} for kinds in (MISSING_KINDS, _BOUNDED)
    )
    kept = [anomaly for anomaly in own if anomaly.feature not in missing]
    return [anomaly for anomaly in kept if anomaly.kind != INFINITE or anomaly.feature not in beyond]


def with_own_checks(
    result: anomalies_pb2.Anomalies, own: Sequence[Anomaly], severity: str = "stop"
) -> anomalies_pb2.Anomalies:
    """Returns TFDV's anomalies with this component's own among them, so that its tools show every one.

    Where a split's anomalies are warnings, TFDV's are, too; personal data stays an error.
    """
    whole = anomalies_pb2.Anomalies()
    whole.CopyFrom(result)
    for anomaly in own:
        info = whole.anomaly_info[anomaly.feature]
        info.path.step[:] = [anomaly.feature]
        info.severity = anomalies_pb2.AnomalyInfo.ERROR
        info.short_description = info.short_description or anomaly.kind
        info.description = f"{info.description} {anomaly.what}".strip()
        info.reason.add(
            type=anomalies_pb2.AnomalyInfo.CUSTOM_VALIDATION, short_description=anomaly.kind, description=anomaly.what
        )
    errors = {anomaly.feature for anomaly in own if anomaly.stops}
    for name, info in whole.anomaly_info.items():
        if severity != "stop" and name not in errors:
            info.severity = anomalies_pb2.AnomalyInfo.WARNING
    return whole


def _kind(reason: Any) -> str:
    return anomalies_pb2.AnomalyInfo.Type.Name(reason.type)


def _is_error(reason: Any) -> bool:
    return not _kind(reason).startswith(_NOT_STOPPING)


def _repeats(case: _Case, cases: Sequence[_Case]) -> bool:
    return any(_kind(other.reason) in _REPEATS.get(_kind(case.reason), ()) for other in cases)


def _of_dataset(reason: Any, split: str) -> Anomaly:
    return Anomaly(split, "", _kind(reason), reason.description)


def _of_feature(case: _Case, name: str, dataset: Any) -> Anomaly:
    kind = _kind(case.reason)
    found = _EXPLAIN.get(kind, _as_tfdv_says)(case)
    rows = int(dataset.num_examples)
    fraction = found.how_many / rows if found.how_many is not None and rows else None
    return Anomaly(dataset.name, name, kind, found.what, found.how_many, fraction, found.example)


def _as_tfdv_says(case: _Case) -> _Explanation:
    said = case.reason.description.strip() or case.reason.short_description.strip()
    return _Explanation(said.rstrip(".:") or _kind(case.reason))


def _unseen_values(case: _Case) -> _Explanation:
    """Counts among the 1,000 most frequent values, which is what TFDV itself looks at."""
    buckets = case.text.rank_histogram.buckets
    unseen = [(bucket.label, int(bucket.sample_count)) for bucket in buckets if bucket.label not in case.vocabulary]
    if not unseen:
        return _as_tfdv_says(case)
    names = ", ".join(quoted(value) for value, _ in unseen[:3]) + (", …" if len(unseen) > 3 else "")
    values = "a value" if len(unseen) == 1 else f"{len(unseen)} values"
    return _Explanation(
        f"{values} not in the schema's domain of {len(case.vocabulary)}", sum(n for _, n in unseen), names
    )


def _new_column(case: _Case) -> _Explanation:
    where = "in this environment of the schema" if case.expected.name else "in the schema"
    return _Explanation(
        f"column that is not {where}", int(common(case.feature).num_non_missing), _example(case.feature)
    )


def _missing_column(case: _Case) -> _Explanation:
    return _Explanation("column of the schema that is not in the data")


def _empty_column(case: _Case) -> _Explanation:
    return _Explanation("column without any value", int(common(case.feature).num_missing))


def _missing_values(case: _Case) -> _Explanation:
    wanted = case.expected.presence.min_fraction
    allowed = "in every row" if wanted == 1 else f"in at least {100 * wanted:.6g} % of the rows"
    nan = feature_statistics.nan_values(case.feature)
    missing = f"missing values, {nan:,} of them NaN" if nan else "missing values"
    return _Explanation(f"{missing} (the schema wants it present {allowed})", int(common(case.feature).num_missing))


def _wrong_type(case: _Case) -> _Explanation:
    wanted = schema_pb2.FeatureType.Name(case.expected.type)
    got = statistics_pb2.FeatureNameStatistics.Type.Name(case.feature.type)
    return _Explanation(
        f"expected the type {wanted}, found {got}", int(common(case.feature).num_non_missing), _example(case.feature)
    )


def _too_large(case: _Case) -> _Explanation:
    return _Explanation(f"values above the schema's maximum of {case.bounds.max:g}", example=f"{case.numbers.max:g}")


def _too_small(case: _Case) -> _Explanation:
    return _Explanation(f"values below the schema's minimum of {case.bounds.min:g}", example=f"{case.numbers.min:g}")


def _nan(case: _Case) -> _Explanation:
    return _Explanation("NaN values", feature_statistics.nan_values(case.feature))


def _infinite(case: _Case) -> _Explanation:
    low, high = feature_statistics.infinite_values(case.feature)
    return _Explanation("infinite values", low + high, "-inf" if low else "inf")


def _invalid_domain(case: _Case) -> _Explanation:
    named = case.expected.domain
    if not named or case.vocabulary:
        return _as_tfdv_says(case)
    return _Explanation(f"its `domain` is {named!r}, of which the schema has no string_domain")


def _example(feature: Any) -> str:
    if feature.WhichOneof("stats") == "string_stats":
        return quoted(feature.string_stats.top_values[0].value) if feature.string_stats.top_values else ""
    return f"{feature.num_stats.median:g}" if common(feature).num_non_missing else ""


_EXPLAIN = {
    "ENUM_TYPE_UNEXPECTED_STRING_VALUES": _unseen_values,
    "SCHEMA_NEW_COLUMN": _new_column,
    "SCHEMA_MISSING_COLUMN": _missing_column,
    "FEATURE_TYPE_NOT_PRESENT": _empty_column,
    "FEATURE_TYPE_LOW_FRACTION_PRESENT": _missing_values,
    "UNEXPECTED_DATA_TYPE": _wrong_type,
    "INT_TYPE_BIG_INT": _too_large,
    "FLOAT_TYPE_BIG_FLOAT": _too_large,
    "INT_TYPE_SMALL_INT": _too_small,
    "FLOAT_TYPE_SMALL_FLOAT": _too_small,
    "FLOAT_TYPE_HAS_NAN": _nan,
    "FLOAT_TYPE_HAS_INF": _infinite,
    "INVALID_DOMAIN_SPECIFICATION": _invalid_domain,
}
