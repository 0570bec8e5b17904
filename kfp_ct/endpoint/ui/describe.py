"""What a package says of itself: its inputs for a form, its tasks for a drawing, where a task's inputs come from."""

import dataclasses
import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.deploy import version
from kfp_ct.package import package
from kfp_ct.runs import record

KINDS = {
    "STRING": "text", "NUMBER_INTEGER": "whole number", "NUMBER_DOUBLE": "number", "BOOLEAN": "yes or no",
    "LIST": "list, as JSON", "STRUCT": "map, as JSON",
}  # fmt: skip
_PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.parameters\[['\"](.+?)['\"]\]\}\}")


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
    """Lists a pipeline's inputs, those that must be given first."""
    defaults, helps = package.defaults(compiled), _helps(compiled)
    found = [
        Input(name, each.get("parameterType", "STRING"), each.get("description") or helps.get(name, ""),
              not each.get("isOptional") and name not in defaults, defaults.get(name))
        for name, each in package.inputs(compiled).items()
    ]  # fmt: skip
    return sorted(found, key=lambda each: not each.required)


def _helps(compiled: package.Package) -> dict[str, str]:
    """Returns what the components that take a pipeline's inputs say of them."""
    found: dict[str, str] = {}
    for dag, names in _takers(compiled, compiled["root"]["dag"], {name: name for name in package.inputs(compiled)}):
        for task in dag["tasks"].values():
            component = compiled["components"][task["componentRef"]["name"]]
            described = component.get("inputDefinitions", {}).get("parameters", {})
            for key, given in task.get("inputs", {}).get("parameters", {}).items():
                name = names.get(given.get("componentInputParameter", ""))
                if name and described.get(key, {}).get("description"):
                    found.setdefault(name, described[key]["description"])
    return found


def _takers(
    compiled: package.Package, dag: dict[str, Any], names: dict[str, str]
) -> Iterator[tuple[Any, dict[str, str]]]:
    """Walks DAGs and the DAGs in them, each with the pipeline's names of its inputs."""
    yield dag, names
    for task in dag["tasks"].values():
        component = compiled["components"][task["componentRef"]["name"]]
        if "dag" in component:
            given = task.get("inputs", {}).get("parameters", {})
            sources = {key: each.get("componentInputParameter", "") for key, each in given.items()}
            yield from _takers(compiled, component["dag"], {k: names[s] for k, s in sources.items() if s in names})


def tasks(compiled: package.Package) -> list[record.Task]:
    """Lists the tasks, none of which has begun."""
    return record.tasks(compiled)


def annotation(description: str) -> tuple[str, dict[str, Any]]:
    """Splits a version's description into its words and what `ct deploy` keeps there: commit, settings and the like."""
    found = version.read(description)
    if found is None:
        return description, {}
    lines = [line for line in description.splitlines() if not line.startswith("{")]
    return "\n".join(lines).strip(), found


def difference(before: package.Package, after: package.Package) -> list[str]:
    """Returns the lines in which two packages differ, in the form of diff -u."""
    texts = (package.dump(before).splitlines(), package.dump(after).splitlines())
    return list(difflib.unified_diff(*texts, lineterm="", n=3))[2:]


def task_inputs(compiled: package.Package, run: record.Run, name: str) -> list[tuple[str, Any, str]]:
    """Says what a task was given: name, value (None before it is known), and where it came from."""
    for dag, scope in _scopes(compiled, compiled["root"]["dag"], dict(run.parameters), run):
        if name in dag["tasks"]:
            given = dag["tasks"][name].get("inputs", {})
            parameters = [(key, *_source(each, scope, run)) for key, each in given.get("parameters", {}).items()]
            artifacts = [(key, *_artifact(each, scope, run)) for key, each in given.get("artifacts", {}).items()]
            return sorted(parameters) + sorted(artifacts)
    return []


def _scopes(compiled: package.Package, dag: dict[str, Any], scope: dict[str, Any], run: record.Run) -> Iterator[Any]:
    """Walks DAGs and the DAGs in them, each with the values its inputs have."""
    yield dag, scope
    for task in dag["tasks"].values():
        component = compiled["components"][task["componentRef"]["name"]]
        if "dag" in component:
            given = task.get("inputs", {})
            inner = {key: _source(each, scope, run)[0] for key, each in given.get("parameters", {}).items()}
            inner |= {key: _artifact(each, scope, run)[0] for key, each in given.get("artifacts", {}).items()}
            yield from _scopes(compiled, component["dag"], inner, run)


def _source(given: Mapping[str, Any], scope: Mapping[str, Any], run: record.Run) -> tuple[Any, str]:
    if "componentInputParameter" in given:
        name = given["componentInputParameter"]
        return scope.get(name), f"input {name}"
    if "taskOutputParameter" in given:
        source = given["taskOutputParameter"]
        task = run.task(source["producerTask"])
        value = task.parameters.get(source["outputParameterKey"]) if task else None
        return value, f"{source['producerTask']}, {source['outputParameterKey']}"
    constant = given.get("runtimeValue", {}).get("constant")
    if isinstance(constant, str) and _PLACEHOLDER.search(constant):
        return _PLACEHOLDER.sub(lambda match: str(scope.get(match[1], match[0])), constant), "made of inputs"
    return constant, "the pipeline itself"


def _artifact(given: Mapping[str, Any], scope: Mapping[str, Any], run: record.Run) -> tuple[Any, str]:
    if "taskOutputArtifact" in given:
        source = given["taskOutputArtifact"]
        task = run.task(source["producerTask"])
        found = task.artifacts.get(source["outputArtifactKey"], {}) if task else {}
        return found.get("uri"), f"{source['producerTask']}, {source['outputArtifactKey']}"
    name = given.get("componentInputArtifact", "")
    return scope.get(name), f"input {name}"
