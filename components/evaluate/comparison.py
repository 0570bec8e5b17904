"""Estimates with intervals: a metric, and the paired difference of two models on the same rows.

All functions take labels of 0 and 1 and predicted probabilities, shape (rows,). Gains are oriented: more is better.
"""

import dataclasses
import statistics

import numpy as np
import numpy.typing as npt

from components.evaluate.config import Gates

Floats = npt.NDArray[np.floating]
Array = npt.NDArray[np.float64]

# What Keras clips probabilities to, so that our log loss is its binary cross-entropy.
EPSILON = 1e-7


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its two-sided interval."""

    value: float
    low: float
    high: float


def log_losses(labels: Floats, predictions: Floats) -> Array:
    """Returns each row's cross-entropy in nats."""
    clipped = np.clip(predictions.astype(np.float64), EPSILON, 1 - EPSILON)
    return -np.where(labels > 0.5, np.log(clipped), np.log1p(-clipped))


def hits(labels: Floats, predictions: Floats) -> Array:
    """Returns 1 for each row that is classified rightly at 0.5, else 0."""
    return ((predictions > 0.5) == (labels > 0.5)).astype(np.float64)


def value(metric: str, labels: Floats, predictions: Floats) -> float:
    """Returns a metric; AUC is NaN if the labels have one class."""
    if metric == "auc":
        positive, negative = _placements(labels, predictions)
        return float(positive.mean()) if len(positive) and len(negative) else float("nan")
    return float((log_losses if metric == "log_loss" else hits)(labels, predictions).mean())


def gain(gates: Gates, labels: Floats, predictions: Floats, reference: Floats) -> Interval:
    """Returns by how much `predictions` are better than `reference`, paired row by row.

    AUC: DeLong's variance of the difference of two correlated AUCs (DeLong, DeLong and Clarke-Pearson 1988), from
    the structural components; computed by midranks in O(n log n) (Sun and Xu 2014). A constant reference has AUC
    0.5 and no variance of its own, so it serves as the trivial baseline. Log loss and accuracy: the normal interval
    of the mean of the rows' differences.

    Args:
        gates: Names the metric and the confidence level.
        labels: 0 or 1, shape (rows,).
        predictions: The challenger's probabilities.
        reference: The probabilities to compare with.

    Returns:
        The gain and its interval; the interval is infinite where there are too few rows to know a variance.
    """
    if gates.metric == "auc":
        pairs = zip(_placements(labels, predictions), _placements(labels, reference), strict=True)
        positive, negative = (ours - theirs for ours, theirs in pairs)
        return _interval(positive.mean(), [positive, negative], gates.confidence)
    if gates.metric == "log_loss":
        differences = log_losses(labels, reference) - log_losses(labels, predictions)
    else:
        differences = hits(labels, predictions) - hits(labels, reference)
    return _interval(differences.mean(), [differences], gates.confidence)


def _interval(estimate: float, samples: list[Array], confidence: float) -> Interval:
    if min(len(sample) for sample in samples) < 2:
        return Interval(float(estimate), -float("inf"), float("inf"))
    variance = sum(float(np.var(sample, ddof=1)) / len(sample) for sample in samples)
    reach = statistics.NormalDist().inv_cdf((1 + confidence) / 2) * variance**0.5
    return Interval(float(estimate), float(estimate) - reach, float(estimate) + reach)


def _placements(labels: Floats, predictions: Floats) -> tuple[Array, Array]:
    """DeLong's structural components: V10 of each positive row, V01 of each negative one; both average to the AUC."""
    positives = labels > 0.5
    ranks = _midranks(predictions)
    own_positive, own_negative = _midranks(predictions[positives]), _midranks(predictions[~positives])
    above = (ranks[positives] - own_positive) / max(len(own_negative), 1)
    below = 1 - (ranks[~positives] - own_negative) / max(len(own_positive), 1)
    return above, below


def _midranks(values: Floats) -> Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse.reshape(-1)]
