"""The challenger's and the champion's predictions as curves, confusion matrices or values, by task."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from kfp_ct.pages.charts import Frame, lines
from kfp_ct.pages.formats import version
from kfp_ct.pages.plot import Point
from kfp_ct.pages.sparklines import Bucket, histogram
from kfp_ct.report.content import Content

_MOST_CLASSES = 12
_ROLES = ("challenger", "champion")
_FRAME = Frame(width=500, height=360)
Curves = dict[str, Any]  # of one model, as the evaluation's summary has them


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/curves.html` shows: the parts that the task has."""
    found = {role: of for role in _ROLES if (of := content.evaluation.get("curves", {}).get(role))}
    named = {_name(role, content.evaluation): of for role, of in found.items()}
    task = content.evaluation.get("task")
    if not named:
        return {}
    if task == "multiclass":
        return {"task": task, "models": {name: _classes(of["classes"]) for name, of in named.items()}}
    if task == "multilabel":
        return {"task": task, "models": {name: _labels(of["labels"]) for name, of in named.items()}}
    if task == "regression":
        return {"task": task, **_values(named, str(content.evaluation.get("label", "")))}
    return {"task": "binary", **_probabilities(named)}


def _probabilities(named: Mapping[str, Curves]) -> dict[str, Any]:
    roc = {name: _points(of["roc"], "fpr", "tpr") for name, of in named.items()}
    recall = {name: _points(of["pr"], "recall", "precision") for name, of in named.items()}
    calibration = {
        name: [(bin_["prediction"], bin_["positive_rate"]) for bin_ in of["calibration"]] for name, of in named.items()
    }
    unit = dataclasses.replace(_FRAME, x_limits=(0, 1), y_limits=(0, 1))
    return {
        "curves": [
            lines(roc, "false positive rate", "true positive rate", _titled("ROC", unit, diagonal=True)),
            lines(recall, "recall", "precision", _titled("Precision and recall", unit)),
            lines(calibration, "mean prediction", "share of positives", _calibration_frame(calibration)),
        ],
        "confusions": {name: of["confusion"] for name, of in named.items()},
    }


def _classes(of: Curves) -> dict[str, Any]:
    """The confusion matrix where it can be read; else every class, the least recall first."""
    names = of["names"]
    classes = [
        {"name": name, "rows": of["rows"][n], "recall": of["recall"][n], "precision": of["precision"][n]}
        for n, name in enumerate(names)
    ]
    if of.get("matrix") and len(names) <= _MOST_CLASSES:
        return {"matrix": [{**each, "predicted": row} for each, row in zip(classes, of["matrix"], strict=True)]}
    worst = sorted(classes, key=lambda each: (each["recall"] is None, each["recall"] or 0.0))
    return {"matrix": [], "first": worst[:_MOST_CLASSES], "more": worst[_MOST_CLASSES:]}


def _labels(of: Curves) -> dict[str, Any]:
    """Every class by itself, the least AUC first."""
    columns = ("rows", "predicted", "auc", "recall", "precision", "f1")
    classes = [{"name": name} | {each: of[each][n] for each in columns} for n, name in enumerate(of["names"])]
    worst = sorted(classes, key=lambda each: (each["auc"] is None, each["auc"] or 0.0))
    return {"first": worst[:_MOST_CLASSES], "more": worst[_MOST_CLASSES:], "per_row": of["per_row"]}


def _values(named: Mapping[str, Curves], label: str) -> dict[str, Any]:
    series = {name: [(bin_["predicted"], bin_["actual"]) for bin_ in of["values"]] for name, of in named.items()}
    every = [value for points in series.values() for point in points for value in point]
    limits = (min(every), max(every)) if every and max(every) > min(every) else None
    square = dataclasses.replace(_FRAME, x_limits=limits, y_limits=limits, markers=True)
    frame = _titled("Predicted and actual", square, diagonal=True)
    return {
        "predicted": lines(series, f"mean predicted {label}", f"mean actual {label}", frame),
        "residuals": {name: _residuals(name, of["residuals"]) for name, of in named.items()},
    }


def _residuals(name: str, of: dict[str, Any]) -> dict[str, Any]:
    buckets = [Bucket(bin_["low"], bin_["high"], bin_["rows"]) for bin_ in of["buckets"]]
    return {"distribution": histogram({name: buckets}, f"residuals of the {name}"), "mean": of["mean"]}


def _name(role: str, evaluation: dict[str, Any]) -> str:
    champion = evaluation.get("compared_with", "")
    return f"champion {version(champion)}" if role == "champion" and champion != "champion" else role


def _points(of: dict[str, Any], x: str, y: str) -> list[Point]:
    return list(zip(of[x], of[y], strict=True))


def _titled(title: str, frame: Frame, diagonal: bool = False) -> Frame:
    return dataclasses.replace(frame, title=title, diagonal=diagonal)


def _calibration_frame(series: Mapping[str, Sequence[Point]]) -> Frame:
    """One range on both axes, as far as the predictions reach, so that the diagonal is perfection."""
    most = max((value for points in series.values() for point in points for value in point), default=1.0)
    limits = (0.0, min(1.0, -(-most * 10 // 1) / 10))
    square = dataclasses.replace(_FRAME, x_limits=limits, y_limits=limits, markers=True)
    return _titled("Calibration", square, diagonal=True)
