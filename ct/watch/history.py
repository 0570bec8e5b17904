"""The runs a watch has begun and why: `.ct/triggers/<project>.jsonl`, a line an event."""

import dataclasses
import datetime
import json
import os
from pathlib import Path
from typing import Any

from components import folders
from ct.record import alive
from ct.watch import decide
from ct.watch.decide import Decision, Firing


@dataclasses.dataclass(frozen=True)
class Entry:
    """A firing with its reasons, as `ct why` tells them."""

    firing: Firing
    reasons: tuple[str, ...]
    process: int


def path_of(home: Path, project: str) -> Path:
    """Returns a project's file."""
    return home / "triggers" / f"{project}.jsonl"


def lock_of(home: Path, project: str) -> Path:
    """Returns the lock that makes reading the history, deciding and noting the firing one act."""
    return home / "triggers" / f".{project}.lock"


def begin(path: Path, decision: Decision, now: datetime.datetime) -> str:
    """Notes that a run begins, before it does; returns the firing's id."""
    firing = f"{now:%Y%m%dT%H%M%S%f}-{os.getpid()}"
    _append(path, {
        "firing": firing, "at": now.isoformat(), "triggers": decision.triggers, "reasons": decision.reasons,
        "keys": decision.keys, "state": decide.RUNNING, "process": os.getpid(),
    })  # fmt: skip
    return firing


def end(path: Path, firing: str, run: str, state: str) -> None:
    """Notes how a run ended."""
    _append(path, {"firing": firing, "run": run, "state": state})


def read(path: Path) -> list[Entry]:
    """Returns all firings, oldest first; one whose process is gone has failed, whatever it last said."""
    found: dict[str, dict[str, Any]] = {}
    for line in path.read_text().splitlines() if path.is_file() else []:
        event = json.loads(line)
        found[event["firing"]] = {**found.get(event["firing"], {}), **event}
    return [_entry(event) for event in found.values()]


def _entry(event: dict[str, Any]) -> Entry:
    state = event["state"]
    if state == decide.RUNNING and not alive(event["process"]):
        state = decide.FAILED
    firing = Firing(
        datetime.datetime.fromisoformat(event["at"]), tuple(event["triggers"]), tuple(event["keys"]), state,
        event.get("run", ""),
    )  # fmt: skip
    return Entry(firing, tuple(event["reasons"]), event["process"])


def _append(path: Path, event: dict[str, Any]) -> None:
    with folders.writing_to("the triggers' history", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # One write of one line: readers never see half of it.
        with path.open("a") as file:
            file.write(json.dumps(event) + "\n")
