"""What there is, what is in use, and what goes and stays: the words of a plan."""

import dataclasses
import datetime
from collections.abc import Sequence
from pathlib import Path

from kfp_ct.project.workspace import Workspace
from kfp_ct.retention import records
from kfp_ct.retention.records import RunFolder
from kfp_ct.retention.settings import Retention
from kfp_ct.retention.versions import Model

RECORD, ARTIFACTS, ENTRY = "record", "artifacts", "cache entry"
VERSION, ENVIRONMENT, CHECKPOINTS, LEFTOVER = "model version", "environment", "checkpoints", "leftover"


@dataclasses.dataclass(frozen=True)
class Item:
    """Something that goes, or stays.

    Attributes:
        kind: What it is.
        name: Its path below the local state, or model and version.
        size: Bytes on this machine.
        why: Why it goes or stays.
        path: Where it lies; None if the registry knows.
        copies: The same in object stores, which goes with it.
        model: The model of a version.
    """

    kind: str
    name: str
    size: int
    why: str
    path: Path | None = None
    copies: tuple[str, ...] = ()
    model: Model | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """What goes, in the order in which it is deleted, and what stays."""

    items: tuple[Item, ...]
    kept: tuple[Item, ...]

    @property
    def size(self) -> int:
        """Bytes that are freed on this machine."""
        return sum(item.size for item in self.items)


@dataclasses.dataclass(frozen=True)
class Survey:
    """What there is and what is in use.

    Attributes:
        workspace: The local state.
        retention: What is kept.
        now: The time.
        folders: Of all runs, newest first.
        leased: Paths that open runs use; None where no run is open.
    """

    workspace: Workspace
    retention: Retention
    now: datetime.datetime
    folders: Sequence[RunFolder]
    leased: Sequence[str] | None

    @property
    def is_busy(self) -> bool:
        """Whether any run goes on."""
        return self.leased is not None or any(folder.is_open for folder in self.folders)

    def is_older(self, time: datetime.datetime, length: str) -> bool:
        """Whether a time is longer ago than a duration."""
        return time < records.before(self.now, length)

    def name(self, path: Path) -> str:
        """Returns a path as people read it."""
        home = self.workspace.home
        return path.relative_to(home).as_posix() if path.is_relative_to(home) else str(path)
