"""Runs a recipe again, from the sources of its commit, in a local state of its own."""

import contextlib
import dataclasses
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kfp_ct.base.errors import CtError, RunFailedError
from kfp_ct.champions import locations
from kfp_ct.champions.locations import Location
from kfp_ct.models import model_version, registry
from kfp_ct.project.workspace import HOME_VARIABLE
from kfp_ct.reproduce import checkout
from kfp_ct.reproduce.locked import Interpreters
from kfp_ct.reproduce.recipe import Recipe
from kfp_ct.runs import record
from kfp_ct.runs.record import Run

_SHOWN_LINES = 8


@dataclasses.dataclass(frozen=True)
class Where:
    """Where a recipe runs.

    Attributes:
        tree: The commit's sources.
        home: The local state.
        pythons: What runs it.
    """

    tree: Path
    home: Path
    pythons: Interpreters


def rerun(recipe: Recipe, place: Location, where: Where) -> Run:
    """Runs a recipe to the end; returns the record.

    Raises:
        RunFailedError: The run left no record: it was refused, or died.
    """
    arguments = recipe.arguments(where.home)
    checkout.prepare(where.tree, place.workspace.root, recipe.run.project, arguments)
    name = checkout.settings_name(where.tree, recipe.run.project, recipe.run.environment)
    given = [f"--set={key}={json.dumps(value)}" for key, value in arguments.items()]
    cause = f"reproduces {recipe.model} v{recipe.version.number}"
    command = ["run", recipe.run.project, "--settings", name, "--home", str(where.home), "--cause", cause, *given]
    done = _ct(command, where)
    found = sorted((where.home / "runs").glob(f"*/{record.RECORD}"))
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


def _ct(arguments: Sequence[str], where: Where) -> "subprocess.CompletedProcess[str]":
    """Runs the commit's own `ct`, as far as the library is among its sources."""
    variables = {HOME_VARIABLE: str(where.home), "CT_COMPONENT_PYTHON": str(where.pythons.components)}
    if (where.tree / "kfp_ct").is_dir():
        variables["PYTHONPATH"] = str(where.tree)
    return subprocess.run(
        [str(where.pythons.author), "-m", "kfp_ct.cli.main", *arguments],
        cwd=where.tree,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
