"""Runs of the local state: which are open, which are old, and which artifacts each refers to."""

import dataclasses
import datetime
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kfp_ct.base import nested
from kfp_ct.base.errors import UsageError
from kfp_ct.clock.durations import duration
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import endpoint_state, record
from kfp_ct.runs.record import Run

_ID_TIME = "%Y%m%d-%H%M%S"
# States of the endpoint's runs that have not ended.
_ACTIVE = ("PENDING", "RUNNING", "CANCELING")


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """The folder of a run.

    Attributes:
        path: The folder, named by the run.
        run: Its record; None where the run has none, since it waits or was killed before it began.
        queued: Whether the endpoint has it as one that has not ended.
    """

    path: Path
    run: Run | None
    queued: bool = False

    @property
    def id(self) -> str:
        """The run's id."""
        return self.path.name

    @property
    def is_open(self) -> bool:
        """Whether the run waits or goes on."""
        return self.queued or (self.run is not None and self.run.state == record.RUNNING)

    @property
    def began(self) -> datetime.datetime:
        """When the run began."""
        if self.run is not None:
            return datetime.datetime.fromisoformat(self.run.started)
        try:
            text = self.id.rpartition("-")[0]
            return datetime.datetime.strptime(text, _ID_TIME).replace(tzinfo=datetime.UTC)
        except ValueError:  # no run's name: as old as its last change
            return datetime.datetime.fromtimestamp(self.path.stat().st_mtime, datetime.UTC)


def read(workspace: Workspace) -> list[RunFolder]:
    """Returns the folders of all runs, newest first.

    Raises:
        UsageError: A record cannot be read: what it needs is not known.
    """
    states = endpoint_state.states(workspace.home)
    folders = (path for path in workspace.runs.glob("*") if path.is_dir() and not path.name.startswith("."))
    found = [RunFolder(path, _record(path), states.get(path.name, "") in _ACTIVE) for path in folders]
    return sorted(found, key=lambda each: (each.began, each.id), reverse=True)


def uses(workspace: Workspace, folder: RunFolder) -> set[Path]:
    """Returns the artifacts that a run's record refers to: what it wrote, was given, or had from the cache."""
    path = folder.path / record.RECORD
    return units(workspace, texts(json.loads(path.read_text()))) if folder.run else set()


def units(workspace: Workspace, uris: Iterable[str]) -> set[Path]:
    """Returns what is deleted as one and holds these URIs: the folder of a task in that of a run."""
    below = f"{workspace.artifacts}{os.sep}"
    real = os.path.realpath(workspace.artifacts)
    found = set()
    for uri in uris:
        path = uri.removeprefix("file://")
        if not path.startswith(os.sep):
            continue
        parts = path.removeprefix(below) if path.startswith(below) else os.path.relpath(os.path.realpath(path), real)
        if not parts.startswith(os.pardir):
            found.add(workspace.artifacts.joinpath(*Path(parts).parts[:2]))
    return found


def texts(value: Any) -> Iterator[str]:
    """Yields all texts of a JSON document."""
    return (text for _, text in nested.texts(value))


def before(now: datetime.datetime, length: str) -> datetime.datetime:
    """Returns the time so long ago."""
    return now - datetime.timedelta(seconds=duration(length))


def _record(folder: Path) -> Run | None:
    path = folder / record.RECORD
    if not path.is_file():
        return None
    try:
        return record.load(folder)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}\nexpected: the record of a run, which says what it needs\n"
            "fix: restore it, or move its folder away; nothing was deleted"
        ) from error
