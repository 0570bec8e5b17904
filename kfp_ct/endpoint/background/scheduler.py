"""Fires recurring runs when they are due."""

import contextlib
import datetime
import logging
import threading

from kfp_ct.endpoint.store import store_recurring
from kfp_ct.endpoint.store.database import Database
from kfp_ct.endpoint.store.faults import Fault
from kfp_ct.project.workspace import Workspace

# A firing is late by no more than this.
_LOOK = 0.5
_log = logging.getLogger(__name__)


def step(workspace: Workspace, database: Database, now: datetime.datetime) -> int:
    """Starts the runs that are due; returns how many."""
    with database.reading() as connection:
        firings = {row["id"]: store_recurring.next_firing(row) for row in store_recurring.enabled(connection)}
    fired = 0
    for recurring_run_id in (key for key, when in firings.items() if when is not None and when <= now):
        # One that was deleted since is none of ours any more.
        with contextlib.suppress(Fault), database.writing() as connection:
            fired += store_recurring.fire(connection, workspace, recurring_run_id, now)
    return fired


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
