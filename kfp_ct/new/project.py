"""Makes a project of a CSV file: a folder beside flights that runs at once."""

import dataclasses
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from string import Template
from typing import Any

import yaml

from kfp_ct.base import errors
from kfp_ct.base.errors import UsageError
from kfp_ct.new import names, sample, tasks
from kfp_ct.project import workspace as project
from kfp_ct.project.environments import require_component_python
from kfp_ct.project.schema_line import schema_line
from kfp_ct.storage import locations

TEMPLATES = Path(__file__).parent / "templates"
_LONGEST_NAME = 40
TASKS = (tasks.BINARY, tasks.MULTICLASS, tasks.REGRESSION)


@dataclasses.dataclass(frozen=True)
class Request:
    """The project's name and its data: a path, s3:// or gs://; without data a small invented sample comes with it.

    A task that is left empty is inferred from the label.
    """

    name: str
    data: str | None = None
    label: str = ""
    time: str = ""
    task: str = ""


@dataclasses.dataclass(frozen=True)
class Made:
    """What was made, and what the data was found to be."""

    folder: Path
    test: Path
    profile: dict[str, Any]


def make(workspace: project.Workspace, request: Request) -> Made:
    """Writes the project and its test; nothing is left behind if something does not fit.

    Raises:
        UsageError: The name is taken or none, or the data cannot be a project's.
    """
    folder = workspace.root / "pipelines" / request.name
    test = workspace.root / "tests" / "components" / request.name / f"test_{request.name}.py"
    names.check(request.name, _LONGEST_NAME, "project", "churn_weekly")
    names.check_free(workspace.root, request.name, folder, folder.with_suffix(".py"))
    if request.task not in ("", *TASKS):
        raise UsageError(f"there is no task {request.task!r}\nexpected: {', '.join(TASKS)}\nfix: correct --task")
    _require_data(request.data)
    with tempfile.TemporaryDirectory(dir=workspace.root / "pipelines", prefix=".new-") as scratch:
        draft = Path(scratch) / request.name
        (draft / "settings").mkdir(parents=True)
        if request.data is None:
            sample.write(draft / sample.FILE)
            label = request.label or sample.LABELS[request.task or tasks.BINARY]
            asked = dataclasses.replace(request, data=str(draft / sample.FILE), label=label)
        else:
            asked = request
        profile = _profile(workspace, asked, Path(scratch) / "profile.json")
        uri = _uri(workspace, request.data or str(folder / sample.FILE))
        _write(draft, request.name, profile, uri)
        shutil.move(draft, folder)
    test.parent.mkdir(parents=True, exist_ok=True)
    test.write_text(_filled("test.py.template", request.name, profile))
    return Made(folder, test, profile)


def _profile(workspace: project.Workspace, asked: Request, output: Path) -> dict[str, Any]:
    """Looks at the data in the component environment, with the reader that `ingest` has."""
    python = require_component_python(workspace.root)
    assert asked.data is not None  # noqa: S101 - for mypy: a sample stands in for none
    about = [locations.absolute(asked.data), asked.label, asked.time, asked.task, str(output)]
    command = [str(python), "-W", "ignore", "-m", "kfp_ct.new.profiling", *about]
    result = subprocess.run(command, cwd=workspace.root, capture_output=True, text=True, check=False)
    if result.returncode:
        said = result.stderr.rpartition("error: ")[2] if "error: " in result.stderr else result.stderr
        message = "\n".join(line.strip() for line in said.strip().splitlines())
        raise UsageError(message) if result.returncode == UsageError.exit_code else errors.CtError(message)
    return dict(json.loads(output.read_text()))


def _require_data(data: str | None) -> None:
    """Raises `UsageError` if there is no such file; what an object store has is asked of it by the profile."""
    if data is not None and not locations.is_remote(data) and not locations.local_path(data).is_file():
        raise UsageError(f"there is no file {data}\nexpected: a CSV file\nfix: correct --data")


def _uri(workspace: project.Workspace, data: str) -> str:
    if locations.is_remote(data):
        return data
    absolute = locations.local_path(data)
    return str(absolute.relative_to(workspace.root) if absolute.is_relative_to(workspace.root) else absolute)


def _write(draft: Path, name: str, profile: dict[str, Any], uri: str) -> None:
    (draft / "__init__.py").touch()
    (draft / "examples.sql").write_text(profile["sql"])
    (draft / "schema.pbtxt").write_text(
        f"# Inferred from {profile['rows']:,} rows: read it, and narrow it to what must be true of this data.\n"
        f"{profile['schema']}"
    )
    config = f"eval_config_{profile['task']}.pbtxt"
    for template, file in (("features.py", "features.py"), ("model.py", "model.py"), (config, "eval_config.pbtxt")):
        (draft / file).write_text(_filled(f"{template}.template", name, profile))
    _write_settings(draft / "settings", name, profile, uri)


def _filled(template: str, name: str, profile: dict[str, Any]) -> str:
    pieces = tasks.pieces(profile)
    if profile["task"] == tasks.MULTICLASS:
        pieces["classes"] = f"# In the order of the model's output.\nCLASSES = {_tuple(list(profile['classes']))}\n"
    return Template((TEMPLATES / template).read_text()).substitute(
        pieces,
        **tasks.numbers_of_classes(profile),
        name=name,
        task=profile["task"],
        title="".join(part.capitalize() for part in name.split("_")),
        label=json.dumps(profile["label"]),
        label_name=profile["label"],
        numbers=_tuple(profile["numbers"]),
        categories=_tuple(profile["categories"]),
    )


def _tuple(names: list[str]) -> str:
    """Writes a tuple of names as the project's formatter has it: on one line if it fits, else one a line."""
    short = "(" + ", ".join(map(_text, names)) + ("," if len(names) == 1 else "") + ")"
    if len(short) <= 100:
        return short
    return "(\n" + "".join(f"    {_text(name)},\n" for name in names) + ")"


def _text(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _write_settings(folder: Path, name: str, profile: dict[str, Any], uri: str) -> None:
    base = {
        "pipeline": "pipelines.training",
        "parameters": {
            "model_name": name,
            "query": f"pipelines/{name}/examples.sql",
            "schema_file": f"pipelines/{name}/schema.pbtxt",
            "features_module": f"pipelines.{name}.features",
            "model_module": f"pipelines.{name}.model",
            "eval_config": f"pipelines/{name}/eval_config.pbtxt",
            "label": profile["label"],
            "split": profile["split"],
            "gates": tasks.gates(profile["task"]),
            "sources": {"data": {"format": "csv"}},
        },
    }
    local = {
        "extends": "base.yaml",
        "parameters": {
            "sources": {"data": {"uri": uri}},
            "registry_uri": "sqlite:///${CT_HOME}/registry/mlflow.db",
            "serving_root": "${CT_HOME}/serving",
            "checkpoints": "${CT_HOME}/checkpoints",
        },
    }
    said = {"base": f"# What every environment of {name} shares.\n", "local": "# On this machine.\n"}
    for file, document in (("base", base), ("local", local)):
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
        (folder / f"{file}.yaml").write_text(schema_line("training", 2) + said[file] + text)
