"""Which values and whose artifacts reach each task of a package, through the DAGs of its conditions."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.package import package as packages
from kfp_ct.package import task_names

_Known = dict[str, Any]
_Unknown = dict[str, tuple["Upstream", ...]]
_Names = Mapping[task_names.Position, str]

_PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.parameters\[[\"']([^\"']+)[\"']\]\}\}")


@dataclasses.dataclass(frozen=True)
class Upstream:
    """An output of a task that runs before."""

    task: str
    output: str


@dataclasses.dataclass(frozen=True)
class ResolvedTask:
    """One task of a package.

    Attributes:
        name: Its name in the package.
        component: Name of its component, such as validate_data.
        command: What its executor runs: command and arguments of its container; empty if it has none.
        parameters: Values that are known before the run, the component's defaults among them.
        unknown: Parameters whose values are not, and whose outputs they are: nobody's for the items of a loop.
        artifacts: Input artifacts, and whose outputs they are.
        cached: Whether the pipeline lets it be answered from a cache.
    """

    name: str
    component: str
    command: tuple[str, ...]
    parameters: dict[str, Any]
    unknown: dict[str, tuple[Upstream, ...]]
    artifacts: dict[str, tuple[Upstream, ...]]
    cached: bool

    @property
    def upstream(self) -> set[str]:
        """The tasks whose outputs it takes; one it only waits for is not among them."""
        return {each.task for several in (*self.unknown.values(), *self.artifacts.values()) for each in several}


@dataclasses.dataclass(frozen=True)
class _Scope:
    """Where one DAG stands, and what its inputs are."""

    position: task_names.Position
    dag: dict[str, Any]
    parameters: dict[str, Any]
    unknown: dict[str, tuple[Upstream, ...]]
    artifacts: dict[str, tuple[Upstream, ...]]


@dataclasses.dataclass(frozen=True)
class _Output:
    """An output of a task of a DAG, and where that DAG stands."""

    around: task_names.Position
    dag: dict[str, Any]
    task: str
    key: str


def resolve(compiled: packages.Package, arguments: Mapping[str, Any]) -> dict[str, ResolvedTask]:
    """Resolves every task of a package.

    Args:
        compiled: A package.
        arguments: Values of its inputs; the package's defaults stand for those that are missing.

    Returns:
        The tasks by name, those in conditions and loops included.
    """
    names = task_names.names(compiled)
    root = _Scope((), compiled["root"]["dag"], {**packages.defaults(compiled), **arguments}, {}, {})
    return {task.name: task for task in _tasks(compiled, root, names)}


def _tasks(compiled: packages.Package, scope: _Scope, names: _Names) -> Iterator[ResolvedTask]:
    for own_name, task in scope.dag["tasks"].items():
        position = (*scope.position, own_name)
        component = compiled["components"][task["componentRef"]["name"]]
        parameters, unknown = _parameters(compiled, task, scope, names)
        artifacts = _artifacts(compiled, task, scope, names)
        if "dag" in component:
            yield from _tasks(compiled, _Scope(position, component["dag"], parameters, unknown, artifacts), names)
            continue
        container = compiled["deploymentSpec"]["executors"].get(component["executorLabel"], {}).get("container", {})
        yield ResolvedTask(
            name=names[position],
            component=task["componentRef"]["name"].removeprefix("comp-").replace("-", "_"),
            command=(*container.get("command", ()), *container.get("args", ())),
            parameters=parameters,
            unknown=unknown,
            artifacts=artifacts,
            cached=bool(task.get("cachingOptions", {}).get("enableCache")),
        )


def _parameters(
    compiled: packages.Package, task: dict[str, Any], scope: _Scope, names: _Names
) -> tuple[_Known, _Unknown]:
    """Returns the parameters of a task whose values are known, and those whose are not."""
    component = compiled["components"][task["componentRef"]["name"]]
    definitions = component.get("inputDefinitions", {}).get("parameters", {})
    known: _Known = {name: each["defaultValue"] for name, each in definitions.items() if "defaultValue" in each}
    unknown: _Unknown = {}
    for name, given in task.get("inputs", {}).get("parameters", {}).items():
        known.pop(name, None)
        input_name = given.get("componentInputParameter", "")
        if "constant" in given.get("runtimeValue", {}):
            known[name] = given["runtimeValue"]["constant"]
        elif "taskOutputParameter" in given:
            output = given["taskOutputParameter"]
            made = _Output(scope.position, scope.dag, output["producerTask"], output["outputParameterKey"])
            unknown[name] = tuple(_producers(compiled, made, names))
        elif input_name in scope.parameters and "parameterExpressionSelector" not in given:
            known[name] = scope.parameters[input_name]
        else:
            unknown[name] = scope.unknown.get(input_name, ())
    # A loop's item is another one each time.
    item = task.get("parameterIterator", {}).get("itemInput")
    if item:
        known.pop(item, None)
        unknown[item] = ()
    return _filled_in(known, unknown)


def _filled_in(known: _Known, unknown: _Unknown) -> tuple[_Known, _Unknown]:
    """Replaces placeholders of f-strings; a value with one that is not known is not known either."""
    filled = {}
    for name, value in known.items():
        wanted = _PLACEHOLDER.findall(value) if isinstance(value, str) else []
        if set(wanted) <= set(known):
            filled[name] = _PLACEHOLDER.sub(lambda match: str(known[match[1]]), value) if wanted else value
        else:
            unknown = {**unknown, name: tuple(one for each in wanted for one in unknown.get(each, ()))}
    return filled, unknown


def _artifacts(
    compiled: packages.Package, task: dict[str, Any], scope: _Scope, names: _Names
) -> dict[str, tuple[Upstream, ...]]:
    found = {}
    for name, given in task.get("inputs", {}).get("artifacts", {}).items():
        if "taskOutputArtifact" in given:
            output = given["taskOutputArtifact"]
            made = _Output(scope.position, scope.dag, output["producerTask"], output["outputArtifactKey"])
            found[name] = tuple(_producers(compiled, made, names))
        else:
            found[name] = scope.artifacts.get(given.get("componentInputArtifact", ""), ())
    return found


def _producers(compiled: packages.Package, made: _Output, names: _Names) -> Iterator[Upstream]:
    """Returns the tasks that make an output, looking into the DAG of a condition that hands it out."""
    position = (*made.around, made.task)
    component = compiled["components"][made.dag["tasks"][made.task]["componentRef"]["name"]]
    if "dag" not in component:
        yield Upstream(names[position], made.key)
        return
    outputs = component["dag"].get("outputs", {})
    parameter = outputs.get("parameters", {}).get(made.key, {})
    selectors = [
        *outputs.get("artifacts", {}).get(made.key, {}).get("artifactSelectors", ()),
        *([parameter["valueFromParameter"]] if "valueFromParameter" in parameter else []),
        *parameter.get("valueFromOneof", {}).get("parameterSelectors", ()),
    ]
    for each in selectors:
        key = each.get("outputArtifactKey") or each["outputParameterKey"]
        yield from _producers(compiled, _Output(position, component["dag"], each["producerSubtask"], key), names)
