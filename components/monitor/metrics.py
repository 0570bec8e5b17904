"""Metrics of live predictions with their standard errors, so that few rows cannot raise an alarm.

Means over rows: the standard error of the mean. AUC: DeLong's structural components (DeLong, DeLong and
Clarke-Pearson 1988), from ranks. Root mean squared error: the delta method on the mean of the squares.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

BINARY, MULTICLASS, REGRESSION = "binary", "multiclass", "regression"
METRICS = {
    BINARY: ("auc", "log_loss", "accuracy"),
    MULTICLASS: ("log_loss", "accuracy"),
    REGRESSION: ("rmse", "mse", "mae"),
}
LESS_IS_BETTER = ("log_loss", "rmse", "mse", "mae")
# What Keras clips probabilities to.
EPSILON = 1e-7
Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A metric and its standard error, infinite where there are too few rows to know it."""

    value: float
    error: float


def estimate(task: str, metric: str, labels: Array, predictions: Array) -> Estimate:
    """Returns a metric of METRICS.

    Args:
        task: binary, multiclass or regression.
        metric: One of the task's.
        labels: 0 and 1, class numbers, or values; shape (rows,).
        predictions: Probabilities of 1 or values, shape (rows,); of a multiclass task (rows, classes).
    """
    if metric == "auc":
        return _auc(labels, predictions)
    if metric == "accuracy":
        chosen = predictions.argmax(axis=1) if task == MULTICLASS else predictions > 0.5
        return _mean((chosen == labels).astype(np.float64))
    if metric == "log_loss":
        return _mean(_log_losses(task, labels, predictions))
    differences = predictions - labels
    if metric == "mae":
        return _mean(np.abs(differences))
    squares = _mean(differences**2)
    if metric == "mse":
        return squares
    root = squares.value**0.5
    return Estimate(root, squares.error / (2 * root) if root else squares.error)


def _log_losses(task: str, labels: Array, predictions: Array) -> Array:
    if task == MULTICLASS:
        of_label = predictions[np.arange(len(labels)), labels.astype(np.int64)]
        return -np.log(np.clip(of_label, EPSILON, 1.0))
    clipped = np.clip(predictions, EPSILON, 1 - EPSILON)
    return -np.where(labels > 0.5, np.log(clipped), np.log1p(-clipped))


def _mean(values: Array) -> Estimate:
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("inf")
    return Estimate(float(values.mean()), error)


def _auc(labels: Array, predictions: Array) -> Estimate:
    positives = labels > 0.5
    ones, zeros = int(positives.sum()), int((~positives).sum())
    if ones < 2 or zeros < 2:
        return Estimate(float("nan"), float("inf"))
    ranks = _midranks(predictions)
    above = (ranks[positives] - _midranks(predictions[positives])) / zeros
    below = 1 - (ranks[~positives] - _midranks(predictions[~positives])) / ones
    variance = float(np.var(above, ddof=1)) / ones + float(np.var(below, ddof=1)) / zeros
    return Estimate(float(above.mean()), variance**0.5)


def _midranks(values: Array) -> Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse.reshape(-1)]
