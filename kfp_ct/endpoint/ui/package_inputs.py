"""A pipeline's inputs as its package declares them, for forms and tables."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.package import package

KINDS = {
    "STRING": "text", "NUMBER_INTEGER": "whole number", "NUMBER_DOUBLE": "number", "BOOLEAN": "yes or no",
    "LIST": "list, as JSON", "STRUCT": "map, as JSON",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Input:
    """An input of a pipeline."""

    name: str
    type: str  # KFP's
    help: str
    required: bool
    default: Any

    @property
    def kind(self) -> str:
        """The type in words."""
        return KINDS.get(self.type, self.type.lower())


def inputs(compiled: package.Package) -> list[Input]:
    """Lists a pipeline's inputs, required ones first."""
    defaults, helps = package.defaults(compiled), _component_helps(compiled)
    found = [
        Input(name, each.get("parameterType", "STRING"), each.get("description") or helps.get(name, ""),
              not each.get("isOptional") and name not in defaults, defaults.get(name))
        for name, each in package.inputs(compiled).items()
    ]  # fmt: skip
    return sorted(found, key=lambda each: not each.required)


def _component_helps(compiled: package.Package) -> dict[str, str]:
    """Returns the descriptions that components give the pipeline inputs they take."""
    found: dict[str, str] = {}
    start = {name: name for name in package.inputs(compiled)}
    for dag, names in _walk_dags(compiled, compiled["root"]["dag"], start):
        for task in dag["tasks"].values():
            component = compiled["components"][task["componentRef"]["name"]]
            described = component.get("inputDefinitions", {}).get("parameters", {})
            for key, given in task.get("inputs", {}).get("parameters", {}).items():
                name = names.get(given.get("componentInputParameter", ""))
                if name and described.get(key, {}).get("description"):
                    found.setdefault(name, described[key]["description"])
    return found


def _walk_dags(
    compiled: package.Package, dag: Mapping[str, Any], names: dict[str, str]
) -> Iterator[tuple[Any, dict[str, str]]]:
    """Yields a DAG and the DAGs in it, each with the pipeline's names of its inputs."""
    yield dag, names
    for task in dag["tasks"].values():
        component = compiled["components"][task["componentRef"]["name"]]
        if "dag" in component:
            given = task.get("inputs", {}).get("parameters", {})
            sources = {key: each.get("componentInputParameter", "") for key, each in given.items()}
            inner = {key: names[source] for key, source in sources.items() if source in names}
            yield from _walk_dags(compiled, component["dag"], inner)
