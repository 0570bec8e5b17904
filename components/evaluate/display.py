"""Formats numbers, metric names and verdicts for display: in reasons, summary lines and pages."""

from typing import Any

from tensorflow_model_analysis.metrics import metric_types

from kfp_ct.components.evaluate.estimates import Interval

_TITLES = {
    "auc": "AUC", "auc_precision_recall": "AUC-PR", "macro_auc": "macro AUC", "micro_auc": "micro AUC", "rmse": "RMSE",
    "mse": "MSE", "mae": "MAE", "r2": "R²", "root_mean_squared_error": "RMSE", "mean_squared_error": "MSE",
    "mean_absolute_error": "MAE", "binary_accuracy": "accuracy", "sparse_categorical_accuracy": "accuracy",
    "binary_crossentropy": "log loss", "sparse_categorical_crossentropy": "log loss", "auc_macro_average": "macro AUC",
    "auc_micro_average": "micro AUC", "macro_f1": "macro F1", "micro_f1": "micro F1", "hamming_loss": "Hamming loss",
    "f1_score_macro_average": "macro F1", "f1_score_micro_average": "micro F1",
}  # fmt: skip
VERDICTS = {"better": "better", "not_significant": "not significantly better", "worse": "worse"}


def title(metric: str) -> str:
    """Returns a metric's name for people."""
    return _TITLES.get(metric, metric.replace("_", " "))


def metric(key: metric_types.MetricKey, primary: str = "") -> str:
    """Returns one of TFMA's metrics' name: with its output, its class or top k and its average, where it has them.

    Args:
        key: TFMA's name of it.
        primary: The output whose metrics go by their plain names.
    """
    output = f"{key.output_name}/" if key.output_name and key.output_name != primary else ""
    sub = key.sub_key
    parts = {} if sub is None else {"class": sub.class_id, "k": sub.k, "top": sub.top_k}
    named = "".join(f"_{name}_{value}" for name, value in parts.items() if value is not None)
    kinds = ("micro_average", "macro_average", "weighted_macro_average")
    average = next((f"_{kind}" for kind in kinds if getattr(key.aggregation_type, kind, False)), "")
    return f"{output}{key.name}{named}{average}"


def number(value: float, digits: int = 3) -> str:
    """Returns a number with a typographic minus."""
    return f"{value:.{digits}f}".replace("-", "−")


def change(value: float) -> str:
    """Returns a signed number; more digits where three would say nothing."""
    digits = 3 if abs(value) >= 0.0005 or value == 0 else 5
    return f"{value:+.{digits}f}".replace("-", "−")


def interval(gain: Interval, confidence: float) -> str:
    """Returns an interval of a gain."""
    return f"{100 * confidence:g} % interval {change(gain.low)} to {change(gain.high)}"


def listed(items: list[str], shown: int = 3) -> str:
    """Joins the first items and counts the others."""
    more = f"; and {len(items) - shown} more" if len(items) > shown else ""
    return "; ".join(items[:shown]) + more


def is_only_not_significant(report: dict[str, Any]) -> bool:
    """Whether nothing speaks against a model but that it is not significantly better than the champion."""
    compared = report["comparison"] or {}
    refused = {check["gate"] for check in report["checks"] if not check["passed"]}
    return refused == {"champion"} and compared.get("verdict") == "not_significant"
