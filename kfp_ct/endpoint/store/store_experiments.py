"""Experiments: what runs are grouped by."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection

from kfp_ct.endpoint.store.database import new_id, now, row_of
from kfp_ct.endpoint.store.faults import check_description, check_name, exists, invalid, precondition
from kfp_ct.endpoint.store.listing import Listed
from kfp_ct.endpoint.store.tables import experiments, recurring_runs, runs

EXPERIMENTS = Listed(
    experiments,
    {"id": "id", "experiment_id": "id", "name": "name", "display_name": "name", "created_at": "created_at",
     "last_run_created_at": "last_run_created_at", "storage_state": "storage_state", "description": "description"},
    tuple(experiments.c),
)  # fmt: skip
DEFAULT = "Default"


def create(connection: Connection, name: str, description: str) -> Mapping[str, Any]:
    """Creates an experiment; returns its row."""
    check_name("experiment", name)
    check_description("experiment", description)
    if connection.execute(sqlalchemy.select(experiments.c.id).where(experiments.c.name == name)).first():
        raise exists("experiment", name)
    row = {
        "id": new_id(), "name": name, "description": description, "created_at": now(), "last_run_created_at": "",
        "storage_state": "AVAILABLE",
    }  # fmt: skip
    connection.execute(experiments.insert().values(row))
    return row


def get(connection: Connection, experiment_id: str) -> Mapping[str, Any]:
    """Returns an experiment's row."""
    return row_of(connection, experiments, experiment_id, "experiment")


def name_of(connection: Connection, experiment_id: str) -> str:
    """Returns an experiment's name; empty if it has been deleted."""
    return str(
        connection.execute(sqlalchemy.select(experiments.c.name).where(experiments.c.id == experiment_id)).scalar()
        or ""
    )


def chosen(connection: Connection, experiment_id: str) -> str:
    """Returns the experiment a run goes to: the one that is named, else the default one, made when first needed.

    Raises:
        Fault: It is not there, or is archived.
    """
    if experiment_id:
        if get(connection, experiment_id)["storage_state"] == "ARCHIVED":
            raise precondition(f"the experiment {experiment_id} is archived: unarchive it first")
        return experiment_id
    query = sqlalchemy.select(experiments.c.id).where(experiments.c.name == DEFAULT)
    found = connection.execute(query).scalar()
    return str(found or create(connection, DEFAULT, "Runs for which none was named")["id"])


def set_archived(connection: Connection, experiment_id: str, archived: bool) -> None:
    """Archives or restores an experiment; archiving takes its runs along and disables its schedules."""
    get(connection, experiment_id)
    state = "ARCHIVED" if archived else "AVAILABLE"
    connection.execute(experiments.update().where(experiments.c.id == experiment_id).values(storage_state=state))
    if archived:
        connection.execute(runs.update().where(runs.c.experiment_id == experiment_id).values(storage_state=state))
        of_it = recurring_runs.c.experiment_id == experiment_id
        connection.execute(recurring_runs.update().where(of_it).values(enabled=False, updated_at=now()))


def delete(connection: Connection, experiment_id: str) -> None:
    """Deletes an experiment; its runs and recurring runs stay, as on KFP, and the latter start nothing any more.

    Raises:
        Fault: It is the default one, which runs go to for which none is named.
    """
    if get(connection, experiment_id)["name"] == DEFAULT:
        raise invalid("the default experiment cannot be deleted")
    connection.execute(experiments.delete().where(experiments.c.id == experiment_id))
