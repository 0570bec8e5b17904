"""Recurring runs, and the runs they start."""

import datetime
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection

from kfp_ct.endpoint.store import clock, macros, packages, store_experiments, store_runs
from kfp_ct.endpoint.store.database import moment, new_id, now, row_of
from kfp_ct.endpoint.store.faults import Fault, check_description, check_name, check_text, invalid
from kfp_ct.endpoint.store.listing import Listed
from kfp_ct.endpoint.store.tables import recurring_runs, runs
from kfp_ct.project.workspace import Workspace

RECURRING_RUNS = Listed(
    recurring_runs,
    {"id": "id", "recurring_run_id": "id", "name": "name", "display_name": "name", "created_at": "created_at",
     "updated_at": "updated_at", "experiment_id": "experiment_id", "pipeline_id": "pipeline_id",
     "pipeline_version_id": "version_id", "description": "description"},
    tuple(recurring_runs.c),
)  # fmt: skip
_MOST_AT_ONCE = 10  # KFP's bound
_EPOCH = datetime.datetime.fromtimestamp(0, datetime.UTC)


def create(connection: Connection, wanted: store_runs.Wanted, schedule: Mapping[str, Any]) -> Mapping[str, Any]:
    """Creates a recurring run; returns its row.

    Args:
        connection: A writing transaction.
        wanted: The run that each firing starts.
        schedule: trigger, max_concurrency, no_catchup and enabled.

    Raises:
        Fault: It could never start a run.
    """
    check_name("recurring run", wanted.name, store_runs.LONGEST_NAME)
    check_description("recurring run", wanted.description)
    check_text("pipeline_root", wanted.pipeline_root)
    check_text("service_account", wanted.service_account, store_runs.LONGEST_NAME)
    clock.check(schedule["trigger"])
    if not 1 <= schedule["max_concurrency"] <= _MOST_AT_ONCE:
        raise invalid(f"max_concurrency is {schedule['max_concurrency']}: expected 1 to {_MOST_AT_ONCE}")
    compiled, version = store_runs.package_of(connection, wanted)
    sample = macros.Macros("sample", _EPOCH, _EPOCH, 1).fill(dict(wanted.parameters))
    packages.arguments(compiled, sample)
    row = {
        "id": new_id(), "name": wanted.name, "description": wanted.description,
        "experiment_id": store_experiments.chosen(connection, wanted.experiment_id),
        "pipeline_id": version.get("pipeline_id"), "version_id": wanted.version_id or None,
        "spec": None if wanted.spec is None else json.dumps(wanted.spec), "parameters": dict(wanted.parameters),
        "pipeline_root": wanted.pipeline_root, "service_account": wanted.service_account,
        "created_at": now(), "updated_at": now(), "last_scheduled_at": None, "fired": 0, "error": "", **schedule,
    }  # fmt: skip
    connection.execute(recurring_runs.insert().values(row))
    return row


def get(connection: Connection, recurring_run_id: str) -> Mapping[str, Any]:
    """Returns a recurring run's row."""
    return row_of(connection, recurring_runs, recurring_run_id, "recurring run")


def enable(connection: Connection, recurring_run_id: str, enabled: bool) -> None:
    """Lets it fire, or keeps it from firing."""
    get(connection, recurring_run_id)
    of_it = recurring_runs.c.id == recurring_run_id
    connection.execute(recurring_runs.update().where(of_it).values(enabled=enabled, updated_at=now()))


def delete(connection: Connection, recurring_run_id: str) -> None:
    """Deletes it; the runs it started stay."""
    get(connection, recurring_run_id)
    connection.execute(recurring_runs.delete().where(recurring_runs.c.id == recurring_run_id))


def enabled(connection: Connection) -> list[Mapping[str, Any]]:
    """Returns those that may fire."""
    query = sqlalchemy.select(recurring_runs).where(recurring_runs.c.enabled).order_by(recurring_runs.c.created_at)
    return [dict(row) for row in connection.execute(query).mappings()]


def next_firing(row: Mapping[str, Any]) -> datetime.datetime | None:
    """Returns when it fires next; None if it never does again, or is disabled."""
    if not row["enabled"]:
        return None
    last = clock.read_time(row["last_scheduled_at"]) if row["last_scheduled_at"] else None
    return clock.upcoming(row["trigger"], last, clock.read_time(row["created_at"]))


def fire(connection: Connection, workspace: Workspace, recurring_run_id: str, at: datetime.datetime) -> bool:
    """Starts the run that is due, if one is; returns whether it did. The run and the firing are one transaction.

    Args:
        connection: A writing transaction.
        workspace: Where runs are.
        recurring_run_id: What may fire.
        at: The time.
    """
    row = get(connection, recurring_run_id)
    last = clock.read_time(row["last_scheduled_at"]) if row["last_scheduled_at"] else None
    when = clock.due(row["trigger"], last, clock.read_time(row["created_at"]), at, not row["no_catchup"])
    if not row["enabled"] or when is None:
        return False
    if store_runs.active_of(connection, row["id"]) >= row["max_concurrency"]:
        return False
    fired = row["fired"] + 1
    problem = ""
    known = sqlalchemy.select(runs.c.id).where(
        runs.c.recurring_run_id == row["id"], runs.c.scheduled_at == moment(when)
    )
    if connection.execute(known).first() is None:
        try:
            store_runs.create(connection, workspace, _run_of(row, when, fired))
        except Fault as fault:
            # What it runs is gone or has other inputs now: that firing is lost, and is said.
            problem = f"{moment(when)}: {fault.message}"
    values = {"last_scheduled_at": moment(when), "fired": fired, "error": problem}
    connection.execute(recurring_runs.update().where(recurring_runs.c.id == row["id"]).values(values))
    return not problem


def _run_of(row: Mapping[str, Any], when: datetime.datetime, fired: int) -> store_runs.Wanted:
    return store_runs.Wanted(
        name=f"{row['name']} {when:%Y-%m-%d %H:%M:%S}",
        experiment_id=row["experiment_id"],
        description=row["description"],
        pipeline_id=row["pipeline_id"] or "",
        version_id=row["version_id"] or "",
        spec=json.loads(row["spec"]) if row["spec"] else None,
        parameters=row["parameters"],
        pipeline_root=row["pipeline_root"],
        service_account=row["service_account"],
        recurring_run_id=row["id"],
        scheduled=when,
        index=fired,
        cause=f"schedule {row['name']}, due {moment(when)}",
    )
