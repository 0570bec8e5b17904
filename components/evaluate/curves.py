"""Curves and counts of one model's predictions: ROC, precision and recall, calibration, confusion matrix."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
POINTS = 200
CALIBRATION_BINS = 15


def describe(labels: Floats, predictions: Floats) -> dict[str, Any]:
    """Returns a model's curves as JSON values.

    Args:
        labels: 0 or 1, shape (rows,), both present.
        predictions: Finite probabilities, shape (rows,).
    """
    thresholds, hits, alarms = _counts(labels, predictions)
    kept = np.unique(np.linspace(0, len(thresholds) - 1, POINTS - 1).round().astype(int))
    positives, negatives = hits[-1], alarms[-1]
    at, hits, alarms = thresholds[kept], hits[kept], alarms[kept]
    return {
        # The first point is above every prediction: a finite threshold, since JSON and KFP refuse infinity.
        "roc": {
            "fpr": [0.0, *(alarms / negatives).tolist()],
            "tpr": [0.0, *(hits / positives).tolist()],
            "thresholds": [float(at[0]) + 1.0, *at.tolist()],
        },
        "pr": {
            "recall": (hits / positives).tolist(),
            "precision": (hits / (hits + alarms)).tolist(),
            "thresholds": at.tolist(),
        },
        "calibration": _calibration(labels, predictions),
        "confusion": _confusion(labels, predictions),
    }


def _counts(labels: Floats, predictions: Floats) -> tuple[Floats, Floats, Floats]:
    """True and false positives at every distinct prediction taken as threshold, from the highest down."""
    order = np.argsort(-predictions, kind="stable")
    ordered = predictions[order].astype(np.float64)
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits = np.cumsum(labels[order], dtype=np.float64)[last]
    return ordered[last], hits, last + 1 - hits


def _calibration(labels: Floats, predictions: Floats) -> list[dict[str, float]]:
    """Bins of equally many rows by prediction: mean prediction and share of positives."""
    bins = np.array_split(np.argsort(predictions, kind="stable"), min(CALIBRATION_BINS, len(labels)))
    return [
        {
            "rows": len(rows),
            "prediction": float(predictions[rows].mean(dtype=np.float64)),
            "positive_rate": float(labels[rows].mean(dtype=np.float64)),
        }
        for rows in bins
    ]


def _confusion(labels: Floats, predictions: Floats) -> dict[str, float]:
    positive, alarm = labels > 0.5, predictions > 0.5
    return {
        "threshold": 0.5,
        "tp": int((positive & alarm).sum()),
        "fp": int((~positive & alarm).sum()),
        "fn": int((positive & ~alarm).sum()),
        "tn": int((~positive & ~alarm).sum()),
    }
