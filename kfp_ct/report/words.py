"""How the report says numbers, times and names."""

import datetime
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_ct.pages.html import MISSING

_TITLES = {"auc": "AUC", "auc_precision_recall": "AUC-PR", "binary_accuracy": "accuracy", "mean_label": "mean label",
           "mean_prediction": "mean prediction", "binary_crossentropy": "log loss",
           "sparse_categorical_accuracy": "accuracy", "sparse_categorical_crossentropy": "log loss",
           "macro_auc": "macro AUC", "auc_macro_average": "macro AUC", "root_mean_squared_error": "RMSE",
           "rmse": "RMSE", "mean_squared_error": "MSE", "mse": "MSE", "mean_absolute_error": "MAE", "mae": "MAE",
           "r2": "R²"}  # fmt: skip
_VERDICTS = {"better": "better", "not_significant": "not significantly better", "worse": "worse"}
_LESS_IS_BETTER = ("loss", "crossentropy", "error", "brier", "rmse", "mse", "mae")
_MORE_IS_BETTER = ("auc", "accuracy", "precision", "recall", "f1", "r2")


def title(metric: str) -> str:
    """Returns a metric's name for people."""
    return _TITLES.get(metric, metric.replace("_", " "))


def direction(metric: str) -> int:
    """Returns 1 where more is better, -1 where less is better, 0 where neither is known."""
    if any(part in metric for part in _LESS_IS_BETTER):
        return -1
    return 1 if any(part in metric for part in _MORE_IS_BETTER) else 0


def verdict(evaluation: Mapping[str, Any]) -> str:
    """Says how the challenger compares with the champion: one of three verdicts; empty where none was given."""
    compared = evaluation.get("comparison") or {}
    return _VERDICTS.get(str(compared.get("verdict", "")), "")


def only_not_significant(evaluation: Mapping[str, Any]) -> bool:
    """Whether nothing speaks against a model but that it is not significantly better than the champion."""
    refused = {check["gate"] for check in evaluation.get("checks", ()) if not check["passed"]}
    compared = evaluation.get("comparison") or {}
    return refused == {"champion"} and compared.get("verdict") == "not_significant"


def metric(value: Any, digits: int = 4) -> str:
    """Formats a metric with a fixed number of digits, whole numbers with separators; a dash where there is none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return MISSING
    if float(value).is_integer() and abs(value) > 1:
        return f"{value:,.0f}"
    return f"{value:.{digits}f}".replace("-", "−")


def change(value: Any, digits: int = 4) -> str:
    """Formats a difference with its sign."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return MISSING
    said = f"{value:+.{digits}f}"
    return (said[1:] if float(said) == 0 else said).replace("-", "−")


def seconds(value: float) -> str:
    """Formats a duration: `0.3 s`, `62 s`, `2 min 5 s`, `1 h 10 min`."""
    if value < 9.95:
        return f"{value:.1f} s"
    if value < 99.5:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def moment(iso: str) -> str:
    """Formats an ISO 8601 time in UTC; what is none stays as it is."""
    try:
        return f"{datetime.datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return iso


def count(number: int, singular: str) -> str:
    """Says how many: `1 step`, `2 steps`."""
    return f"{number:,} {singular}{'' if number == 1 else 's'}"


def version(name: str) -> str:
    """Says a model's version: `v3`."""
    return f"v{name}" if name[:1].isdigit() else name


def level(confidence: float) -> str:
    """Says a confidence level: `95 %`."""
    return f"{100 * confidence:g} %"


def day(instant: str) -> str:
    """Says an ISO 8601 instant, without a time of midnight."""
    return instant.removesuffix("Z").removesuffix("+00:00").removesuffix("T00:00:00").removesuffix(" 00:00:00")


def near(path: str) -> str:
    """Says a path relative to the working directory if it lies below it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
