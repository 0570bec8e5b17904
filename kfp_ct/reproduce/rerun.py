"""Runs a recipe again, from the sources of its commit, in a local state of its own."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import CtError, RunFailedError, UsageError
from kfp_ct.champions import locations
from kfp_ct.champions.locations import Location
from kfp_ct.models import model_version, registry
from kfp_ct.project.environments import component_python
from kfp_ct.project.workspace import HOME_VARIABLE
from kfp_ct.reproduce import checkout
from kfp_ct.reproduce.recipe import Recipe
from kfp_ct.runs import record
from kfp_ct.runs.record import Run

_SHOWN_LINES = 8


def rerun(recipe: Recipe, place: Location, tree: Path, home: Path) -> Run:
    """Runs a recipe to the end; returns the record.

    Raises:
        RunFailedError: The run left no record: it was refused, or died.
    """
    arguments = recipe.arguments(home)
    checkout.prepare(tree, place.workspace.root, recipe.run.project, arguments)
    name = checkout.settings_name(tree, recipe.run.project, recipe.run.environment)
    given = [f"--set={key}={json.dumps(value)}" for key, value in arguments.items()]
    cause = f"reproduces {recipe.model} v{recipe.version.number}"
    command = ["run", recipe.run.project, "--settings", name, "--home", str(home), "--cause", cause, *given]
    done = _ct(command, place.workspace.root, tree, home)
    found = sorted((home / "runs").glob(f"*/{record.RECORD}"))
    if not found:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-_SHOWN_LINES:]
        reason = "\n".join(said) or f"exit code {done.returncode}"
        raise RunFailedError(f"the run of {recipe.commit[:12]} did not begin\n{reason}")
    return record.load(found[-1].parent)


def with_champion(recipe: Recipe, place: Location, home: Path) -> str:
    """Gives a local state the champion that the version was judged against; returns why it cannot, else nothing."""
    if not recipe.champion:
        return ""
    title = f"the champion of then, v{recipe.champion}"
    database = model_version.database_path(place.registry_uri)
    if database is None:
        return f"{title}, is in a registry on a server: this run has none to be better than"
    version = place.reader.version(recipe.model, recipe.champion)
    try:
        folder = locations.local_files(place, recipe.model, version) if version else None
    except CtError:
        folder = None
    if folder is None:
        return f"the files of {title}, are gone: this run has none to be better than"
    copied = home / "registry" / "mlflow.db"
    copied.parent.mkdir(parents=True, exist_ok=True)
    with (
        contextlib.closing(sqlite3.connect(database)) as source,
        contextlib.closing(sqlite3.connect(copied)) as target,
    ):
        source.backup(target)
    shutil.copytree(folder, copied.parent / "models" / recipe.model / folder.name, dirs_exist_ok=True)
    with registry.writing(f"{model_version.SQLITE}{copied}") as client:
        client.set_registered_model_alias(recipe.model, model_version.CHAMPION, recipe.champion)
    return ""


def _ct(arguments: Sequence[str], root: Path, tree: Path, home: Path) -> "subprocess.CompletedProcess[str]":
    """Runs the commit's own `ct`, as far as the library is among its sources."""
    environment: dict[str, Any] = {**os.environ, HOME_VARIABLE: str(home)}
    with contextlib.suppress(UsageError):
        environment["CT_COMPONENT_PYTHON"] = str(component_python(root))
    if (tree / "kfp_ct").is_dir():
        environment["PYTHONPATH"] = str(tree)
    command = [sys.executable, "-m", "kfp_ct.cli.main", *arguments]
    return subprocess.run(
        command, cwd=tree, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
