"""How far answers are from labels, and how far the best constant answer is."""

import numpy as np

from kfp_ct.base.errors import ConfigurationError

_SURE = 1e-6


def loss(task: str, answers: np.ndarray, labels: np.ndarray) -> float:
    """Returns the log loss of probabilities, or the mean squared error of a regression.

    Args:
        task: "binary" (answers `[n]` or `[n, 1]`), "multiclass" (`[n, classes]`) or "regression".
        answers: What the model says.
        labels: Numbers `[n]`; classes are 0, 1, ….
    """
    if task == "regression":
        return float(np.mean((answers.reshape(-1) - labels) ** 2))
    if task == "multiclass":
        chosen = answers[np.arange(len(labels)), labels.astype(int)]
    elif task == "binary":
        probability = answers.reshape(-1)
        chosen = np.where(labels > 0, probability, 1 - probability)
    else:
        raise ConfigurationError(f"there is no task {task!r}\nexpected: binary, multiclass or regression")
    return float(-np.mean(np.log(np.clip(chosen, _SURE, 1))))


def constant_loss(task: str, labels: np.ndarray) -> float:
    """Returns the loss of the answer that is best without looking at a row: shares of the classes, or the mean."""
    if task == "regression":
        return loss(task, np.full(len(labels), labels.mean()), labels)
    shares = np.bincount(labels.astype(int)) / len(labels)
    return loss("multiclass", np.tile(shares, (len(labels), 1)), labels)
