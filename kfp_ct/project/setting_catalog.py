"""All settings there are, as JSON schema: of pipelines, and of any group of settings.

Which component takes an input, and what it says of it, is read from the compiled pipeline, as it is when settings are
checked.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic.json_schema import models_json_schema

from kfp_ct.base.settings import Settings
from kfp_ct.package import package, wiring
from kfp_ct.package.package import Package
from kfp_ct.package.wiring import FromInput, Task
from kfp_ct.project import validation

_KINDS = {
    "STRING": "string", "NUMBER_INTEGER": "integer", "NUMBER_DOUBLE": "number", "BOOLEAN": "boolean", "LIST": "array",
    "STRUCT": "object",
}  # fmt: skip
_REFERENCE = "#/$defs/"
Node = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Input:
    """An input of a pipeline.

    Attributes:
        name: What settings call it.
        node: Its JSON schema.
        description: What the first component that takes it says of it.
        needed: Whether settings must give it.
        default: The value that it has otherwise.
    """

    name: str
    node: Node
    description: str
    needed: bool
    default: Any = None


@dataclasses.dataclass(frozen=True)
class Catalog:
    """Settings, and the definitions that they refer to."""

    inputs: Sequence[Input]
    definitions: Node


def of_pipeline(module: str) -> Catalog:
    """Returns the inputs of a pipeline.

    Args:
        module: Its import path.
    """
    compiled = package.compile_pipeline(module, "settings")
    tasks = wiring.tasks(compiled)
    models = [model for task in tasks if (model := validation.described(task.package))]
    found, definitions = _schemas(models)
    parameters = {model: definitions[found[model]] for model in found}
    for name in set(found.values()):
        del definitions[name]
    return Catalog([_input(compiled, name, tasks, parameters) for name in package.inputs(compiled)], definitions)


def of_models(models: Sequence[type[Settings]]) -> tuple[list[Node], Node]:
    """Returns the JSON schema of each of several groups of settings, and the definitions that they refer to."""
    found, definitions = _schemas(models)
    return [definitions[found[model]] for model in models], definitions


def _schemas(models: Sequence[type[Settings]]) -> tuple[dict[type[Settings], str], Node]:
    unique = list(dict.fromkeys(models))
    references, document = models_json_schema([(model, "validation") for model in unique])
    named = {model: references[model, "validation"]["$ref"].removeprefix(_REFERENCE) for model in unique}
    return named, dict(document["$defs"])


def _input(compiled: Package, name: str, tasks: Sequence[Task], parameters: dict[type[Settings], Node]) -> Input:
    definition = package.inputs(compiled)[name]
    taken = list(_taken(name, tasks))
    described = [
        parameters[model]["properties"][parameter]
        for task, parameter in taken
        if (model := validation.described(task.package)) and parameter in model.model_fields
    ]
    said = next((task.descriptions[parameter] for task, parameter in taken if task.descriptions.get(parameter)), "")
    node = _fullest(described) or {"type": _KINDS.get(definition["parameterType"], "string")}
    needed = "defaultValue" not in definition and not definition.get("isOptional")
    return Input(name, node, said, needed, _default(definition))


def _default(definition: dict[str, Any]) -> Any:
    """Returns the default of an input; KFP keeps whole numbers as floats."""
    value = definition.get("defaultValue")
    return int(value) if definition["parameterType"] == "NUMBER_INTEGER" and value is not None else value


def _taken(name: str, tasks: Sequence[Task]) -> Iterator[tuple[Task, str]]:
    for task in tasks:
        yield from ((task, parameter) for parameter, source in task.sources.items() if source == FromInput(name))


def _fullest(nodes: Sequence[Node]) -> Node:
    """Returns the description that says most: a component that only hands a setting on says no more than its type."""
    telling = {"title", "type", "additionalProperties", "items"}
    ordered = sorted(nodes, key=lambda node: len(set(node) - telling), reverse=True)
    return {key: value for key, value in ordered[0].items() if key != "title"} if ordered else {}
