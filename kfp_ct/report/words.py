"""How the report says numbers, times and names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_ct.pages import formats

metric, change, seconds, moment = formats.metric, formats.change, formats.duration, formats.moment
count, version, level, day = formats.plural, formats.version, formats.level, formats.day

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


def near(path: str) -> str:
    """Says a path relative to the working directory if it lies below it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
