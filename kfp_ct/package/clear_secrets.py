"""Secrets that stand in a package in the clear: in defaults, constants and environment variables."""

from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.base import secrets
from kfp_ct.base.setting_problems import Path, Problem
from kfp_ct.package.package import Package


def problems(compiled: Package) -> list[Problem]:
    """Returns a problem for every secret that whoever reads the package would learn; sources are not searched."""
    return [problem for path, values in _places(compiled) for problem in secrets.in_the_clear(values, path)]


def _places(compiled: Package) -> Iterator[tuple[Path, dict[str, Any]]]:
    yield (), _defaults(compiled["root"])
    for name, component in compiled.get("components", {}).items():
        yield (name.removeprefix("comp-"),), _defaults(component)
    for dag in (each.get("dag", {}) for each in [compiled["root"], *compiled.get("components", {}).values()]):
        for name, task in dag.get("tasks", {}).items():
            yield (name,), _constants(task)
    for label, executor in ((compiled.get("deploymentSpec") or {}).get("executors") or {}).items():
        variables = (executor.get("container") or {}).get("env") or []
        yield (label, "env"), {str(each.get("name")): each.get("value") for each in variables}


def _defaults(component: Mapping[str, Any]) -> dict[str, Any]:
    definitions = (component.get("inputDefinitions") or {}).get("parameters") or {}
    return {name: each["defaultValue"] for name, each in definitions.items() if "defaultValue" in each}


def _constants(task: Mapping[str, Any]) -> dict[str, Any]:
    given = (task.get("inputs") or {}).get("parameters") or {}
    constants = {name: (each.get("runtimeValue") or {}).get("constant") for name, each in given.items()}
    return {name: value for name, value in constants.items() if value is not None}
