"""Settings of a project for one environment, checked against the pipeline's inputs before anything runs."""

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from kfp_ct.base.errors import UsageError
from kfp_ct.clock import windows
from kfp_ct.package import package
from kfp_ct.project.workspace import Workspace

TARGETS = ("kfp", "vertex")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclasses.dataclass(frozen=True)
class Settings:
    """A pipeline and the arguments it is run with."""

    project: str
    environment: str
    pipeline: str  # import path of the pipeline's module
    parameters: dict[str, Any]
    # What deploying needs to know of a service, by name: kfp, vertex (see kfp_ct/deploy/target.py).
    targets: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def pipeline_name(self) -> str:
        """The pipeline's name on a backend, such as flights-training."""
        return f"{self.project}-{self.pipeline.rpartition('.')[2]}".replace("_", "-")


def load(workspace: Workspace, project: str, environment: str, overrides: Mapping[str, Any]) -> Settings:
    """Reads `pipelines/<project>/settings/<environment>.yaml`, what it extends, and the overrides over both.

    Args:
        workspace: Where the project is.
        project: Folder under pipelines/.
        environment: Settings file without its ending: local, dev, prod.
        overrides: Parameter name, or a dotted path into one (`hyperparameters.epochs`), to its value.

    Raises:
        UsageError: A file is missing or is not a mapping with `pipeline` and `parameters`.
    """
    folder = workspace.settings_folder(project)
    document = _read(folder, f"{environment}.yaml", [])
    unknown = set(document) - {"pipeline", "parameters", *TARGETS}
    if unknown or "pipeline" not in document:
        problem = f"unknown entry {sorted(unknown)[0]!r}" if unknown else "no entry 'pipeline'"
        raise UsageError(
            f"{folder / environment}.yaml: {problem}\nexpected: pipeline, parameters, extends, kfp, vertex"
        )
    parameters = document.get("parameters") or {}
    for name, value in overrides.items():
        _assign(parameters, name, value)
    targets = {name: document[name] or {} for name in TARGETS if name in document}
    expanded = _expand(parameters, {"CT_HOME": str(workspace.home)})
    return Settings(project, environment, document["pipeline"], expanded, targets)


def parse_override(text: str) -> tuple[str, Any]:
    """Splits `name=value`; the value is read as YAML, so that 3, true and [a, b] have their types.

    Raises:
        UsageError: There is no `=`, or the value is not YAML.
    """
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise UsageError(f"--set {text!r}\nexpected: --set NAME=VALUE, such as --set hyperparameters.epochs=3")
    try:
        parsed = yaml.safe_load(value) if value else ""
    except yaml.YAMLError as error:
        raise UsageError(f"--set {text!r}: the value is not YAML ({error})") from error
    # A bare date is a string to a pipeline.
    return name, value if not isinstance(parsed, bool | int | float | str | list | dict) else parsed


def validate(settings: Settings, compiled: package.Package, workspace: Workspace) -> None:
    """Checks every argument against the compiled pipeline's inputs: missing, unknown, type, range.

    Raises:
        UsageError: Lists everything that does not fit, with the settings file to edit.
    """
    definitions = package.inputs(compiled)
    problems = [_unknown(name, definitions) for name in settings.parameters if name not in definitions]
    problems += [
        f"{name}: missing (type {_type(definition)})"
        for name, definition in definitions.items()
        if name not in settings.parameters and not definition.get("isOptional") and "defaultValue" not in definition
    ]
    limits = _limits(workspace, settings.pipeline)
    for name, value in settings.parameters.items():
        if name in definitions:
            problems += _misfits(name, value, definitions[name], limits.get(name, {}))
    problems += _windows(settings.parameters)
    if problems:
        where = f"pipelines/{settings.project}/settings/{settings.environment}.yaml"
        details = "\n".join(f"- {problem}" for problem in problems)
        fix = f"fix: edit {where} or pass --set NAME=VALUE"
        raise UsageError(f"these settings do not fit the pipeline {settings.pipeline}\n{details}\n{fix}")


def _read(folder: Path, name: str, seen: list[str]) -> dict[str, Any]:
    path = folder / name
    if name in seen:
        raise UsageError(f"{path} extends itself: {' → '.join([*seen, name])}")
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise UsageError(f"there are no settings {path}\nexpected: one of {known}")
    try:
        document = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("parameters", {}), dict):
        raise UsageError(f"{path}: expected a mapping with pipeline, parameters and extends")
    base = document.pop("extends", None)
    return _merge(_read(folder, base, [*seen, name]), document) if base else document


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if nested else value
    return merged


def _assign(parameters: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    target = parameters
    for parent in parents:
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise UsageError(f"--set {path}: {parent} has no entries of its own")
    target[last] = value


def _expand(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _expand(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, variables) for item in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: variables.get(match[1], match[0]), value)
    return value


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"{name}: the pipeline has no such input" + (f"; did you mean {close[0]}?" if close else "")


def _type(definition: Mapping[str, Any]) -> str:
    return package.JSON_TYPES[definition["parameterType"]]


def _misfits(name: str, value: Any, definition: Mapping[str, Any], limits: Mapping[str, Any]) -> Sequence[str]:
    schema = {**limits, "type": _type(definition)}
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(value), key=lambda error: str(error.path))
    # A value of the wrong type breaks every other rule too; its type is what to say.
    errors = [e for e in errors if e.validator == "type" and not e.path] or errors
    return [f"{'.'.join([name, *map(str, error.path)])}: {error.message}" for error in errors]


def _windows(parameters: Mapping[str, Any]) -> list[str]:
    start, end = parameters.get("window_start"), parameters.get("window_end")
    if not isinstance(start, str) or not isinstance(end, str) or windows.is_relative(start):
        return []
    if start and end and start >= end:
        return [f"window_start {start} is not before window_end {end}"]
    return []


def _limits(workspace: Workspace, pipeline: str) -> dict[str, Any]:
    path = workspace.root / f"{pipeline.replace('.', '/')}.limits.yaml"
    return yaml.safe_load(path.read_text()) if path.is_file() else {}
