"""The folder of a run: what it is to run, and what it has come to; shared by the endpoint and the run's process."""

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kfp_ct.data import layouts
from kfp_ct.package import package
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import record

_REQUEST, _PACKAGE, _LOCK = "request.json", "submitted.yaml", "process.lock"


@dataclasses.dataclass(frozen=True)
class Order:
    """What a run's process is to do."""

    id: str
    name: str
    parameters: dict[str, Any]
    cause: str
    version: str = ""  # the pipeline version's name, which is a commit where `ct deploy` made it
    decision: dict[str, Any] = dataclasses.field(default_factory=dict)  # of the trigger that began it


def of(workspace: Workspace, run: str) -> Path:
    """Returns the folder of a run."""
    return workspace.runs / run


def prepare(workspace: Workspace, order: Order, compiled: package.Package) -> None:
    """Writes down what a run is to do."""
    folder = of(workspace, order.id)
    try:
        folder.mkdir(parents=True)
        package.write_package(compiled, folder / _PACKAGE)
        layouts.write_text(folder / _REQUEST, json.dumps(dataclasses.asdict(order), indent=1))
    except BaseException:  # such as a full disk: a folder without its run would be nobody's
        shutil.rmtree(folder, ignore_errors=True)
        raise


def order(folder: Path) -> Order:
    """Reads what a run is to do."""
    return Order(**json.loads((folder / _REQUEST).read_text()))


def is_ordered(folder: Path) -> bool:
    """Whether the API ordered a run; else `ct run` made it."""
    return (folder / _REQUEST).is_file()


def submitted(folder: Path) -> package.Package:
    """Reads the package as it was handed over."""
    return package.load_package(folder / _PACKAGE)


def account(folder: Path) -> record.Run | None:
    """Reads what the run has come to; None before it began."""
    try:
        return record.load(folder)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def occupied(folder: Path) -> Iterator[bool]:
    """Holds a run for one process while its body runs; yields False if another process holds it.

    The kernel lets go when the process ends, however it ends.
    """
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def is_occupied(folder: Path) -> bool:
    """Whether a process is at work on a run."""
    if not (folder / _LOCK).exists():
        return False
    with occupied(folder) as free:
        return not free


def discard(folder: Path) -> None:
    """Ends the process that is at work on a run, if one is, and removes the run's folder."""
    if folder.is_dir() and is_occupied(folder) and (begun := account(folder)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(begun.process, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def set_aside(folder: Path, attempt: int) -> None:
    """Keeps what an attempt left, beside what the next one will write."""
    for name in (
        record.RECORD,
        "logs",
        "report.html",
        "report.json",
        "model_card.html",
        "importance.json",
        "attribution.json",
    ):
        path = folder / name
        if path.exists():
            path.rename(folder / f"attempt-{attempt}-{name}")
