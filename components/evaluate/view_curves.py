"""What an evaluation's page draws of the predictions, by task."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kfp_ct.pages.charts import UNIT_SQUARE, LineChart, lines
from kfp_ct.pages.plot import Point
from kfp_ct.pages.sparklines import Bucket, histogram

_MOST_CLASSES = 12
Curves = dict[str, Any]  # of one model, as the summary has them


def describe(account: dict[str, Any], roles: Mapping[str, str]) -> dict[str, Any]:
    """Returns the curves of a binary model, the confusion matrices of classes, or values against actual ones.

    Args:
        account: The content of summary.json.
        roles: Role → what it is called.
    """
    named = {name: account["curves"][role] for role, name in roles.items() if role in account["curves"]}
    if account["task"] == "multiclass":
        return {"models": {name: _classes(of["classes"]) for name, of in named.items()}}
    if account["task"] == "multilabel":
        return {"models": {name: _labels(of["labels"]) for name, of in named.items()}}
    if account["task"] == "regression":
        return _values(named, account["label"])
    return _probabilities(named)


def _probabilities(named: Mapping[str, Curves]) -> dict[str, Any]:
    roc = {name: _points(of["roc"], "fpr", "tpr") for name, of in named.items()}
    recall = {name: _points(of["pr"], "recall", "precision") for name, of in named.items()}
    calibration = {
        name: [(b["prediction"], b["positive_rate"]) for b in of["calibration"]] for name, of in named.items()
    }
    limits = (0.0, max(value for points in calibration.values() for point in points for value in point))
    unit = dataclasses.replace(UNIT_SQUARE, title="ROC")
    plain = dataclasses.replace(UNIT_SQUARE, title="Precision and recall", diagonal=False)
    square = dataclasses.replace(unit, title="Calibration", x_limits=limits, y_limits=limits, markers=True)
    return {
        "charts": [
            lines(roc, "false positive rate", "true positive rate", unit),
            lines(recall, "recall", "precision", plain),
            lines(calibration, "mean prediction", "share of positives", square),
        ],
        "confusions": {name: of["confusion"] for name, of in named.items()},
    }


def _classes(of: Curves) -> dict[str, Any]:
    """The confusion matrix where it can be read, else the most frequent confusions; recall and precision by class."""
    names = of["names"]
    classes = [
        {"name": name, "rows": of["rows"][n], "recall": of["recall"][n], "precision": of["precision"][n]}
        for n, name in enumerate(names)
    ]
    if of["matrix"] and len(names) <= _MOST_CLASSES:
        return {"matrix": [{**each, "predicted": row} for each, row in zip(classes, of["matrix"], strict=True)]}
    worst = sorted(classes, key=lambda each: (each["recall"] is None, each["recall"] or 0.0))
    return {"matrix": [], "first": worst[:_MOST_CLASSES], "more": worst[_MOST_CLASSES:], "confusions": of["confusions"]}


def _labels(of: Curves) -> dict[str, Any]:
    """Every class with its numbers, the least AUC first; those beyond the first apart."""
    columns = ("rows", "predicted", "auc", "recall", "precision", "f1")
    classes = [{"name": name} | {each: of[each][n] for each in columns} for n, name in enumerate(of["names"])]
    worst = sorted(classes, key=lambda each: (each["auc"] is None, each["auc"] or 0.0))
    return {"first": worst[:_MOST_CLASSES], "more": worst[_MOST_CLASSES:], "per_row": of["per_row"]}


def _values(named: Mapping[str, Curves], label: str) -> dict[str, Any]:
    series = {name: [(b["predicted"], b["actual"]) for b in of["values"]] for name, of in named.items()}
    every = [value for points in series.values() for point in points for value in point]
    limits = (min(every), max(every)) if max(every) > min(every) else None
    square = dataclasses.replace(
        UNIT_SQUARE, title="Predicted and actual", x_limits=limits, y_limits=limits, markers=True
    )
    return {
        "charts": [
            lines(series, f"mean predicted {label}", f"mean actual {label}", square),
            _spread(next(iter(named.values()))["values"], label),
        ],
        "quantiles": list(next(iter(named.values()))["residuals"]["quantiles"]),
        "residuals": {name: _residuals(name, of["residuals"]) for name, of in named.items()},
    }


def _spread(values: list[dict[str, float]], label: str) -> LineChart:
    bands = {"90 % below": "high", "mean": "actual", "10 % below": "low"}
    series = {name: [(b["predicted"], b[key]) for b in values] for name, key in bands.items()}
    title = "Spread of the actual values, challenger"
    wide = dataclasses.replace(UNIT_SQUARE, title=title, x_limits=None, y_limits=None, diagonal=False)
    return lines(series, f"mean predicted {label}", f"actual {label}", wide)


def _residuals(name: str, of: Curves) -> dict[str, Any]:
    buckets = [Bucket(b["low"], b["high"], b["rows"]) for b in of["buckets"]]
    shape = histogram({name: buckets}, f"residuals of the {name}", size=(320, 70))
    return {"distribution": shape, "numbers": [of["mean"], *of["quantiles"].values()]}


def _points(of: dict[str, list[float]], x: str, y: str) -> list[Point]:
    return list(zip(of[x], of[y], strict=True))
