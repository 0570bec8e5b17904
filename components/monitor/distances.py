"""How far served rows are from a baseline, and how far sampling alone could have brought them.

A distance is an alarm only above both its threshold and its allowance: the distance that two samples of one
distribution stay below with probability 1 - false_alarm, for all features together (Bonferroni). Closed forms:

- Jensen-Shannon divergence (bits) of two histograms of n and m rows over k buckets: 8 ln(2) nm/(n+m) JSD is
  chi-squared with k - 1 degrees of freedom for large samples (the first term of the G statistic; Lin 1991, Menéndez
  et al. 1997). Served rows are counted over the baseline's buckets (components/monitor/histograms.py). To it comes
  what TFDV's sketches leave open of the baseline's counts.
- L-infinity of k shares, and a share of missing values: the normal bound of the largest difference, z at 1 - a/2k.
"""

import dataclasses
import math
import statistics as stdlib
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from scipy import stats
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from kfp_ct.components.monitor import histograms, request_log
from kfp_ct.components.monitor.settings import MISSING, Rules
from kfp_ct.data import drift, feature_statistics

# The divergence that counts within TFDV's error can have at most, found on flights: 0.0004.
_SKETCH_ERROR = 0.001
# Of vectors with more values, as embeddings have, the predictions are not compared.
_MOST_CLASSES = 50


@dataclasses.dataclass(frozen=True)
class FeatureDistance:
    """One feature's distance to its baseline."""

    feature: str
    measure: str
    value: float
    threshold: float
    allowance: float

    @property
    def limit(self) -> float:
        """What the distance must not exceed."""
        return max(self.threshold, self.allowance)

    @property
    def exceeded(self) -> bool:
        """Whether it does."""
        return self.value > self.limit

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON."""
        return {**dataclasses.asdict(self), "limit": self.limit, "exceeded": self.exceeded}


def describe(table: pa.Table, name: str) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns TFDV's statistics of columns; of lists all values count."""
    return feature_statistics.compute(_with_lists(table).to_batches(), name)


def compare(
    schema: schema_pb2.Schema,
    rows: pa.Table,
    baseline: statistics_pb2.DatasetFeatureStatisticsList | pa.Table,
    comparator: drift.Comparator,
    rules: Rules,
) -> list[FeatureDistance]:
    """Measures every feature that both have, the furthest from its limit first.

    Args:
        schema: Its comparators give measures and thresholds; the rules give those of the other features.
        rows: Served rows, a column a feature.
        baseline: Rows to compare with, or statistics of them.
        comparator: Which of the schema's comparators counts.
        rules: Defaults, and the rate of false alarms.
    """
    current = describe(rows, "current")
    if isinstance(baseline, pa.Table):
        before_rows, baseline = baseline, describe(baseline, "baseline")
        histograms.align(baseline, before_rows, baseline)  # counted exactly, where TFDV's sketch is within 1 %
    histograms.align(current, rows, baseline)
    defaults = {
        drift.L_INFINITY: rules.infinity_norm,
        drift.JENSEN_SHANNON: rules.jensen_shannon_divergence,
    }
    measured = drift.distances(schema, current, baseline, comparator, defaults)
    now, before = _features(current), _features(baseline)
    there = [feature.name for feature in schema.feature if feature.name in now and feature.name in before]
    level = rules.false_alarm / max(len(measured) + len(there), 1)
    found = [
        FeatureDistance(item.feature, item.measure, item.value, item.threshold,
                 _allowance(item.measure, now[item.feature], before[item.feature], level))
        for item in measured
    ]  # fmt: skip
    found += [_missing_values(name, now[name], before[name], (rules.missing, level)) for name in there]
    return sorted(found, key=lambda item: -_ratio(item))


def compare_predictions(current: pa.Table, before: pa.Table, rules: Rules) -> list[FeatureDistance]:
    """Measures how far the predictions have moved since the period before; of several classes each by itself."""
    current, before = _by_class(current), _by_class(before)
    plain = [field.name for field in current.schema if not request_log.is_vector(field.type)]
    names = [name for name in plain if name in before.column_names]
    if not names:
        return []  # outputs of any number of values a row alone
    schema = schema_pb2.Schema()
    for name in names:
        schema.feature.add(name=name)
    same = dict.fromkeys(("infinity_norm", "jensen_shannon_divergence", "missing"), rules.predictions)
    rules = rules.model_copy(update=same)
    return [
        item
        for item in compare(schema, current.select(names), before.select(names), "drift", rules)
        if item.measure != MISSING
    ]


def _by_class(table: pa.Table) -> pa.Table:
    """Returns a table with a column for each value of vectors, `genres[0]`; of longer ones than are looked at, none."""
    for field in table.schema:
        if not pa.types.is_fixed_size_list(field.type) or field.type.list_size > _MOST_CLASSES:
            continue
        size, values = field.type.list_size, pa.concat_arrays([each.flatten() for each in table[field.name].chunks])
        for number in range(size):
            places = pa.array(range(number, len(values), size), pa.int64())
            table = table.append_column(f"{field.name}[{number}]", values.take(places))
    return table


def _with_lists(table: pa.Table) -> pa.Table:
    """Returns a table whose lists of one length, as vectors are logged, are lists of any length, as TFDV takes them."""
    for place, field in enumerate(table.schema):
        if pa.types.is_fixed_size_list(field.type):
            table = table.set_column(
                place, field.name, pa.array(table[field.name].to_pylist(), pa.list_(field.type.value_type))
            )
    return table


def _allowance(measure: str, now: Any, before: Any, level: float) -> float:
    sizes = _present(now), _present(before)
    if not all(sizes):
        return 0.0  # one side has no values at all
    shrink = 1 / sizes[0] + 1 / sizes[1]
    if measure == drift.JENSEN_SHANNON:
        freedom = max(_buckets(now), _buckets(before), 2) - 1
        return min(1.0, _SKETCH_ERROR + float(stats.chi2.isf(level, freedom)) * shrink / (8 * math.log(2)))
    shares = _shares(now, before)
    widest = max((share * (1 - share) for share in shares), default=0.25)
    return min(1.0, _z(level / max(len(shares), 1)) * math.sqrt(widest * shrink))


def _missing_values(name: str, now: Any, before: Any, bounds: tuple[float, float]) -> FeatureDistance:
    threshold, level = bounds
    sizes = [_present(side) + _common(side).num_missing for side in (now, before)]
    lost = [_common(side).num_missing for side in (now, before)]
    shares = [part / max(size, 1) for part, size in zip(lost, sizes, strict=True)]
    pooled = sum(lost) / max(sum(sizes), 1)
    allowance = _z(level) * math.sqrt(pooled * (1 - pooled) * sum(1 / max(size, 1) for size in sizes))
    return FeatureDistance(name, MISSING, abs(shares[0] - shares[1]), threshold, min(1.0, allowance))


def _ratio(item: FeatureDistance) -> float:
    return item.value / item.limit if item.limit else math.inf if item.value else 0.0


def _z(level: float) -> float:
    """Two-sided."""
    return stdlib.NormalDist().inv_cdf(1 - level / 2)


def _features(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> Mapping[str, Any]:
    return {".".join(feature.path.step) or feature.name: feature for feature in statistics.datasets[0].features}


def _common(feature: Any) -> Any:
    return getattr(feature, feature.WhichOneof("stats")).common_stats


def _present(feature: Any) -> int:
    return int(_common(feature).num_non_missing)


def _buckets(feature: Any) -> int:
    """Buckets of the histogram that TFDV measures by: the first, of equal widths."""
    histograms = feature.num_stats.histograms
    return len(histograms[0].buckets) if histograms else 1


def _shares(now: Any, before: Any) -> list[float]:
    """Returns every value's share in both sides together."""
    counted: dict[str, float] = {}
    for side in (now, before):
        for bucket in side.string_stats.rank_histogram.buckets:
            counted[bucket.label] = counted.get(bucket.label, 0.0) + bucket.sample_count
    total = sum(counted.values())
    return [count / total for count in counted.values()]
