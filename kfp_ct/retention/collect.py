"""Deletes what nothing refers to any more, beside runs that go on; killed anywhere, the next collection finishes.

What refers goes before what it refers to: cache entries, what tasks wrote, files of versions (marked first), records.
"""

import contextlib
import dataclasses
import datetime
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

from kfp_ct.base.errors import UsageError
from kfp_ct.project.workspace import Workspace
from kfp_ct.retention import models, plan, records, trash, versions
from kfp_ct.retention.settings import Retention
from kfp_ct.retention.survey import ARTIFACTS, ENTRY, RECORD, VERSION, Item, Plan, Survey
from kfp_ct.runs import endpoint_state, leases

_LOCK, JOURNAL = ".gc.lock", "gc.jsonl"
_TOPS = ("artifacts", "runs", "environments", "checkpoints", "workspaces")


def collect(
    workspace: Workspace, retention: Retention, dry_run: bool = False, now: datetime.datetime | None = None
) -> Plan:
    """Deletes what nothing needs; returns what went, or would go, and what stays.

    Raises:
        UsageError: A record cannot be read, there is no local state, or another collection goes on; nothing was
            deleted.
        CtError: An object store or a registry does not answer; the next collection goes on there.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    if not workspace.home.is_dir():
        raise UsageError(
            f"there is no local state {workspace.home}\nexpected: the folder that `ct run` keeps runs in\n"
            "fix: give --home (or CT_HOME); before the first run there is nothing to delete"
        )
    with _alone(workspace.home):
        with leases.exclusive(workspace.home):
            leased = leases.held(workspace.home)
            survey = Survey(workspace, retention, now, records.read(workspace), leased)
            found = plan.make(survey)
            if not dry_run:
                found = dataclasses.replace(found, items=tuple(_taken(survey, found)))
                _finish(survey)
        if not dry_run:
            for top in _TOPS:
                trash.empty(workspace.home / top)
            _note(workspace.home, found, now)
    return found


def last(home: Path) -> datetime.datetime | None:
    """Returns when the last collection ended; None before the first."""
    path = home / JOURNAL
    lines = path.read_text().splitlines() if path.is_file() else []
    with contextlib.suppress(IndexError, ValueError, KeyError):
        return datetime.datetime.fromisoformat(json.loads(lines[-1])["at"])
    return None


def _taken(survey: Survey, found: Plan) -> Iterator[Item]:
    """Takes away what goes; yields what went."""
    for item in found.items:
        if item.kind == VERSION:
            assert item.model is not None  # noqa: S101 - a version has one
            number = item.name.rpartition(" v")[2]
            if not versions.delete(item.model, number, survey.retention, survey.now):
                continue
        elif item.path is not None and not _take(survey.workspace, item, item.path):
            continue
        yield item


def _take(workspace: Workspace, item: Item, path: Path) -> bool:
    if item.kind == ENTRY:
        path.unlink(missing_ok=True)
        return True
    if item.kind == RECORD and not endpoint_state.forget(workspace.home, path.name):
        return False  # it is to run again
    top = workspace.home / path.relative_to(workspace.home).parts[0]
    trash.take(path, top, item.copies)
    return True


def _finish(survey: Survey) -> None:
    """Does what a collection that was killed has left, and removes folders of runs that are empty."""
    for model in models.find(survey):
        if models.is_ours(survey, model):
            versions.finish(model)
    in_use = {Path(path) for path in survey.leased or ()}
    for folder in survey.workspace.artifacts.glob("[!.]*"):
        if folder.is_dir() and folder not in in_use and not any(folder.iterdir()):
            folder.rmdir()


def _note(home: Path, found: Plan, now: datetime.datetime) -> None:
    """Keeps what went, a line a collection."""
    kinds: dict[str, list[str]] = {}
    for item in found.items:
        kinds.setdefault(item.kind, []).append(item.name)
    names = {kind: each for kind, each in kinds.items() if kind not in (ENTRY, ARTIFACTS)}
    counts = {kind: len(each) for kind, each in kinds.items()}
    with (home / JOURNAL).open("a") as file:
        file.write(json.dumps({"at": now.isoformat(), "bytes": found.size, "counts": counts, "names": names}) + "\n")


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    with (home / _LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"another collection of {home} goes on\nexpected: one at a time\nfix: wait until it has ended"
            ) from None
        yield
