"""What a task of a run is given, and where each value comes from."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.package import package
from kfp_ct.runs import record

_PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.parameters\[['\"](.+?)['\"]\]\}\}")


@dataclasses.dataclass(frozen=True)
class TaskInput:
    """A parameter or artifact that a task takes.

    Attributes:
        name: The component's name for it.
        value: The value, or the artifact's URI; None before it is known.
        source: Where it comes from, in words; the output's name if it comes from a task.
        task: The task whose output it is; empty if it comes from elsewhere.
    """

    name: str
    value: Any
    source: str
    task: str = ""


def task_inputs(compiled: package.Package, run: record.Run, name: str) -> list[TaskInput]:
    """Lists a task's parameters, then its artifacts, each by name."""
    for dag, scope in _scopes(compiled, compiled["root"]["dag"], dict(run.parameters), run):
        if name in dag["tasks"]:
            given = dag["tasks"][name].get("inputs", {})
            parameters = [_parameter(key, each, scope, run) for key, each in given.get("parameters", {}).items()]
            artifacts = [_artifact(key, each, scope, run) for key, each in given.get("artifacts", {}).items()]
            return [*sorted(parameters, key=_by_name), *sorted(artifacts, key=_by_name)]
    return []


def _by_name(each: TaskInput) -> str:
    return each.name


def _scopes(
    compiled: package.Package, dag: Mapping[str, Any], scope: dict[str, Any], run: record.Run
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yields a DAG and the DAGs in it, each with the values of its inputs."""
    yield dag, scope
    for task in dag["tasks"].values():
        component = compiled["components"][task["componentRef"]["name"]]
        if "dag" in component:
            given = task.get("inputs", {})
            inner = {key: _parameter(key, each, scope, run).value for key, each in given.get("parameters", {}).items()}
            inner |= {key: _artifact(key, each, scope, run).value for key, each in given.get("artifacts", {}).items()}
            yield from _scopes(compiled, component["dag"], inner, run)


def _parameter(key: str, given: Mapping[str, Any], scope: Mapping[str, Any], run: record.Run) -> TaskInput:
    if "componentInputParameter" in given:
        name = given["componentInputParameter"]
        return TaskInput(key, scope.get(name), f"input {name}")
    if "taskOutputParameter" in given:
        source = given["taskOutputParameter"]
        task = run.task(source["producerTask"])
        value = task.parameters.get(source["outputParameterKey"]) if task else None
        return TaskInput(key, value, source["outputParameterKey"], source["producerTask"])
    constant = given.get("runtimeValue", {}).get("constant")
    if isinstance(constant, str) and _PLACEHOLDER.search(constant):
        return TaskInput(key, _PLACEHOLDER.sub(lambda m: str(scope.get(m[1], m[0])), constant), "built from inputs")
    return TaskInput(key, constant, "set in the pipeline")


def _artifact(key: str, given: Mapping[str, Any], scope: Mapping[str, Any], run: record.Run) -> TaskInput:
    if "taskOutputArtifact" in given:
        source = given["taskOutputArtifact"]
        task = run.task(source["producerTask"])
        found = task.artifacts.get(source["outputArtifactKey"], {}) if task else {}
        return TaskInput(key, found.get("uri"), source["outputArtifactKey"], source["producerTask"])
    name = given.get("componentInputArtifact", "")
    return TaskInput(key, scope.get(name), f"input {name}")
