"""The runs a watch has begun and why: `.ct/triggers/<project>.jsonl`, a line an event."""

import dataclasses
import datetime
import os
from pathlib import Path
from typing import Any

from kfp_ct.runs import endpoint_state
from kfp_ct.runs.record import alive
from kfp_ct.watch import decide, journal
from kfp_ct.watch.decide import Decision, Firing

_NOBODY = 0
# What the endpoint's states mean here; a run that is not there was deleted.
_STATES = {"SUCCEEDED": decide.SUCCEEDED, "FAILED": decide.FAILED, "": decide.FAILED}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A firing with its reasons, as `ct why` tells them."""

    firing: Firing
    reasons: tuple[str, ...]
    process: int
    messages: tuple[str, ...] = ()  # that told what it answers


def path_of(home: Path, project: str) -> Path:
    """Returns a project's file."""
    return home / "triggers" / f"{project}.jsonl"


def lock_of(home: Path, project: str) -> Path:
    """Returns the lock that makes reading the history, deciding and noting the firing one act."""
    return home / "triggers" / f".{project}.lock"


def begin(path: Path, decision: Decision, now: datetime.datetime, messages: tuple[str, ...] = ()) -> str:
    """Notes that a run is to begin, before it does; returns the firing's id.

    Until `started` or `queued` says that it has, a firing whose process is gone was none: the next look decides anew.
    """
    firing = f"{now:%Y%m%dT%H%M%S%f}-{os.getpid()}"
    journal.append(path, {
        "firing": firing, "at": now.isoformat(), "triggers": decision.triggers, "reasons": decision.reasons,
        "keys": decision.keys, "state": decide.RUNNING, "process": os.getpid(), "messages": messages, "begun": False,
    })  # fmt: skip
    return firing


def started(path: Path, firing: str) -> None:
    """Notes that the run begins in this process."""
    journal.append(path, {"firing": firing, "begun": True})


def queued(path: Path, firing: str, run: str) -> None:
    """Notes that a run is the local endpoint's to carry out; how it ends is asked there."""
    journal.append(path, {"firing": firing, "begun": True, "run": run, "queued": True})


def withdraw(path: Path, firing: str) -> None:
    """Notes that a run could not begin."""
    journal.append(path, {"firing": firing, "process": _NOBODY})


def end(path: Path, firing: str, run: str, state: str) -> None:
    """Notes how a run ended."""
    journal.append(path, {"firing": firing, "run": run, "state": state})


def read(path: Path) -> list[Entry]:
    """Returns all firings, oldest first; one whose process is gone has failed, whatever it last said."""
    found: dict[str, dict[str, Any]] = {}
    for event in journal.read(path):
        found[event["firing"]] = {**found.get(event["firing"], {}), **event}
    return [_entry(event, path.parent.parent) for event in found.values() if not _came_to_nothing(event)]


def of_run(home: Path, run: str) -> Entry | None:
    """Returns the firing that began a run; None if none did."""
    entries = (entry for path in sorted((home / "triggers").glob("*.jsonl")) for entry in read(path))
    return next((entry for entry in entries if entry.firing.run == run), None)


def _came_to_nothing(event: dict[str, Any]) -> bool:
    # What was kept before beginning was noted says nothing of it.
    return not event.get("begun", True) and not _goes_on(event["process"])


def _goes_on(process: int) -> bool:
    return process != _NOBODY and alive(process)


def _entry(event: dict[str, Any], home: Path) -> Entry:
    state = event["state"]
    if state == decide.RUNNING and event.get("queued"):
        state = _STATES.get(endpoint_state.of_run(home, event["run"]), decide.RUNNING)
    elif state == decide.RUNNING and not _goes_on(event["process"]):
        state = decide.FAILED
    firing = Firing(
        datetime.datetime.fromisoformat(event["at"]), tuple(event["triggers"]), tuple(event["keys"]), state,
        event.get("run", ""),
    )  # fmt: skip
    return Entry(firing, tuple(event["reasons"]), event["process"], tuple(event.get("messages", ())))
