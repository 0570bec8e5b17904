"""What kfp's executor is given, the command that runs it and what it leaves: ExecutorInput and ExecutorOutput."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kfp import dsl
from kfp.dsl import executor
from kfp.local import placeholder_utils

from kfp_ct.base.errors import RunFailedError
from kfp_ct.local import placeholders
from kfp_ct.package import package

_OUTPUT_FILE = "executor_output.json"
# From here on Go, which backends are written in, writes 1e+21.
_FIRST_WITH_EXPONENT = 1e21


def executor_input(component: Mapping[str, Any], inputs: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Returns the executor input of a task.

    Args:
        component: The task's component.
        inputs: Its input parameters and artifacts.
        folder: Where its outputs go.
    """
    definitions = component.get("inputDefinitions", {})
    taken, parameters = definitions.get("artifacts", {}), definitions.get("parameters", {})
    outputs = component.get("outputDefinitions", {})
    return {
        "inputs": {
            "parameterValues": {
                name: _on_the_wire(value, parameters.get(name, {}).get("parameterType", ""))
                for name, value in inputs.items()
                if name not in taken and value is not None
            },
            "artifacts": {name: _artifact_list(inputs[name]) for name in taken if inputs.get(name) is not None},
        },
        "outputs": {
            "parameters": {name: {"outputFile": str(folder / name)} for name in outputs.get("parameters", {})},
            "artifacts": {
                name: {
                    "artifacts": [
                        {"name": name, "type": each["artifactType"], "uri": str(folder / name), "metadata": {}}
                    ]
                }
                for name, each in outputs.get("artifacts", {}).items()
            },
            "outputFile": str(folder / _OUTPUT_FILE),
        },
    }


def input_uris(given: Mapping[str, Any]) -> list[str]:
    """Returns where the input artifacts of an executor input lie."""
    return [str(each["uri"]) for several in given["inputs"]["artifacts"].values() for each in several["artifacts"]]


def command(container: Mapping[str, Any], given: Mapping[str, Any], facts: Mapping[str, str]) -> list[str]:
    """Returns the command of a task's container, its placeholders filled in.

    Args:
        container: The container's specification.
        given: The executor input.
        facts: What placeholders such as `.pipeline_job_name` stand for.
    """
    present = [*given["inputs"]["parameterValues"], *given["inputs"]["artifacts"]]
    elements = [
        placeholder_utils.resolve_struct_placeholders(each, present)
        for each in (*container.get("command", ()), *container.get("args", ()))
    ]
    return [placeholders.fill_command(each, given, facts) for each in placeholder_utils.flatten_list(elements)]


def variables(container: Mapping[str, Any], given: Mapping[str, Any], facts: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment variables of a task's container."""
    return {
        each["name"]: placeholders.fill_command(str(each.get("value", "")), given, facts)
        for each in container.get("env", ())
    }


def outputs_of(component: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Reads what a task left.

    Args:
        component: The task's component.
        given: The executor input it had.

    Raises:
        RunFailedError: An output cannot be read.
    """
    definitions = component.get("outputDefinitions", {})
    path = Path(given["outputs"]["outputFile"])
    try:
        left = _json(path.read_text()) if path.is_file() else {}
        parameters = dict(left.get("parameterValues", {}))
    except (ValueError, AttributeError) as error:
        raise RunFailedError(f"what the task left cannot be read: {path}: {error}") from error
    found: dict[str, Any] = {}
    for name, definition in definitions.get("parameters", {}).items():
        kind = definition["parameterType"]
        file = Path(given["outputs"]["parameters"][name]["outputFile"])
        if file.is_file():
            parameters[name] = _written(file, kind)
        if name in parameters:
            found[name] = _typed(kind, parameters[name], name)
    for name, made in _output_artifacts(definitions, given, left):
        found[name] = made
    return found


def _output_artifacts(
    definitions: Mapping[str, Any], given: Mapping[str, Any], left: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Yields the output artifacts: as the executor tells of them, else, for what is no executor, as they were asked."""
    for name, definition in definitions.get("artifacts", {}).items():
        asked = given["outputs"]["artifacts"][name]["artifacts"][0]
        told = left.get("artifacts", {}).get(name, {}).get("artifacts") or [asked]
        made = [artifact({**each, "type": asked["type"]}) for each in told]
        yield name, made if definition.get("isArtifactList") else made[0]


def artifact(fields: Mapping[str, Any]) -> dsl.Artifact:
    """Returns the artifact of a runtime artifact's fields."""
    made: dsl.Artifact = executor.create_artifact_instance(dict(fields))
    if fields.get("custom_path"):
        made.custom_path = fields["custom_path"]
    return made


def _artifact_list(value: Any) -> dict[str, Any]:
    several = value if isinstance(value, list) else [value]
    return {"artifacts": [_runtime_artifact(each) for each in _flat(several)]}


def _flat(values: list[Any]) -> Iterator[Any]:
    for each in values:
        if isinstance(each, list):
            yield from _flat(each)
        else:
            yield each


def _runtime_artifact(value: dsl.Artifact) -> dict[str, Any]:
    fields = {
        "name": value.name,
        "type": {"schemaTitle": value.schema_title, "schemaVersion": value.schema_version},
        "uri": value.uri,
        "metadata": value.metadata,
    }
    path = getattr(value, "custom_path", None)
    return {**fields, "custom_path": path} if path else fields


def _on_the_wire(value: Any, kind: str) -> Any:
    """Returns a value as a backend hands it to a task.

    Where a text is wanted, anything else arrives as JSON. Whole numbers in a list or an object have no point: packages
    have all numbers as doubles, which plain kfp.local leaves so that `range(n)` and `-> int` fail there.
    """
    if isinstance(value, Mapping | list):
        value = _whole(value)
    return placeholders.as_text(value) if kind == "STRING" else value


def _whole(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _FIRST_WITH_EXPONENT
    return int(value) if is_whole else value


def _written(file: Path, kind: str) -> Any:
    """Reads a file that a task wrote a parameter to, as KFP's launcher does: a text as it is, all else as JSON."""
    text = file.read_text()
    if kind == "STRING":
        return text
    try:
        return _json(text.lower() if kind == "BOOLEAN" else text)
    except ValueError as error:
        raise RunFailedError(f"output {file.name} is not JSON: {text[:60]!r}\nexpected: {kind}") from error


def _json(text: str) -> Any:
    """Reads JSON as KFP's launcher does, which takes no NaN and no infinity; Python writes them."""
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(
        f"it holds {name}, which is no JSON: a KFP backend fails the task\n"
        "expected: finite numbers in parameters and metadata\nfix: leave it out, or return it as a text"
    )


def _typed(kind: str, value: Any, name: str) -> Any:
    if kind == "NUMBER_INTEGER" and isinstance(value, int | float) and int(value) != value:
        raise RunFailedError(f"output {name} is {value!r}: expected a whole number")
    return package.of_kind(kind, value)
