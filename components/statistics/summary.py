"""What reports read of the statistics: plain JSON, without NaN or infinity."""

import math
from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0 import statistics_pb2

from kfp_ct.data import feature_statistics

_TYPES = {
    statistics_pb2.FeatureNameStatistics.INT: "int",
    statistics_pb2.FeatureNameStatistics.FLOAT: "float",
    statistics_pb2.FeatureNameStatistics.STRING: "string",
}
_TOP_VALUES = 10


def read_split(name: str, path: Path) -> dict[str, Any]:
    """Summarises one split's `FeatureStats.pb`.

    Returns:
        name, num_examples and features: each with name, type, present (rows that have it), missing (fraction of
        rows) and what fits its type: min, median, mean, std, max, zeros, nan (among the missing), infinite and
        histogram (10 buckets of equal width: low, high, count), or unique, average_length and top_values (10: value,
        count). None is unknown.
    """
    statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes())
    dataset = statistics.datasets[0]
    features = [_feature(feature, dataset.num_examples) for feature in dataset.features]
    return {"name": name, "num_examples": int(dataset.num_examples), "features": features}


def _feature(feature: Any, rows: int) -> dict[str, Any]:
    kind = _TYPES.get(feature.type, "other")
    is_text = feature.WhichOneof("stats") == "string_stats"
    details = feature.string_stats if is_text else feature.num_stats
    present = int(details.common_stats.num_non_missing)
    return {
        "name": ".".join(feature.path.step) or feature.name,
        "type": kind,
        "present": present,
        "missing": 1 - present / rows if rows else 1.0,
        **(_text(details) if is_text else _numbers(details, present, kind) | _not_finite(feature)),
    }


def _numbers(stats: Any, present: int, kind: str) -> dict[str, Any]:
    if not present:
        return {"min": None, "median": None, "mean": None, "std": None, "max": None, "zeros": 0, "histogram": []}
    shown = int if kind == "int" else _clean
    standard = [h for h in stats.histograms if h.type == statistics_pb2.Histogram.STANDARD]
    return {
        "min": shown(stats.min), "median": shown(stats.median), "mean": _clean(stats.mean),
        "std": _clean(stats.std_dev), "max": shown(stats.max), "zeros": int(stats.num_zeros),
        "histogram": [bucket for histogram in standard[:1] for bucket in _buckets(histogram)],
    }  # fmt: skip


def _not_finite(feature: Any) -> dict[str, int]:
    return {
        "nan": feature_statistics.nan_values(feature),
        "infinite": sum(feature_statistics.infinite_values(feature)),
    }


def _buckets(histogram: Any) -> list[dict[str, float]]:
    every = [
        {"low": bucket.low_value, "high": bucket.high_value, "count": round(bucket.sample_count, 3)}
        for bucket in histogram.buckets
    ]
    return [bucket for bucket in every if all(map(math.isfinite, bucket.values()))]


def _text(stats: Any) -> dict[str, Any]:
    top = [{"value": v.value, "count": int(v.frequency)} for v in stats.top_values[:_TOP_VALUES]]
    return {"unique": int(stats.unique), "average_length": _clean(stats.avg_length), "top_values": top}


def _clean(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
