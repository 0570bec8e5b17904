"""Which value reaches which component's parameter: a package's inputs and constants, followed through its DAGs."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.package.package import Package

# The thin body of a component imports its work: `from kfp_ct.components.evaluate import work`.
_WORK = re.compile(r"^\s*from ([\w.]+) import [\w, ]*\bwork\b", re.MULTILINE)
_COMPOSED = "{{$"  # a constant made of values that are known when the task runs


@dataclasses.dataclass(frozen=True)
class FromInput:
    """The value is that of an input of the pipeline."""

    name: str


@dataclasses.dataclass(frozen=True)
class Constant:
    """The value stands in the package, as the pipeline or a component has it."""

    value: Any


Source = FromInput | Constant | None  # None: known when the task runs


@dataclasses.dataclass(frozen=True)
class Task:
    """A task that runs a component.

    Attributes:
        name: The task's name, those of the DAGs around it in front: `condition-1.register`.
        package: Import path of the component's folder; empty where it does not import its work from one.
        sources: Where its parameters come from.
        descriptions: What the component says of its parameters.
        producers: The task that makes each of its input artifacts, of the same DAG or of one around it.
    """

    name: str
    package: str
    sources: Mapping[str, Source]
    descriptions: Mapping[str, str]
    producers: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class _Scope:
    """A DAG's inputs as they are bound, and the names of the DAGs around its tasks."""

    parameters: Mapping[str, Source]
    artifacts: Mapping[str, str]
    prefix: str = ""


def tasks(package: Package) -> list[Task]:
    """Returns the tasks of all DAGs of a package, in their order."""
    root = package["root"]
    bound: dict[str, Source] = {name: FromInput(name) for name in _parameters(root)}
    return list(_tasks(package, root.get("dag", {}), _Scope(bound, {})))


def _tasks(package: Package, dag: Mapping[str, Any], scope: _Scope) -> Iterator[Task]:
    for name, task in dag.get("tasks", {}).items():
        component = package["components"][task["componentRef"]["name"]]
        definitions = _parameters(component)
        given = task.get("inputs", {}).get("parameters", {})
        sources = {
            parameter: _source(given[parameter], scope.parameters) if parameter in given else _default(definition)
            for parameter, definition in definitions.items()
        }
        producers = _producers(task, scope)
        full = f"{scope.prefix}{name}"
        if "dag" in component:
            yield from _tasks(package, component["dag"], _Scope(sources, producers, f"{full}."))
        else:
            said = {each: " ".join(d.get("description", "").split()) for each, d in definitions.items()}
            yield Task(full, _component_package(package, component), sources, said, producers)


def _producers(task: Mapping[str, Any], scope: _Scope) -> dict[str, str]:
    found = {}
    for name, given in task.get("inputs", {}).get("artifacts", {}).items():
        if "taskOutputArtifact" in given:
            found[name] = f"{scope.prefix}{given['taskOutputArtifact']['producerTask']}"
        elif given.get("componentInputArtifact") in scope.artifacts:
            found[name] = scope.artifacts[given["componentInputArtifact"]]
    return found


def _parameters(component: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(component.get("inputDefinitions", {}).get("parameters", {}))


def _source(given: Mapping[str, Any], bound: Mapping[str, Source]) -> Source:
    if "parameterExpressionSelector" in given:
        return None
    if "componentInputParameter" in given:
        return bound.get(given["componentInputParameter"])
    constant = given.get("runtimeValue", {})
    if "constant" not in constant or _COMPOSED in str(constant["constant"]):
        return None
    return Constant(constant["constant"])


def _default(definition: Mapping[str, Any]) -> Source:
    return Constant(definition["defaultValue"]) if "defaultValue" in definition else None


def _component_package(package: Package, component: Mapping[str, Any]) -> str:
    executors = package.get("deploymentSpec", {}).get("executors", {})
    container = executors.get(component.get("executorLabel", ""), {}).get("container", {})
    found = _WORK.search("\n".join(map(str, container.get("command", []))))
    return found[1] if found else ""
