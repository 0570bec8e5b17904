"""Settings of a project for one environment, checked against the pipeline's inputs before anything runs."""

import copy
import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_ct.base import nested
from kfp_ct.base.errors import UsageError, listed
from kfp_ct.data import whole_floats
from kfp_ct.project import yaml_file
from kfp_ct.project.workspace import Workspace, make_importable, require_plain

if TYPE_CHECKING:
    from kfp_ct.base.setting_problems import Path as SettingPath
    from kfp_ct.package.package import Package
    from kfp_ct.project.named_files import NamedFiles

TARGETS = ("kfp", "kubernetes", "vertex")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
# The parameter that the user's module is given: numbers that are floats there, and whole.
_TRAINED_WITH = "hyperparameters"
Document = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Settings:
    """A pipeline and the arguments it is run with."""

    project: str
    environment: str
    pipeline: str  # import path of the pipeline's module
    parameters: dict[str, Any]
    # What deploying needs to know of a service, by name: kfp, kubernetes, vertex (see kfp_ct/project/targets.py).
    targets: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    # The files they come from, the one that was asked for first; what was given beside the files has no name.
    layers: tuple[tuple[str, Document], ...] = ()
    keras: int | None = None  # the version that the project's modules are written for, if they say one

    @property
    def pipeline_name(self) -> str:
        """The pipeline's name on a backend, such as flights-training."""
        return f"{self.project}-{self.pipeline.rpartition('.')[2]}".replace("_", "-")

    @property
    def file(self) -> str:
        """The settings file, for people."""
        return f"pipelines/{self.project}/settings/{self.environment}.yaml"

    def origin(self, path: "SettingPath") -> str:
        """Returns the name of the file that a value comes from; empty if it was given beside the files."""
        for name, document in self.layers:
            if _holds(document if path[0] in TARGETS else document.get("parameters") or {}, path):
                return name
        return ""

    @property
    def beside(self) -> str:
        """Where values come from that were given beside the files; empty for a command's options."""
        return self.layers[0][0] if self.layers else ""

    def given_in(self, place: str) -> "Settings":
        """Returns the same settings with the place that values come from which were given beside the files.

        Args:
            place: For people, such as a file and an entry of it.
        """
        return dataclasses.replace(self, layers=tuple((name or place, document) for name, document in self.layers))


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
    require_plain(environment, "settings are", "--settings prod for settings/prod.yaml")
    layers = _layers(folder, f"{environment}.yaml", [])
    document: Document = {}
    for _, each in reversed(layers):
        document = _merge(document, each)
    parameters = copy.deepcopy(document.get("parameters") or {})
    given: Document = {}
    for name, value in overrides.items():
        _assign(parameters, name, value)
        _assign(given, name, value)
    unknown = set(document) - {"pipeline", "parameters", "keras", *TARGETS}
    if unknown or not isinstance(document.get("pipeline"), str):
        problem = f"unknown entry {min(map(str, unknown))!r}" if unknown else "no entry 'pipeline'"
        raise UsageError(
            f"{folder / environment}.yaml: {problem}\n"
            "expected: pipeline, parameters, extends, keras, kfp, kubernetes, vertex"
        )
    keras = document.get("keras")
    if keras not in (None, 2, 3):
        raise UsageError(f"{folder / environment}.yaml: keras is {keras!r}\nexpected: 2 or 3\nfix: correct it")
    targets = {name: document[name] or {} for name in TARGETS if name in document}
    expanded = _expand(parameters, {"CT_HOME": str(workspace.home)})
    if isinstance(expanded.get(_TRAINED_WITH), dict):
        expanded[_TRAINED_WITH] = whole_floats.marked(expanded[_TRAINED_WITH])
    beside = ("", {"parameters": given})
    return Settings(project, environment, document["pipeline"], expanded, targets, (beside, *layers), keras)


def parse_override(text: str) -> tuple[str, Any]:
    """Splits `name=value`; the value is read as YAML, so that 3, true and [a, b] have their types.

    Raises:
        UsageError: There is no `=`, or the value is not YAML.
    """
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise UsageError(f"--set {text!r}\nexpected: --set NAME=VALUE, such as --set hyperparameters.epochs=3")
    try:
        parsed = yaml_file.parse(value) if value else ""
    except ValueError as error:
        raise UsageError(f"--set {text!r}: the value is not YAML ({error})") from error
    return name, value if parsed is None and value.strip().lower() not in ("null", "~") else parsed


def validate(settings: Settings, compiled: "Package", workspace: Workspace, files: "NamedFiles | None" = None) -> None:
    """Checks every argument against the pipeline's inputs and what components say of their parameters.

    Args:
        settings: The settings.
        compiled: The package that they are for.
        workspace: Where components of one's own are.
        files: Looks at the files and modules that the settings name, too.

    Raises:
        UsageError: Lists everything that does not fit, with the settings file to edit.
    """
    # What describes settings takes a tenth of a second to import, which a command that checks none need not wait for.
    from kfp_ct.project import targets, validation

    make_importable(workspace)
    problems = validation.problems(compiled, settings.parameters, files)
    for name, section in settings.targets.items():
        problems += [*targets.clear_secrets(name, section), *targets.misfits(name, section, complete=False)]
        problems += targets.unknown_tasks(name, section, compiled)
    if problems:
        origins = [settings.origin(problem.path) for problem in problems]
        details = listed(f"{problem}{_named(origin)}" for problem, origin in zip(problems, origins, strict=True))
        only_beside = settings.beside and set(origins) == {settings.beside}
        fix = settings.beside if only_beside else f"{settings.file} or pass --set NAME=VALUE"
        raise UsageError(f"these settings do not fit the pipeline {settings.pipeline}\n{details}\nfix: edit {fix}")


def _named(file: str) -> str:
    return f" ({file})" if file else ""


def _layers(folder: Path, name: str, seen: list[str]) -> list[tuple[str, Document]]:
    """Returns a settings file and those it extends, itself first."""
    path = folder / name
    if name in seen:
        raise UsageError(f"{path} extends itself: {' → '.join([*seen, name])}")
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise UsageError(f"there are no settings {path}\nexpected: one of {known}")
    document = yaml_file.read(path) or {}
    if not isinstance(document, dict) or not isinstance(document.get("parameters") or {}, dict):
        raise UsageError(f"{path}: expected a mapping with pipeline, parameters and extends")
    base = document.pop("extends", None)
    if base is not None and not isinstance(base, str):
        raise UsageError(f"{path}: extends is {base!r}\nexpected: the name of one settings file, such as base.yaml")
    return [(name, document), *(_layers(folder, base, [*seen, name]) if base else [])]


def _merge(base: Document, over: Mapping[str, Any]) -> Document:
    merged = dict(base)
    for key, value in over.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if nested else value
    return merged


def _holds(value: Any, path: "SettingPath") -> bool:
    for part in path:
        entries = dict(nested.entries(value))
        if part not in entries:
            return False
        value = entries[part]
    return True


def _assign(parameters: Document, path: str, value: Any) -> None:
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
