"""One small run of flights for all tests of a test run that need a trained and served model."""

import dataclasses
import json
import shutil
from pathlib import Path

from ct_command import SMALL, Done, run
from made_once import made_once


def first_run(shared: Path) -> tuple[Path, Done]:
    """Returns the home that the run was made in, and what it said.

    Only tests/system/pipelines/test_e2e_run.py goes on in this home; copies have nothing of what it adds.
    """
    folder = made_once(shared, "trained", _train)
    return folder / "home", Done(**json.loads((folder / "done.json").read_text()))


def copy(shared: Path, home: Path) -> None:
    """Makes a home that is as the run left it; artifacts and registered models are read where the run made them."""
    _, done = first_run(shared)
    assert done.code == 0, done.err
    shutil.copytree(shared / "trained" / "copied", home, symlinks=True, dirs_exist_ok=True)


def _train(folder: Path) -> None:
    done = run(folder / "home", *SMALL)
    if done.code == 0:
        shutil.copytree(folder / "home", folder / "copied", symlinks=True)
    (folder / "done.json").write_text(json.dumps(dataclasses.asdict(done)))
