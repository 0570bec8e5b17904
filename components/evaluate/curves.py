"""What is drawn of a model's predictions: curves of probabilities, a confusion matrix, values against actual ones.

Weights do not count here: the pictures are of rows.
"""

from typing import Any

import numpy as np

from kfp_ct.components.evaluate import bootstrap, estimates
from kfp_ct.components.evaluate.multilabel import THRESHOLD
from kfp_ct.components.evaluate.samples import Floats, Sample, Scored, class_name
from kfp_ct.components.evaluate.settings import BINARY, MULTICLASS, MULTILABEL, REGRESSION

POINTS = 200
CALIBRATION_BINS = 15
RESIDUAL_BUCKETS = 31
# A larger confusion matrix is nobody's to read; the counts of the most frequent confusions are kept instead.
MOST_CLASSES = 50
MOST_CONFUSIONS = 20


def describe(scored: Scored, predictions: Floats) -> dict[str, Any]:
    """Returns a model's curves as JSON values; those of its task.

    Args:
        scored: Labels, and the classes' names.
        predictions: Finite, of the task's shape.
    """
    labels = scored.sample.labels
    if scored.sample.task == MULTICLASS:
        return {"classes": _classes(scored, predictions)}
    if scored.sample.task == MULTILABEL:
        return {"labels": _labels(scored, predictions)}
    if scored.sample.task == REGRESSION:
        return {"values": _values(labels, predictions), "residuals": _residuals(labels, predictions)}
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


def _classes(scored: Scored, predictions: Floats) -> dict[str, Any]:
    """Rows by actual and predicted class, with every class's recall and precision."""
    count, actual = predictions.shape[1], scored.sample.labels.astype(np.int64)
    predicted = bootstrap.predicted_classes(MULTICLASS, predictions)
    cells, counts = np.unique(actual * count + predicted, return_counts=True)
    names = [class_name(scored.classes, number) for number in range(count)]
    rows, columns = np.bincount(actual, minlength=count), np.bincount(predicted, minlength=count)
    right = np.bincount(actual[actual == predicted], minlength=count)
    wrong = [(int(n), int(cell // count), int(cell % count)) for cell, n in zip(cells, counts, strict=True)]
    wrong = sorted((entry for entry in wrong if entry[1] != entry[2]), reverse=True)[:MOST_CONFUSIONS]
    matrix = None
    if count <= MOST_CLASSES:
        matrix = np.bincount(actual * count + predicted, minlength=count * count).reshape(count, count).tolist()
    return {
        "names": names,
        "rows": rows.tolist(),
        "recall": _shares(right, rows),
        "precision": _shares(right, columns),
        "matrix": matrix,
        "confusions": [{"rows": n, "actual": names[a], "predicted": names[p]} for n, a, p in wrong],
    }


def _labels(scored: Scored, predictions: Floats) -> dict[str, Any]:
    """Each class by itself: its rows, how many are said to have it, how often rightly, and its AUC."""
    labels = scored.sample.labels
    actual, said = labels > THRESHOLD, predictions > THRESHOLD
    rows, taken, hits = (each.sum(axis=0) for each in (actual, said, actual & said))
    areas = [
        estimates.value("auc", Sample(BINARY, labels[:, number]), predictions[:, number])
        for number in range(predictions.shape[1])
    ]
    return {
        "names": [class_name(scored.classes, number) for number in range(predictions.shape[1])],
        "rows": rows.tolist(),
        "predicted": taken.tolist(),
        "prediction": predictions.mean(axis=0, dtype=np.float64).tolist(),
        "auc": [float(area) if np.isfinite(area) else None for area in areas],
        "recall": _shares(hits, rows),
        "precision": _shares(hits, taken),
        "f1": _shares(2 * hits, rows + taken),
        "per_row": {"actual": float(actual.sum(axis=1).mean()), "predicted": float(said.sum(axis=1).mean())},
    }


def _shares(parts: np.ndarray, of: np.ndarray) -> list[float | None]:
    return [float(part) / float(whole) if whole else None for part, whole in zip(parts, of, strict=True)]


def _values(labels: Floats, predictions: Floats) -> list[dict[str, float]]:
    """Bins of equally many rows by prediction: the mean prediction, and where the actual values lie."""
    bins = np.array_split(np.argsort(predictions, kind="stable"), min(CALIBRATION_BINS, len(labels)))
    return [
        {
            "rows": len(rows),
            "predicted": float(predictions[rows].mean(dtype=np.float64)),
            "actual": float(labels[rows].mean()),
            **dict(zip(("low", "high"), np.quantile(labels[rows], [0.1, 0.9]).tolist(), strict=True)),
        }
        for rows in bins
    ]


def _residuals(labels: Floats, predictions: Floats) -> dict[str, Any]:
    """Actual minus predicted: a histogram over the middle 99 %, the tails in its end buckets, and quantiles."""
    residuals = labels.astype(np.float64) - predictions
    low, high = np.quantile(residuals, [0.005, 0.995])
    counts, edges = np.histogram(np.clip(residuals, low, high), RESIDUAL_BUCKETS)
    quantiles = np.quantile(residuals, [0.05, 0.25, 0.5, 0.75, 0.95])
    return {
        "buckets": [
            {"low": float(edges[n]), "high": float(edges[n + 1]), "rows": int(rows)} for n, rows in enumerate(counts)
        ],
        "mean": float(residuals.mean()),
        "quantiles": dict(zip(("5 %", "25 %", "50 %", "75 %", "95 %"), quantiles.tolist(), strict=True)),
    }
