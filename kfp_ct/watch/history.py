"""The history of firings and their reasons: `.ct/triggers/<project>.jsonl`, one line per event."""

import dataclasses
import datetime
import os
from pathlib import Path
from typing import Any

from kfp_ct.runs import endpoint_state
from kfp_ct.runs.record import alive
from kfp_ct.watch import journal, observations
from kfp_ct.watch.decide import Decision
from kfp_ct.watch.observations import Firing

_NOBODY = 0
# What the endpoint's states mean here; a run that is not there was deleted.
_STATES = {"SUCCEEDED": observations.SUCCEEDED, "FAILED": observations.FAILED, "": observations.FAILED}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A firing with its reasons, as `ct why` prints them."""

    firing: Firing
    reasons: tuple[str, ...]
    process: int
    messages: tuple[str, ...] = ()  # that caused it


def path_of(home: Path, project: str) -> Path:
    """Returns a project's file."""
    return home / "triggers" / f"{project}.jsonl"


def lock_of(home: Path, project: str) -> Path:
    """Returns the lock under which the history is read, the decision made and the firing recorded."""
    return home / "triggers" / f".{project}.lock"


def record_firing(path: Path, decision: Decision, now: datetime.datetime, messages: tuple[str, ...] = ()) -> str:
    """Records a firing before its run begins; returns the firing's id.

    A firing whose process ended before `mark_started` or `mark_queued` does not count: the next look decides again.
    """
    firing = f"{now:%Y%m%dT%H%M%S%f}-{os.getpid()}"
    journal.append(path, {
        "firing": firing, "at": now.isoformat(), "triggers": decision.triggers, "reasons": decision.reasons,
        "keys": decision.keys, "state": observations.RUNNING, "process": os.getpid(), "messages": messages,
        "begun": False,
    })  # fmt: skip
    return firing


def mark_started(path: Path, firing: str) -> None:
    """Records that the run begins in this process."""
    journal.append(path, {"firing": firing, "begun": True})


def mark_queued(path: Path, firing: str, run: str) -> None:
    """Records that the local endpoint runs it; the endpoint knows how it ends."""
    journal.append(path, {"firing": firing, "begun": True, "run": run, "queued": True})


def withdraw(path: Path, firing: str) -> None:
    """Records that the run could not begin."""
    journal.append(path, {"firing": firing, "process": _NOBODY})


def mark_ended(path: Path, firing: str, run: str, state: str) -> None:
    """Records how the run ended."""
    journal.append(path, {"firing": firing, "run": run, "state": state})


def read(path: Path) -> list[Entry]:
    """Returns all firings, oldest first; one whose process is gone has failed, whatever its last event says."""
    found: dict[str, dict[str, Any]] = {}
    for event in journal.read(path):
        found[event["firing"]] = {**found.get(event["firing"], {}), **event}
    return [_entry(event, path.parent.parent) for event in found.values() if not _never_started(event)]


def of_run(home: Path, run: str) -> Entry | None:
    """Returns the firing that started a run; None if there is none."""
    entries = (entry for path in sorted((home / "triggers").glob("*.jsonl")) for entry in read(path))
    return next((entry for entry in entries if entry.firing.run == run), None)


def _never_started(event: dict[str, Any]) -> bool:
    # Older events do not record whether the run began.
    return not event.get("begun", True) and not _is_alive(event["process"])


def _is_alive(process: int) -> bool:
    return process != _NOBODY and alive(process)


def _entry(event: dict[str, Any], home: Path) -> Entry:
    state = event["state"]
    if state == observations.RUNNING and event.get("queued"):
        state = _STATES.get(endpoint_state.of_run(home, event["run"]), observations.RUNNING)
    elif state == observations.RUNNING and not _is_alive(event["process"]):
        state = observations.FAILED
    firing = Firing(
        datetime.datetime.fromisoformat(event["at"]), tuple(event["triggers"]),
        tuple(map(_current_key, event["keys"])), state, event.get("run", ""),
    )  # fmt: skip
    return Entry(firing, tuple(event["reasons"]), event["process"], tuple(event.get("messages", ())))


def _current_key(key: str) -> str:
    """Returns a key under its present name: older histories say `wish` and `tick`."""
    kind, colon, rest = key.partition(":")
    return {"wish": observations.MANUAL, "tick": observations.JOB}.get(kind, kind) + colon + rest
