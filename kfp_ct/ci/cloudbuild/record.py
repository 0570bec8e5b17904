"""The record of a build on this machine: `.ct/builds/<id>/build.json`, beside it a log per step."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from kfp_ct.ci.cloudbuild.states import Status, StepState
from kfp_ct.data import layouts

RECORD = "build.json"
LOGS = "logs"


@dataclasses.dataclass
class Record:
    """What was built, from what, and how it ended; the values of secrets are nowhere in it."""

    id: str
    config: str
    source: str
    commit: str
    branch: str
    cause: str
    where: str  # "containers" or "this machine"
    substitutions: dict[str, str]
    started: str
    status: Status = Status.QUEUED
    detail: str = ""
    seconds: float = 0.0
    steps: list[StepState] = dataclasses.field(default_factory=list)
    images: dict[str, str] = dataclasses.field(default_factory=dict)  # pushed image → digest
    # Where a person had to agree: state (PENDING, APPROVED, REJECTED), by, why, at.
    approval: dict[str, str] = dataclasses.field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Writes the record."""
        layouts.write_text(folder / RECORD, json.dumps(dataclasses.asdict(self), indent=1) + "\n")


def load(folder: Path) -> Record:
    """Reads a record."""
    fields: dict[str, Any] = json.loads((folder / RECORD).read_text())
    steps = [StepState(**{**step, "status": Status(step["status"])}) for step in fields["steps"]]
    return Record(**{**fields, "status": Status(fields["status"]), "steps": steps})


def load_all(builds: Path) -> list[Record]:
    """Reads all records, newest first."""
    return [load(path.parent) for path in sorted(builds.glob(f"*/{RECORD}"), reverse=True)]
