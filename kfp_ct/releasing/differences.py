"""By how much a candidate is worse than the live version: within each share of the traffic, then averaged.

The hours of different shares differ in what was asked, so the versions are compared only within a share (a stratum),
weighted as Mantel and Haenszel do: n m / (n + m). Rows of one request are not independent and count together.
"""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from kfp_ct.components.evaluate import estimates
from kfp_ct.components.evaluate.samples import Sample

Array = npt.NDArray[np.float64]
# A number for each row, from 0 and none far beyond their number: rows of one request have the same.
Requests = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Difference:
    """A difference, its variance, and the requests that it comes from."""

    value: float
    variance: float
    requests: float


@dataclasses.dataclass(frozen=True)
class Side:
    """One version's rows: values or predictions, the request of each row, and labels where there are."""

    values: Array
    requests: Requests
    labels: Array | None = None

    @property
    def finite(self) -> npt.NDArray[np.bool_]:
        """Which rows are numbers."""
        return np.asarray(np.isfinite(self.values.reshape(len(self.values), -1)).all(axis=1))

    def on(self, rows: npt.NDArray[np.bool_]) -> "Side":
        """Returns some of the rows."""
        if rows.all():
            return self
        labels = None if self.labels is None else self.labels[rows]
        return Side(self.values[rows], self.requests[rows], labels)


def average(found: list[Difference]) -> Difference | None:
    """Returns the average of the strata's differences; None where there is none."""
    known = [each for each in found if each.requests > 0 and math.isfinite(each.value) and math.isfinite(each.variance)]
    total = sum(each.requests for each in known)
    if not total:
        return None
    value = sum(each.requests * each.value for each in known) / total
    variance = sum(each.requests**2 * each.variance for each in known) / total**2
    return Difference(value, variance, total)


def of_means(candidate: Side, live: Side) -> Difference:
    """Returns the difference of two means of independent rows."""
    return _unpaired(*(_mean(side) for side in (candidate, live)))


def of_shares(candidate: tuple[int, int], live: tuple[int, int]) -> Difference:
    """Returns the difference of two shares, each as (hits, of so many); one hit or none is not taken for certainty."""
    (hits, rows), (other_hits, others) = candidate, live
    if not rows or not others:
        return Difference(math.nan, math.inf, 0)
    variance = sum(_share_variance(*each) for each in (candidate, live))
    return Difference(hits / rows - other_hits / others, variance, rows * others / (rows + others))


def of_quality(metric: str, task: str, candidate: Side, live: Side) -> Difference:
    """Returns how much less good the candidate's predictions are, on rows of its own: the gates' metrics."""
    sign = 1.0 if metric in estimates.LESS_IS_BETTER else -1.0
    found = _unpaired(*(_quality(metric, task, side) for side in (candidate, live)))
    return dataclasses.replace(found, value=sign * found.value)


def of_paired_quality(metric: str, task: str, candidate: Side, live: Side) -> Difference:
    """Returns how much less good the candidate's predictions are, on the same rows: the gates' paired difference."""
    sign = 1.0 if metric in estimates.LESS_IS_BETTER else -1.0
    (first, ours), (second, theirs) = (_influences(metric, task, side) for side in (candidate, live))
    if ours is None or theirs is None:
        return Difference(math.nan, math.inf, 0)
    variance, requests = _clustered(ours - theirs, candidate.requests)
    return Difference(sign * (first - second), variance, requests)


def distance(first: Array, second: Array) -> float:
    """Returns the Kolmogorov-Smirnov distance of two samples."""
    ordered = [np.sort(each) for each in (first, second)]
    both = np.concatenate(ordered)  # looking up what is sorted takes a tenth of the time
    shares = [np.searchsorted(each, both, side="right") / len(each) for each in ordered]
    return float(np.abs(shares[0] - shares[1]).max())


def _unpaired(first: tuple[float, float, int], second: tuple[float, float, int]) -> Difference:
    (value, variance, n), (other, others_variance, m) = first, second
    if not n or not m:
        return Difference(math.nan, math.inf, 0)
    return Difference(value - other, variance + others_variance, n * m / (n + m))


def _mean(side: Side) -> tuple[float, float, int]:
    if not len(side.values):
        return math.nan, math.inf, 0
    mean = float(side.values.mean())
    variance, requests = _clustered((side.values - mean) / len(side.values), side.requests)
    return mean, variance, requests


def _quality(metric: str, task: str, side: Side) -> tuple[float, float, int]:
    value, influence = _influences(metric, task, side)
    if influence is None:
        return math.nan, math.inf, 0
    return value, *_clustered(influence, side.requests)


def _influences(metric: str, task: str, side: Side) -> tuple[float, Array | None]:
    if side.labels is None or len(side.labels) < 2:
        return math.nan, None
    return estimates.influences(metric, Sample(task, side.labels), side.values)


def _clustered(influence: Array, requests: Requests) -> tuple[float, int]:
    """Returns the variance from rows' influences, those of a request together, and how many requests there are."""
    sums = np.bincount(requests, influence)[np.bincount(requests) > 0]
    if len(sums) < 2:
        return math.inf, len(sums)
    return float(np.square(sums).sum()) * len(sums) / (len(sums) - 1), len(sums)


def _share_variance(hits: int, rows: int) -> float:
    share = (hits + 0.5) / (rows + 1)
    return share * (1 - share) / rows
