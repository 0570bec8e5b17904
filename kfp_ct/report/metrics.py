"""Reads an evaluation's numbers: the metric the decision rests on, and who is better by it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

# The gates' names of metrics and TFMA's.
_ALIASES = {
    "auc": ("auc",),
    "log_loss": ("log_loss", "binary_crossentropy", "sparse_categorical_crossentropy"),
    "accuracy": ("accuracy", "binary_accuracy", "sparse_categorical_accuracy"),
    "macro_auc": ("macro_auc", "auc_macro_average"),
    "micro_auc": ("micro_auc", "auc_micro_average", "auc"),
    "macro_f1": ("macro_f1", "f1_score_macro_average"),
    "micro_f1": ("micro_f1", "f1_score_micro_average", "f1_score"),
    "rmse": ("rmse", "root_mean_squared_error"),
    "mse": ("mse", "mean_squared_error"),
    "mae": ("mae", "mean_absolute_error"),
}
_COUNTS = ("example_count", "weighted_example_count")
_TITLES = {"auc": "AUC", "auc_precision_recall": "AUC-PR", "binary_accuracy": "accuracy", "mean_label": "mean label",
           "mean_prediction": "mean prediction", "binary_crossentropy": "log loss",
           "sparse_categorical_accuracy": "accuracy", "sparse_categorical_crossentropy": "log loss",
           "macro_auc": "macro AUC", "auc_macro_average": "macro AUC", "root_mean_squared_error": "RMSE",
           "rmse": "RMSE", "mean_squared_error": "MSE", "mse": "MSE", "mean_absolute_error": "MAE", "mae": "MAE",
           "r2": "R²", "micro_auc": "micro AUC", "auc_micro_average": "micro AUC", "macro_f1": "macro F1",
           "micro_f1": "micro F1", "f1_score_macro_average": "macro F1", "f1_score_micro_average": "micro F1",
           "hamming_loss": "Hamming loss"}  # fmt: skip
_LESS_IS_BETTER = ("loss", "crossentropy", "error", "brier", "rmse", "mse", "mae")
_MORE_IS_BETTER = ("auc", "accuracy", "precision", "recall", "f1", "r2")


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric of challenger and champion; None where there is none."""

    name: str
    challenger: float | None
    champion: float | None

    @property
    def title(self) -> str:
        """The metric's name for people."""
        return title(self.name)

    @property
    def difference(self) -> float | None:
        """Challenger minus champion."""
        if self.challenger is None or self.champion is None:
            return None
        return self.challenger - self.champion

    @property
    def gain(self) -> float | None:
        """The difference, turned so that more is better; None where that is not known."""
        sense = direction(self.name)
        return self.difference * sense if sense and self.difference is not None else None


def title(metric: str) -> str:
    """Returns a metric's name for people."""
    return _TITLES.get(metric, metric.replace("_", " "))


def direction(metric: str) -> int:
    """Returns 1 where more is better, -1 where less is better, 0 where neither is known."""
    if any(part in metric for part in _LESS_IS_BETTER):
        return -1
    return 1 if any(part in metric for part in _MORE_IS_BETTER) else 0


def every(of: Mapping[str, Any]) -> list[Metric]:
    """Lists the metrics of the whole or of a slice: an object with `challenger` and `champion`, name to value."""
    challenger, champion = of.get("challenger") or {}, of.get("champion") or {}
    names = [name for name in dict.fromkeys([*challenger, *champion]) if name not in _COUNTS]
    found = [Metric(name, _number(challenger.get(name)), _number(champion.get(name))) for name in names]
    return [metric for metric in found if metric.challenger is not None or metric.champion is not None]


def primary(evaluation: Mapping[str, Any]) -> Metric | None:
    """Returns the metric that the gates compare by; None if there is no evaluation."""
    measured = evaluation.get("comparison") or evaluation.get("baseline") or {}
    wanted, of = measured.get("metric"), evaluation.get("metrics") or {}
    found = pick(evaluation, of)
    if wanted and (found is None or found.name not in _ALIASES.get(wanted, (wanted,))) and "challenger" in measured:
        # The gates' metric need not be among those that the EvalConfig asks for.
        return Metric(wanted, _number(measured["challenger"]), _number(measured.get("champion")))
    return found


def pick(evaluation: Mapping[str, Any], of: Mapping[str, Any]) -> Metric | None:
    """Returns the metric that the gates compare by, of the whole or of a slice; else the first there is."""
    found = {metric.name: metric for metric in every(of)}
    wanted = str((evaluation.get("gates") or {}).get("metric", ""))
    named = next((found[name] for name in _ALIASES.get(wanted, (wanted,)) if name in found), None)
    return named or next(iter(found.values()), None)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
