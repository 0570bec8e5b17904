"""What a task was given and made of, and what the cache answered: kept with the run, a file a task."""

import dataclasses
import enum
import json
from pathlib import Path
from typing import Any

from kfp_ct.base import redaction
from kfp_ct.data import layouts

FOLDER = "inputs"


class Lookup(enum.StrEnum):
    """What the cache answered."""

    HIT = "HIT"
    MISS = "MISS"
    DELETED = "DELETED"  # the entry is there, an artifact of it is not
    OFF = "OFF"  # of the whole run
    NEVER = "NEVER"  # the pipeline takes this task out of the cache


@dataclasses.dataclass(frozen=True)
class TaskInputs:
    """Everything that a task's cache key is made of.

    Attributes:
        lookup: What the cache answered.
        key: kfp's cache key; empty where the cache was not asked.
        deleted: URI of the artifact that is gone, if that is why.
        interface: Hash of the component's command, which holds its interface's source.
        parameters: Its parameters.
        artifacts: Its input artifacts: name to {uri, metadata}.
        version: Files, modules and environment by kind (code, module, file, environment): name to digest.
    """

    lookup: Lookup
    key: str = ""
    deleted: str = ""
    interface: str = ""
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    artifacts: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    version: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)


def write(inputs: TaskInputs, folder: Path, task: str) -> None:
    """Writes a task's inputs below a run's folder."""
    layouts.write_text(
        _path(folder, task),
        json.dumps(redaction.redact_tree(dataclasses.asdict(inputs)), indent=1, default=str),
    )


def read(folder: Path, task: str) -> TaskInputs | None:
    """Reads a task's inputs; None if the run kept none."""
    try:
        fields = layouts.read_json(_path(folder, task))
        return TaskInputs(**{**fields, "lookup": Lookup(fields["lookup"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _path(folder: Path, task: str) -> Path:
    return folder / FOLDER / f"{task}.json"
