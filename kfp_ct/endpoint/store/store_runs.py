"""Runs: created, begun, ended, each change of state one transaction and kept in the run's history."""

import dataclasses
import datetime
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection

from kfp_ct.caching import made_texts
from kfp_ct.endpoint.store import folders, macros, packages, store_experiments, store_pipelines
from kfp_ct.endpoint.store.database import moment, now, row_of
from kfp_ct.endpoint.store.faults import check_description, check_name, check_text, invalid, precondition
from kfp_ct.endpoint.store.listing import Listed
from kfp_ct.endpoint.store.tables import experiments, runs
from kfp_ct.package import package
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import record

PENDING, RUNNING, CANCELING, SUCCEEDED, FAILED = "PENDING", "RUNNING", "CANCELING", "SUCCEEDED", "FAILED"
ACTIVE = (PENDING, RUNNING, CANCELING)
LONGEST_NAME = 255  # of MySQL's column
TERMINATED = "terminated by request"
RUNS = Listed(
    runs,
    {"id": "id", "run_id": "id", "name": "name", "display_name": "name", "created_at": "created_at",
     "scheduled_at": "scheduled_at", "finished_at": "finished_at", "storage_state": "storage_state", "state": "state",
     "status": "state", "experiment_id": "experiment_id", "recurring_run_id": "recurring_run_id",
     "pipeline_version_id": "version_id", "pipeline_id": "pipeline_id", "description": "description"},
    tuple(runs.c),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A run that is asked for; of `version_id` and `spec` one says what is to run, else it is the newest version."""

    name: str
    experiment_id: str = ""
    description: str = ""
    pipeline_id: str = ""
    version_id: str = ""
    spec: package.Package | None = None
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pipeline_root: str = ""
    service_account: str = ""
    recurring_run_id: str = ""
    scheduled: datetime.datetime | None = None
    index: int = 0
    cause: str = "on demand"
    decision: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def create(connection: Connection, workspace: Workspace, wanted: Wanted) -> Mapping[str, Any]:
    """Queues a run; returns its row. Its folder is written before the row: a row always has one.

    Raises:
        Fault: There is no such version or experiment, or the parameters do not fit.
    """
    check_name("run", wanted.name, LONGEST_NAME)
    check_description("run", wanted.description)
    check_text("pipeline_root", wanted.pipeline_root)
    check_text("service_account", wanted.service_account, LONGEST_NAME)
    compiled, version = package_of(connection, wanted)
    experiment = store_experiments.chosen(connection, wanted.experiment_id)
    run_id, created = record.new_id(), datetime.datetime.now(datetime.UTC)
    scheduled = wanted.scheduled or created
    firing = (wanted.scheduled, wanted.index) if wanted.recurring_run_id else (None, None)
    parameters = macros.Macros(run_id, created, *firing).fill(dict(wanted.parameters))
    packages.arguments(compiled, parameters, made_texts.named_files(workspace, is_where_tasks_run=True))
    row = {
        "id": run_id, "experiment_id": experiment, "name": wanted.name, "description": wanted.description,
        "storage_state": "AVAILABLE", "pipeline_id": version.get("pipeline_id"), "version_id": version.get("id"),
        "parameters": parameters, "pipeline_root": wanted.pipeline_root, "service_account": wanted.service_account,
        "recurring_run_id": wanted.recurring_run_id or None, "cause": wanted.cause, "state": PENDING, "error": "",
        "state_history": [{"update_time": moment(created), "state": PENDING}], "attempt": 1,
        "created_at": moment(created), "scheduled_at": moment(scheduled), "started_at": "", "finished_at": "",
    }  # fmt: skip
    order = folders.Order(run_id, wanted.name, parameters, wanted.cause, version.get("name", ""), dict(wanted.decision))
    folders.prepare(workspace, order, compiled)
    connection.execute(runs.insert().values(row))
    touched = experiments.update().where(experiments.c.id == experiment)
    connection.execute(touched.values(last_run_created_at=row["created_at"]))
    return row


def package_of(connection: Connection, wanted: Wanted) -> tuple[package.Package, Mapping[str, Any]]:
    """Returns what is to run, and the row of its version; an empty row for a package that was handed over.

    Raises:
        Fault: There is no such version.
    """
    if wanted.spec is not None:
        return wanted.spec, {}
    if wanted.version_id:
        version = store_pipelines.version(connection, wanted.version_id, wanted.pipeline_id)
    elif wanted.pipeline_id:
        version = store_pipelines.latest_version(connection, wanted.pipeline_id)
    else:
        raise invalid("nothing to run: expected pipeline_version_reference or pipeline_spec")
    return json.loads(version["spec"]), version


def get(connection: Connection, run_id: str) -> Mapping[str, Any]:
    """Returns a run's row."""
    return row_of(connection, runs, run_id, "run")


def exists(connection: Connection, run_id: str) -> bool:
    """Whether there is a run of this id; it may have been deleted meanwhile."""
    return connection.execute(sqlalchemy.select(runs.c.id).where(runs.c.id == run_id)).first() is not None


def in_state(connection: Connection, *states: str) -> list[Mapping[str, Any]]:
    """Returns the runs in a state, oldest first."""
    query = sqlalchemy.select(runs).where(runs.c.state.in_(states)).order_by(runs.c.created_at, runs.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def active_of(connection: Connection, recurring_run_id: str) -> int:
    """Returns how many runs of a recurring run have not ended."""
    query = sqlalchemy.select(sqlalchemy.func.count()).select_from(runs)
    found = connection.execute(query.where(runs.c.recurring_run_id == recurring_run_id, runs.c.state.in_(ACTIVE)))
    return int(found.scalar_one())


def change(connection: Connection, run: Mapping[str, Any], state: str, error: str = "", **fields: Any) -> None:
    """Brings a run into a state."""
    step: dict[str, Any] = {"update_time": now(), "state": state}
    if error:
        step["error"] = {"code": 2, "message": error}
    values = {"state": state, "error": error, "state_history": [*run["state_history"], step], **fields}
    connection.execute(runs.update().where(runs.c.id == run["id"]).values(values))


def terminate(connection: Connection, run_id: str) -> None:
    """Ends a run: one that waits at once, one at work as soon as its process has gone.

    It ends as failed, as on KFP, whose client waits for no other state.
    """
    run = get(connection, run_id)
    if run["state"] == PENDING:
        change(connection, run, FAILED, TERMINATED, finished_at=now())
    elif run["state"] == RUNNING:
        change(connection, run, CANCELING)
    elif run["state"] != CANCELING:
        raise precondition(f"the run {run_id} has ended: {run['state']}")


def retry(connection: Connection, run_id: str) -> None:
    """Queues a failed run again; steps that were done are answered from the cache.

    Raises:
        Fault: It has not failed.
    """
    run = get(connection, run_id)
    if run["state"] != FAILED:
        raise precondition(f"only a run that failed can be retried; {run_id} is {run['state']}")
    change(connection, run, PENDING, finished_at="", started_at="", attempt=run["attempt"] + 1)


def set_archived(connection: Connection, run_id: str, archived: bool) -> None:
    """Archives or restores a run.

    Raises:
        Fault: It is to be restored, and its experiment is archived.
    """
    run = get(connection, run_id)
    if not archived:
        store_experiments.chosen(connection, run["experiment_id"])
    state = "ARCHIVED" if archived else "AVAILABLE"
    connection.execute(runs.update().where(runs.c.id == run_id).values(storage_state=state))


def delete(connection: Connection, workspace: Workspace, run_id: str) -> None:
    """Deletes a run, its record and its logs, as on KFP whatever it is at: a process that works on it is ended.

    Artifacts stay until `ct gc`, for other runs may refer to them. A process that has not taken hold of the run's
    folder yet is ended by the executor.
    """
    get(connection, run_id)
    connection.execute(runs.delete().where(runs.c.id == run_id))
    folders.discard(folders.of(workspace, run_id))
