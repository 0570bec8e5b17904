"""What a DAG of a package knows while it runs, and which values reach its tasks."""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.base.errors import RunFailedError
from kfp_ct.local import placeholders
from kfp_ct.package import package
from kfp_ct.package.task_names import Position
from kfp_ct.runs.events import State

_FIELD = re.compile(r'parseJson\(string_value\)(?:\["(?P<field>.*)"\])?', re.DOTALL)


class TaskInputError(RunFailedError):
    """A task cannot be given one of its inputs."""


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a task of a DAG ended: one that runs an executor, a DAG or a loop.

    Attributes:
        state: SUCCEEDED, CACHED, FAILED or SKIPPED.
        outputs: Its output parameters and artifacts.
        error: Why it failed.
        blocked: It was skipped because something that it waits for failed.
    """

    state: State
    outputs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    error: str = ""
    blocked: bool = False

    @property
    def failed(self) -> bool:
        """Whether tasks that wait for its success wait in vain."""
        return self.blocked or self.state is State.FAILED


@dataclasses.dataclass(frozen=True)
class Scope:
    """One DAG that runs.

    Attributes:
        position: The DAG tasks around it.
        iterations: Which iteration of each loop around it.
        inputs: Its input parameters and artifacts.
        ended: Its tasks that have ended.
    """

    position: Position
    iterations: tuple[int, ...]
    inputs: Mapping[str, Any]
    ended: dict[str, Ended] = dataclasses.field(default_factory=dict)


def task_inputs(
    task: Mapping[str, Any], component: Mapping[str, Any], scope: Scope, facts: Mapping[str, str]
) -> dict[str, Any]:
    """Returns a task's input parameters and artifacts, defaults of its component among them.

    Args:
        task: The task.
        component: Its component.
        scope: The DAG it is in.
        facts: What placeholders of a run stand for.

    Raises:
        TaskInputError: An input comes from a task that made none, and can neither be missing nor has it a default.
    """
    given = task.get("inputs", {})
    definitions = component.get("inputDefinitions", {})
    parameters, constants = dict[str, Any](), dict[str, Any]()
    for name, source in given.get("parameters", {}).items():
        if "taskFinalStatus" in source:
            parameters[name] = _final_status(source["taskFinalStatus"]["producerTask"], scope, facts)
        elif "runtimeValue" in source:
            constants[name] = source["runtimeValue"].get("constant")
        else:
            parameters |= _found(name, source, scope, definitions.get("parameters", {}).get(name, {}))
    parameters |= {name: placeholders.fill_constant(each, parameters, facts) for name, each in constants.items()}
    found = with_defaults(component, parameters)
    for name, source in given.get("artifacts", {}).items():
        found |= _found(name, source, scope, definitions.get("artifacts", {}).get(name, {}))
    return found


def with_defaults(component: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values with the defaults of those that are missing, numbers of their inputs' types."""
    definitions = component.get("inputDefinitions", {}).get("parameters", {})
    defaults = {name: each["defaultValue"] for name, each in definitions.items() if "defaultValue" in each}
    return {
        name: package.of_kind(definitions.get(name, {}).get("parameterType", ""), value)
        for name, value in {**defaults, **given}.items()
    }


def dag_outputs(dag: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Returns what a DAG that has ended hands out; what no branch of it made is left out."""
    outputs = dag.get("outputs", {})
    found: dict[str, Any] = {}
    for name, each in {**outputs.get("parameters", {}), **outputs.get("artifacts", {})}.items():
        for selector in _selectors(each):
            key = str(selector.get("outputParameterKey") or selector.get("outputArtifactKey"))
            made = scope.ended.get(selector["producerSubtask"])
            if made is not None and key in made.outputs:
                found[name] = made.outputs[key]
    return found


def loop_items(task: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Returns the input that a loop's item becomes, and the items.

    Raises:
        TaskInputError: They are no list.
    """
    iterator = task.get("parameterIterator") or task["artifactIterator"]
    items = iterator["items"]
    source = items.get("inputParameter") or items.get("inputArtifact") or ""
    found = inputs.get(source) if source else items.get("raw", "")
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError as error:
            raise TaskInputError(f"it loops over a text that is no list in JSON: {error}") from error
    if not isinstance(found, list):
        raise TaskInputError(f"it loops over {source or 'its items'}: expected a list, not {type(found).__name__}")
    return iterator["itemInput"], found


def upstream(task: Mapping[str, Any]) -> Iterator[str]:
    """Yields the tasks that a task waits for."""
    yield from task.get("dependentTasks", ())
    for source in task.get("inputs", {}).get("parameters", {}).values():
        if "taskOutputParameter" in source or "taskFinalStatus" in source:
            yield (source.get("taskOutputParameter") or source["taskFinalStatus"])["producerTask"]
    for source in task.get("inputs", {}).get("artifacts", {}).values():
        if "taskOutputArtifact" in source:
            yield source["taskOutputArtifact"]["producerTask"]


def _found(name: str, source: Mapping[str, Any], scope: Scope, definition: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an input by its name; nothing where it may be missing and is."""
    output = source.get("taskOutputParameter") or source.get("taskOutputArtifact")
    if output:
        producer = output["producerTask"]
        key = str(output.get("outputParameterKey") or output.get("outputArtifactKey"))
        made: Mapping[str, Any] = scope.ended[producer].outputs if producer in scope.ended else {}
        missing = f"task {producer}, which made no output {key}"
    else:
        key = str(source.get("componentInputParameter") or source.get("componentInputArtifact"))
        made, missing = scope.inputs, f"input {key} of the pipeline around it, which was not given"
    if key in made:
        return {name: _selected(made[key], source.get("parameterExpressionSelector", ""))}
    if definition.get("isOptional") or "defaultValue" in definition:
        return {}
    raise TaskInputError(f"its input {name} comes from {missing}")


def _selected(value: Any, expression: str) -> Any:
    """Returns the part of a loop's item that an expression of kfp's compiler names."""
    if not expression:
        return value
    match = _FIELD.fullmatch(expression)
    if match is None:
        raise TaskInputError(f"the expression {expression} is not understood")
    try:
        parsed = json.loads(value) if isinstance(value, str) else value
        return parsed if match["field"] is None else parsed[match["field"]]
    except (ValueError, KeyError, TypeError) as error:
        raise TaskInputError(f"the item {value!r} has no {match['field']!r}") from error


def _final_status(producer: str, scope: Scope, facts: Mapping[str, str]) -> dict[str, Any]:
    ended = scope.ended.get(producer, Ended(State.SKIPPED))
    state = "FAILED" if ended.failed else "SKIPPED" if ended.state is State.SKIPPED else "SUCCEEDED"
    error = {"code": 1, "message": ended.error or f"task {producer} failed"} if ended.failed else {}
    return {
        "state": state,
        "pipelineJobResourceName": facts[".pipeline_job_resource_name"],
        "pipelineTaskName": producer,
        "error": error,
    }


def _selectors(output: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "valueFromParameter" in output:
        return [output["valueFromParameter"]]
    one_of = output.get("valueFromOneof", {}).get("parameterSelectors", ())
    return [*one_of, *output.get("artifactSelectors", ())]
