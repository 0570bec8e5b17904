"""A run as every page shows it: its name, its state as a word, how long it took."""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any

from kfp_ct.endpoint.store import store_runs
from kfp_ct.runs import record
from kfp_ct.runs.events import State

_RUN_STATES = {
    store_runs.PENDING: "waiting", store_runs.RUNNING: "running", store_runs.CANCELING: "cancelling",
    store_runs.SUCCEEDED: "succeeded", store_runs.FAILED: "failed",
}  # fmt: skip
_TASK_STATES = {
    State.PENDING: "pending", State.RUNNING: "running", State.SUCCEEDED: "succeeded", State.CACHED: "from cache",
    State.FAILED: "failed", State.SKIPPED: "skipped",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """What lists show of a run.

    Attributes:
        id: The run's id.
        name: Its name.
        state: Its state as a word.
        active: Whether it has not ended.
        pipeline_id: Its pipeline; empty for a run of a package.
        pipeline: The pipeline's name; empty if it is gone.
        experiment: Name of its experiment.
        started: When it started, or was created if it has not.
        scheduled: When it was due.
        seconds: How long it took, or has been going on; None before it starts.
        cause: What started it.
    """

    id: str
    name: str
    state: str
    active: bool
    pipeline_id: str
    pipeline: str
    experiment: str
    started: str
    scheduled: str
    seconds: float | None
    cause: str


def summarise(
    row: Mapping[str, Any], pipelines: Mapping[str, str], experiments: Mapping[str, str] | None = None
) -> RunSummary:
    """Summarises a run's row.

    Args:
        row: The row.
        pipelines: Names of pipelines by id.
        experiments: Names of experiments by id; needed where the page shows them.
    """
    return RunSummary(
        id=row["id"],
        name=row["name"],
        state=state_word(row),
        active=row["state"] in store_runs.ACTIVE,
        pipeline_id=row["pipeline_id"] or "",
        pipeline=pipelines.get(row["pipeline_id"] or "", ""),
        experiment=(experiments or {}).get(row["experiment_id"], ""),
        started=row["started_at"] or row["created_at"],
        scheduled=row["scheduled_at"],
        seconds=seconds(row),
        cause=row["cause"],
    )


def state_word(row: Mapping[str, Any]) -> str:
    """Returns a run's state as a word; a run that was ended on request has not failed by itself."""
    if row["state"] == store_runs.FAILED and row["error"] == store_runs.TERMINATED:
        return "terminated"
    return _RUN_STATES[row["state"]]


def task_state_word(task: record.Task) -> str:
    """Returns a task's state as a word."""
    return _TASK_STATES[State(task.state)]


def seconds(row: Mapping[str, Any]) -> float | None:
    """Returns how long a run took, or how long it has been going on; None if it did not start."""
    if not row["started_at"]:
        return None
    if row["finished_at"]:
        return max(record.between(row["started_at"], row["finished_at"]), 0.0)
    return since(row["started_at"]) if row["state"] in store_runs.ACTIVE else None


def task_seconds(task: record.Task) -> float | None:
    """Returns how long a task took, or how long it has been going on; None if it did not start."""
    if task.state == State.RUNNING:
        return since(task.started)
    return task.seconds if task.state in (State.SUCCEEDED, State.CACHED, State.FAILED) else None


def since(moment: str) -> float | None:
    """Returns the seconds since a time; None if there is none."""
    return max(record.between(moment, _now()), 0.0) if moment else None


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()
