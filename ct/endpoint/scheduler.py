"""Fires recurring runs when they are due."""

import contextlib
import datetime
import logging
import threading

from ct.endpoint import clock, store_recurring
from ct.endpoint.database import Database
from ct.endpoint.faults import Fault
from ct.project import Workspace

# A firing is late by no more than this.
_LOOK = 0.5
_log = logging.getLogger(__name__)


def step(workspace: Workspace, database: Database, now: datetime.datetime) -> int:
    """Starts the runs that are due; returns how many."""
    with database.reading() as connection:
        waiting = [row["id"] for row in store_recurring.enabled(connection) if _may_be_due(row, now)]
    fired = 0
    for recurring_run_id in waiting:
        # One that was deleted since is none of ours any more.
        with contextlib.suppress(Fault), database.writing() as connection:
            fired += store_recurring.fire(connection, workspace, recurring_run_id, now)
    return fired


def _may_be_due(row: store_recurring.Row, now: datetime.datetime) -> bool:
    last = clock.read_time(row["last_scheduled_at"]) if row["last_scheduled_at"] else None
    found = clock.upcoming(row["trigger"], last, clock.read_time(row["created_at"]))
    return found is not None and found <= now


def keep_stepping(workspace: Workspace, database: Database, stop: threading.Event, wake: threading.Event) -> None:
    """Fires what is due until `stop` is set."""
    while not stop.is_set():
        try:
            if step(workspace, database, datetime.datetime.now(datetime.UTC)):
                wake.set()
        except Exception:
            # Whatever it is, the next look is not to be missed.
            _log.exception("looking for recurring runs that are due failed")
        stop.wait(_LOOK)
