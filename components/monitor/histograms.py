"""Histograms of served numbers over their baseline's own buckets.

TFDV gives every dataset ten buckets between its own least and greatest value and spreads their counts evenly to compare
two of them. A sample of identical traffic that misses the rarest values then seems far away (rain, of which most hours
have none: up to 0.5 at 500 rows). Counted over the baseline's buckets, it does not.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tensorflow_metadata.proto.v0 import statistics_pb2

from kfp_ct.components.monitor import request_log


def align(
    current: statistics_pb2.DatasetFeatureStatisticsList,
    rows: pa.Table,
    baseline: statistics_pb2.DatasetFeatureStatisticsList,
) -> None:
    """Counts the rows' numeric features anew over the baseline's buckets, and two more for what lies outside.

    Args:
        current: Statistics of the rows; its histograms of equal widths are replaced.
        rows: The rows.
        baseline: Statistics of what they are compared with.
    """
    before = {_name(feature): feature for feature in baseline.datasets[0].features}
    for feature in current.datasets[0].features:
        name = _name(feature)
        theirs = before.get(name)
        if theirs is None or not _standard(feature) or not _standard(theirs):
            continue
        values = _values(rows[name]).drop_null().to_numpy().astype(np.float64)
        values = values[np.isfinite(values)]
        buckets = _standard(theirs)[0].buckets
        edges = np.array([buckets[0].low_value, *(bucket.high_value for bucket in buckets)])
        if len(values) and np.isfinite(edges).all():
            _replace(_standard(feature)[0], values, edges)


def _values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns the values of a column, those of its lists one after the other."""
    if not request_log.is_vector(column.type):
        return column
    return pa.chunked_array([chunk.flatten() for chunk in column.chunks])


def _replace(
    histogram: statistics_pb2.Histogram, values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]
) -> None:
    below = [values.min()] if values.min() < edges[0] else []
    above = [values.max()] if values.max() > edges[-1] else []
    edges = np.unique([*below, *edges, *above])
    if len(edges) == 1:  # a single value everywhere
        edges = np.repeat(edges, 2)
        counts = np.array([len(values)])
    else:
        # As TFDV counts: a value at a boundary belongs below it.
        places = np.clip(np.searchsorted(edges, values, "left"), 1, len(edges) - 1) - 1
        counts = np.bincount(places, minlength=len(edges) - 1)
    del histogram.buckets[:]
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        histogram.buckets.add(low_value=low, high_value=high, sample_count=count)


def _standard(feature: statistics_pb2.FeatureNameStatistics) -> list[statistics_pb2.Histogram]:
    kind = statistics_pb2.Histogram.STANDARD
    return [each for each in feature.num_stats.histograms if each.type == kind and each.buckets]


def _name(feature: statistics_pb2.FeatureNameStatistics) -> str:
    return ".".join(feature.path.step) or str(feature.name)
