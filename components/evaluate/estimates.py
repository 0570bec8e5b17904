"""Estimates with intervals: a metric, and the paired difference of two models on the same rows.

Means over rows and AUCs have a closed form: their first-order influence of every row, whose squares sum to the
variance. Differences of two models' influences are paired by construction. What is a function of sums (root mean
squared error, R², balanced accuracy) has its interval from a paired bootstrap. Gains are oriented: more is better.
"""

import dataclasses
import statistics
from collections.abc import Callable

import numpy as np

from kfp_ct.components.evaluate import bootstrap, multilabel
from kfp_ct.components.evaluate.samples import Array, Floats, Sample
from kfp_ct.components.evaluate.settings import BINARY, MULTICLASS, MULTILABEL, Gates

# What Keras clips probabilities to, so that our log loss is its cross-entropy.
EPSILON = 1e-7
LESS_IS_BETTER = ("log_loss", "hamming_loss", "rmse", "mse", "mae")


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate, the ends of its two-sided interval, and how that was found."""

    value: float
    low: float
    high: float
    method: str = ""


@dataclasses.dataclass(frozen=True)
class _Estimate:
    """A value with the influence of every row on it, shape (rows,); None where there are too few rows to know."""

    value: float
    influence: Array | None


def value(metric: str, sample: Sample, predictions: Floats) -> float:
    """Returns a metric; NaN where it is not defined, as an AUC if the labels have one class."""
    if metric in bootstrap.SUMS:
        return bootstrap.value(metric, sample, predictions)
    return _estimate(metric, sample, predictions).value


def influences(metric: str, sample: Sample, predictions: Floats) -> tuple[float, Array | None]:
    """Returns a metric that has a closed form, and every row's influence on it; None where there are too few rows."""
    found = _estimate(metric, sample, predictions)
    return found.value, found.influence


def gain(gates: Gates, sample: Sample, predictions: Floats, reference: Floats) -> Interval:
    """Returns by how much `predictions` are better than `reference`, paired row by row.

    AUC: DeLong's variance of the difference of two correlated AUCs (DeLong, DeLong and Clarke-Pearson 1988), from
    the structural components, computed from ranks in O(n log n) (Sun and Xu 2014); weighted and averaged over
    classes by adding up each row's influences. A constant reference has AUC 0.5 and no variance of its own, so it
    serves as the trivial baseline. Means of rows: the normal interval. Functions of sums: percentiles of a
    paired bootstrap.

    Args:
        gates: Names the metric and the confidence level.
        sample: Labels and weights.
        predictions: The challenger's.
        reference: The predictions to compare with.

    Returns:
        The gain and its interval; the interval is infinite where there are too few rows to know a variance.
    """
    sign = -1.0 if gates.metric in LESS_IS_BETTER else 1.0
    if gates.metric in bootstrap.SUMS:
        ours, theirs = (bootstrap.value(gates.metric, sample, it) for it in (predictions, reference))
        low, high = bootstrap.gain_interval(gates, sample, (predictions, reference), sign)
        return Interval(sign * (ours - theirs), low, high, bootstrap.METHOD)
    first, second = (_estimate(gates.metric, sample, it) for it in (predictions, reference))
    return _normal(gates, sample, (first, second), sign)


def _normal(gates: Gates, sample: Sample, pair: tuple[_Estimate, _Estimate], sign: float) -> Interval:
    first, second = pair
    middle, method = sign * (first.value - second.value), _method(gates.metric, sample)
    if first.influence is None or second.influence is None:
        return Interval(middle, -float("inf"), float("inf"), method)
    variance = float(np.square(first.influence - second.influence).sum())
    half_width = statistics.NormalDist().inv_cdf((1 + gates.confidence) / 2) * variance**0.5
    return Interval(middle, middle - half_width, middle + half_width, method)


def _method(metric: str, sample: Sample) -> str:
    weighted = "" if sample.weights is None else ", weighted"
    if metric in _AREAS:
        return f"DeLong{_AREAS[metric]}{weighted}"
    return f"normal, paired differences of rows{weighted}"


def _estimate(metric: str, sample: Sample, predictions: Floats) -> _Estimate:
    if metric == "auc":
        return _auc(sample.labels > 0.5, predictions, sample.row_weights)
    if metric == "macro_auc":
        return _macro_auc(sample, predictions)
    if metric == "micro_auc":
        return _micro_auc(sample, predictions)
    return _mean(_ROW_VALUES[metric](sample, predictions), sample.row_weights)


def _mean(values: Array, row_weights: Array) -> _Estimate:
    total, rows = float(row_weights.sum()), len(values)
    if not total:
        return _Estimate(float("nan"), None)
    mean = float((row_weights * values).sum() / total)
    return _Estimate(mean, row_weights * (values - mean) / total * (rows / (rows - 1)) ** 0.5 if rows > 1 else None)


def _auc(positives: np.ndarray, predictions: Floats, row_weights: Array) -> _Estimate:
    """Rows' influences from DeLong's structural components: V10 of each positive row, V01 of each negative one."""
    _, ranks = np.unique(predictions, return_inverse=True)
    ranks = ranks.reshape(-1)
    ours, theirs = (np.bincount(ranks, row_weights * chosen) for chosen in (positives, ~positives))
    if not ours.sum() or not theirs.sum():
        return _Estimate(float("nan"), None)
    below = ((np.cumsum(theirs) - theirs / 2) / theirs.sum())[ranks[positives]]
    above = (1 - (np.cumsum(ours) - ours / 2) / ours.sum())[ranks[~positives]]
    first, second = _mean(below, row_weights[positives]), _mean(above, row_weights[~positives])
    if first.influence is None or second.influence is None:
        return _Estimate(first.value, None)
    influence = np.zeros(len(predictions))
    influence[positives], influence[~positives] = first.influence, second.influence
    return _Estimate(first.value, influence)


def _macro_auc(sample: Sample, predictions: Floats) -> _Estimate:
    """Averages the AUCs of each class against the rest, over the classes with two rows on either side."""
    found, values, influence = 0, 0.0, np.zeros(len(sample.labels))
    for number in range(predictions.shape[1]):
        of_class = sample.is_of_class(number)
        if not 2 <= of_class.sum() <= len(of_class) - 2:
            continue
        one = _auc(of_class, predictions[:, number], sample.row_weights)
        if one.influence is not None:
            found, values, influence = found + 1, values + one.value, influence + one.influence
    return _Estimate(values / found, influence / found) if found else _Estimate(float("nan"), None)


def _micro_auc(sample: Sample, predictions: Floats) -> _Estimate:
    """Takes every row and class as a row; a row's influence is the sum of its classes', which belong together."""
    classes = predictions.shape[1]
    one = _auc(sample.labels.reshape(-1) > 0.5, predictions.reshape(-1), np.repeat(sample.row_weights, classes))
    return one if one.influence is None else _Estimate(one.value, one.influence.reshape(-1, classes).sum(axis=1))


def _log_losses(sample: Sample, predictions: Floats) -> Array:
    """Each row's cross-entropy in nats."""
    if sample.task == MULTICLASS:
        rows = np.arange(len(sample.labels))
        # Keras scales the probabilities of a row to sum to 1.
        own = predictions[rows, sample.labels.astype(np.int64)].astype(np.float64) / predictions.sum(axis=1)
        return -np.log(np.clip(own, EPSILON, 1 - EPSILON))
    clipped = np.clip(predictions.astype(np.float64), EPSILON, 1 - EPSILON)
    losses = -np.where(sample.labels > 0.5, np.log(clipped), np.log1p(-clipped))
    return losses.mean(axis=1) if sample.task == MULTILABEL else losses


def _correct(sample: Sample, predictions: Floats) -> Array:
    return (bootstrap.predicted_classes(sample.task, predictions) == sample.labels).astype(np.float64)


def _absolute_errors(sample: Sample, predictions: Floats) -> Array:
    return np.abs(sample.labels - predictions.astype(np.float64))


def _squared_errors(sample: Sample, predictions: Floats) -> Array:
    return np.square(sample.labels - predictions.astype(np.float64))


_AREAS = {
    "auc": "", "macro_auc": ", each class against the rest", "micro_auc": ", all classes together, by row",
}  # fmt: skip
_ROW_VALUES: dict[str, Callable[[Sample, Floats], Array]] = {
    "log_loss": _log_losses, "accuracy": _correct, "mae": _absolute_errors, "mse": _squared_errors,
    "hamming_loss": multilabel.hamming_losses, "subset_accuracy": multilabel.exact_matches,
}  # fmt: skip


def is_defined(gates: Gates, sample: Sample) -> bool:
    """Whether the metric is defined on the rows."""
    needs_both = gates.metric in ("auc", "macro_auc", "micro_auc", "r2") or sample.task == BINARY
    return len(sample.labels) > 0 and (sample.varied or not needs_both)
