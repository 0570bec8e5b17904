"""The machine-readable report of an evaluation, and what is logged of it."""

import dataclasses
import math
from pathlib import Path
from typing import Any

from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2

from kfp_ct.components.evaluate import curves, display, slices
from kfp_ct.components.evaluate.config import CHALLENGER, CHAMPION
from kfp_ct.components.evaluate.results import Evaluation
from kfp_ct.components.evaluate.samples import Scores
from kfp_ct.components.evaluate.settings import BINARY
from kfp_ct.data import layouts

ROLES = {"challenger": CHALLENGER, "champion": CHAMPION}


@dataclasses.dataclass(frozen=True)
class Result:
    """A verdict with its report (the content of summary.json)."""

    blessed: bool
    report: dict[str, Any]

    def log_to(self, metrics: Any, curves: Any) -> None:
        """Logs to KFP's artifacts; only finite numbers, since KFP cannot serialise others.

        Args:
            metrics: A `dsl.Metrics`: the overall metrics by name, the champion's as `champion_<name>`.
            curves: A `dsl.ClassificationMetrics`: ROC curve and confusion matrix of the challenger; nothing of a
                regression.
        """
        prefixes = {"challenger": "", "champion": "champion_"}
        numbers = {
            f"{prefixes[role]}{name}": value
            for role, values in self.report["metrics"].items()
            for name, value in values.items()
            if value is not None
        }
        for name, value in numbers.items():
            metrics.log_metric(name, value)
        drawn = self.report["curves"].get("challenger", {})
        if matrix := drawn.get("classes", {}).get("matrix"):
            curves.log_confusion_matrix(drawn["classes"]["names"], matrix)
        if "roc" in drawn:
            roc, counts = drawn["roc"], drawn["confusion"]
            curves.log_roc_curve(roc["fpr"], roc["tpr"], roc["thresholds"])
            matrix = [[counts["tn"], counts["fp"]], [counts["fn"], counts["tp"]]]
            curves.log_confusion_matrix(self.report["classes"] or ["negative", "positive"], matrix)
        # kfp.local's cache takes an artifact without a file for a miss.
        layouts.write_json(Path(metrics.path), numbers)
        layouts.write_json(Path(curves.path), drawn)


def empty(scores: Scores) -> dict[str, Any]:
    """Returns the report of predictions that cannot be measured."""
    scored = scores.primary
    binary = scored.sample.task == BINARY
    return {
        "task": scored.sample.task,
        "output": scored.output.name,
        "classes": list(scored.classes),
        "label": scored.output.label,
        "weight": scored.output.weight,
        "rows": scores.rows,
        "positive_rate": float(scored.sample.labels.mean(dtype="float64")) if binary else None,
        "metrics": {"challenger": {}, "champion": {}},
        "intervals": {},
        "slices": [],
        "curves": {},
        "baseline": None,
        "comparison": None,
        "fair_comparison": None,
        "slice_comparison": [],
        "slice_gaps": [],
    }


def sizes(scores: Scores, evaluation: Evaluation, config: config_pb2.EvalConfig) -> dict[slices.SliceKey, int]:
    """Returns the rows of every slice; of slices in SQL, TFMA's count."""
    found = {key: len(rows) for key, rows in slices.rows_by_slice(scores.columns, config).items()}
    for key, metrics in evaluation.metrics:
        counts = [value for metric, value in metrics.items() if metric.name == "example_count" and value is not None]
        if key not in found and counts:
            found[key] = int(counts[0])
    return found


def describe(scores: Scores, evaluation: Evaluation, rows: dict[slices.SliceKey, int]) -> dict[str, Any]:
    """Returns the report of TFMA's metrics and of each model's curves; the gates add theirs."""
    scored = scores.primary
    output = scored.output.name
    tables = [
        {"slice": slices.name(key), "columns": dict(key), "rows": rows.get(key, 0)}
        | {role: _metrics_of(role, metrics, output) for role in ROLES}
        for key, metrics in evaluation.metrics
    ]
    drawn = {
        role: curves.describe(scored, scored.predictions[name])
        for role, name in ROLES.items()
        if name in scored.predictions
    }
    overall = {role: table[role] for table in tables if table["slice"] == "overall" for role in ROLES}
    ends = {role: _metrics_of(role, evaluation.intervals.get(slices.OVERALL, {}), output) for role in ROLES}
    return empty(scores) | {
        "metrics": overall,
        "intervals": {role: found for role, found in ends.items() if found},
        "slices": [table for table in tables if table["slice"] != "overall"],
        "curves": drawn,
    }


def line(report: dict[str, Any]) -> str:
    """Returns the verdict and its numbers in one line, for the log."""
    if not report["blessed"]:
        refusals = [check["reason"] for check in report["checks"] if not check["passed"]]
        more = f", and {len(refusals) - 1} more" if len(refusals) > 1 else ""
        return f"refused: {refusals[0].split(' (')[0]}{more}"  # the numbers in brackets stand in the report
    metric, compared = display.title(report["gates"]["metric"]), report["comparison"]
    if compared is None:
        ours, trivial = (display.number(report["baseline"][name]) for name in ("challenger", "value"))
        return f"blessed: {metric} {ours}, no champion, trivial {trivial}"
    version = report["compared_with"]
    champion = "champion" if version == "champion" else f"champion v{version}"
    accepted = "" if compared["verdict"] == "better" else "not significantly better is accepted, "
    return (
        f"blessed: {accepted}{metric} {display.number(compared['challenger'])}, "
        f"{champion} {display.number(compared['champion'])} "
        f"({display.change(compared['gain'])}, {100 * compared['confidence']:g} % {display.change(compared['low'])} "
        f"to {display.change(compared['high'])})"
    )


def clean(value: Any) -> Any:
    """Returns JSON values with None in place of NaN and infinity."""
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _metrics_of(role: str, metrics: dict[metric_types.MetricKey, Any], output: str) -> dict[str, Any]:
    """One model's metrics by name; a single model goes by the empty name in TFMA's keys."""
    names = {"challenger": ("", CHALLENGER), "champion": (CHAMPION,)}[role]
    of = {key: value for key, value in metrics.items() if key.model_name in names and not key.is_diff}
    return {display.metric(key, output): value for key, value in of.items()}
