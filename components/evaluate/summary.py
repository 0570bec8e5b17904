"""The machine-readable account of an evaluation, and what is logged of it."""

import dataclasses
import math
from pathlib import Path
from typing import Any

from tensorflow_model_analysis.proto import config_pb2

from components import artifacts
from components.evaluate import array_metrics, curves, slices, words
from components.evaluate.config import CHALLENGER, CHAMPION
from components.evaluate.results import Evaluation, Scores

ROLES = {"challenger": CHALLENGER, "champion": CHAMPION}


@dataclasses.dataclass(frozen=True)
class Result:
    """A verdict with its account (the content of summary.json)."""

    blessed: bool
    account: dict[str, Any]

    def log_to(self, metrics: Any, curves: Any) -> None:
        """Logs to KFP's artifacts; only finite numbers, since KFP cannot serialise others.

        Args:
            metrics: A `dsl.Metrics`: the overall metrics by name, the champion's as `champion_<name>`.
            curves: A `dsl.ClassificationMetrics`: ROC curve and confusion matrix of the challenger.
        """
        prefixes = {"challenger": "", "champion": "champion_"}
        numbers = {
            f"{prefixes[role]}{name}": value
            for role, values in self.account["metrics"].items()
            for name, value in values.items()
            if value is not None
        }
        for name, value in numbers.items():
            metrics.log_metric(name, value)
        drawn = self.account["curves"].get("challenger", {})
        if drawn:
            roc, counts = drawn["roc"], drawn["confusion"]
            curves.log_roc_curve(roc["fpr"], roc["tpr"], roc["thresholds"])
            matrix = [[counts["tn"], counts["fp"]], [counts["fn"], counts["tp"]]]
            curves.log_confusion_matrix(["negative", "positive"], matrix)
        # kfp.local's cache takes an artifact without a file for a miss.
        artifacts.write_json(Path(metrics.path), numbers)
        artifacts.write_json(Path(curves.path), drawn)


def empty(scores: Scores) -> dict[str, Any]:
    """Returns the account of predictions that cannot be measured."""
    return {
        "label": scores.label,
        "rows": len(scores.labels),
        "positive_rate": float(scores.labels.mean(dtype="float64")),
        "metrics": {"challenger": {}, "champion": {}},
        "slices": [],
        "curves": {},
        "baseline": None,
        "comparison": None,
        "slice_comparison": [],
    }


def describe(scores: Scores, evaluation: Evaluation, config: config_pb2.EvalConfig) -> dict[str, Any]:
    """Returns the account of TFMA's metrics and of each model's curves; the gates add theirs."""
    rows = slices.rows_by_slice(scores.columns, config)
    tables = [_slice(key, len(rows[key]), metrics) for key, metrics in evaluation.metrics]
    drawn = {
        role: curves.describe(scores.labels, scores.predictions[name])
        for role, name in ROLES.items()
        if name in scores.predictions
    }
    overall = {role: table[role] for table in tables if table["slice"] == "overall" for role in ROLES}
    return empty(scores) | {
        "metrics": overall,
        "slices": [table for table in tables if table["slice"] != "overall"],
        "curves": drawn,
    }


def finding(account: dict[str, Any]) -> str:
    """Says the verdict in one line with its numbers."""
    if not account["blessed"]:
        refusals = [check["reason"] for check in account["checks"] if not check["passed"]]
        more = f", and {len(refusals) - 1} more" if len(refusals) > 1 else ""
        return f"refused: {refusals[0].split(' (')[0]}{more}"  # the numbers in brackets stand in the report
    metric, compared = words.title(account["gates"]["metric"]), account["comparison"]
    if compared is None:
        ours = account["baseline"]
        return (
            f"blessed: {metric} {words.number(ours['challenger'])}, no champion, trivial {words.number(ours['value'])}"
        )
    version = account["compared_with"]
    champion = "champion" if version == "champion" else f"champion v{version}"
    return (
        f"blessed: {metric} {words.number(compared['challenger'])}, {champion} {words.number(compared['champion'])} "
        f"({words.change(compared['gain'])}, {100 * compared['confidence']:g} % {words.change(compared['low'])} "
        f"to {words.change(compared['high'])})"
    )


def clean(value: Any) -> Any:
    """Returns JSON values with None in place of NaN and infinity."""
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _slice(key: slices.SliceKey, rows: int, metrics: array_metrics.Metrics) -> dict[str, Any]:
    """One slice's metrics by role; a single model goes by the empty name in TFMA's keys."""
    names = {"challenger": ("", CHALLENGER), "champion": (CHAMPION,)}
    values = {
        role: {
            metric.name: value for metric, value in metrics.items() if metric.model_name in of and not metric.is_diff
        }
        for role, of in names.items()
    }
    return {"slice": slices.name(key), "columns": dict(key), "rows": rows, **values}
