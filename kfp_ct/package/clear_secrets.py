"""Secrets that stand in a package in the clear: in defaults, constants and environment variables."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.base import secrets
from kfp_ct.base.setting_problems import Path, Problem
from kfp_ct.package.package import PLATFORMS, Package

_CHANNEL = "pipelinechannel--"
_KUBERNETES_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def problems(compiled: Package) -> list[Problem]:
    """Returns a problem for every secret that whoever reads the package would learn; sources are not searched."""
    return [problem for path, values in _places(compiled) for problem in of_values(compiled, values, path)]


def of_values(compiled: Package, values: Mapping[str, Any], path: Path = ()) -> list[Problem]:
    """Returns a problem for every secret that values of inputs hold in the clear.

    Args:
        compiled: The package; what its platform document takes for the name of a Secret, or of another object, is none.
        values: Values by the inputs' names.
        path: Where they stand.
    """
    named = set(_named_by_platforms(compiled.get(PLATFORMS, {})))
    searched = {
        name: value
        for name, value in values.items()
        if not (name in named and isinstance(value, str) and _KUBERNETES_NAME.fullmatch(value))
    }
    return secrets.in_the_clear(searched, path)


def _named_by_platforms(node: Any) -> Iterator[str]:
    """Yields the names of the inputs that a platform document refers to."""
    if isinstance(node, Mapping):
        if isinstance(name := node.get("componentInputParameter"), str):
            yield name.removeprefix(_CHANNEL)
        for each in node.values():
            yield from _named_by_platforms(each)
    elif isinstance(node, list):
        for each in node:
            yield from _named_by_platforms(each)


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
