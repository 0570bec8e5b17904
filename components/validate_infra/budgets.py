"""What serving a model may cost: measurements against budgets."""

import dataclasses
from pathlib import Path
from typing import Any

from kfp_ct.components.validate_infra.settings import Infra
from kfp_ct.data import layouts
from kfp_ct.models.blessing import Check


@dataclasses.dataclass(frozen=True)
class _Budget:
    setting: str
    measure: str
    title: str
    unit: str
    at_least: bool = False


_BUDGETS = (
    _Budget("p50_ms", "p50_ms", "latency p50", "ms"),
    _Budget("p99_ms", "p99_ms", "latency p99", "ms"),
    _Budget("min_rows_per_s", "rows_per_s", "throughput", "rows/s", at_least=True),
    _Budget("max_memory_mb", "memory_mb", "peak memory", "MB"),
    _Budget("max_load_s", "load_s", "start", "s"),
    _Budget("max_model_mb", "model_mb", "model size", "MB"),
)


def size_mb(model_path: str) -> float:
    """Returns the size of a model artifact's SavedModel."""
    files = (Path(model_path) / layouts.SERVING_MODEL).rglob("*")
    return sum(path.stat().st_size for path in files if path.is_file()) / (1 << 20)


def judge(settings: Infra, measured: dict[str, float]) -> list[Check]:
    """Returns a check for every budget that is set; one whose measurement is missing says no."""
    return [
        _check(budget, getattr(settings, budget.setting), measured.get(budget.measure)) for budget in _set(settings)
    ]


def table(settings: Infra, measured: dict[str, float]) -> list[dict[str, Any]]:
    """Returns every measurement with its budget, for the report and the page."""
    return [
        {
            "title": budget.title,
            "unit": budget.unit,
            "value": measured.get(budget.measure),
            "budget": getattr(settings, budget.setting),
            "at_least": budget.at_least,
        }
        for budget in _BUDGETS
    ]


def _set(settings: Infra) -> list[_Budget]:
    return [budget for budget in _BUDGETS if getattr(settings, budget.setting) is not None]


def _check(budget: _Budget, limit: float, value: float | None) -> Check:
    if value is None:
        return Check(budget.setting, False, f"{budget.title} was not measured")
    passed = value >= limit if budget.at_least else value <= limit
    word = "at least" if budget.at_least else "at most"
    return Check(budget.setting, passed, f"{budget.title} {value:.4g} {budget.unit}, {word} {limit:g} allowed")
