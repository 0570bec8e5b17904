"""Runs of triggers on the endpoint: queued when a message asks, or later, when what held them back has passed."""

import logging
import threading
from typing import Any

from kfp_ct.base.errors import CtError
from kfp_ct.endpoint.api.context import Context
from kfp_ct.endpoint.store import store_runs
from kfp_ct.local import run
from kfp_ct.notices import deliver
from kfp_ct.project import settings
from kfp_ct.watch import inbox, receive, watch
from kfp_ct.watch.watch import RecordedDecision, Watch

# What is held begins this late at most.
_LOOK = 5.0
_log = logging.getLogger(__name__)


def queue(state: Context, watched: Watch, recorded: RecordedDecision) -> str:
    """Queues the run of a firing; returns its id."""
    chosen = settings.load(state.workspace, watched.project, watched.policy.settings, watched.policy.parameters)
    wanted = store_runs.Wanted(
        name=f"{chosen.pipeline_name}: {recorded.cause}"[: store_runs.LONGEST_NAME],
        spec=run.compile_project(state.workspace, chosen),
        cause=recorded.cause,
        decision=recorded.record,
    )
    with state.database.writing() as connection:
        queued: dict[str, Any] = dict(store_runs.create(connection, state.workspace, wanted))
    state.wake.set()
    return str(queued["id"])


def step(state: Context) -> None:
    """Looks once at every project to which messages came."""
    for project in state.workspace.projects():
        deliver.begin_if_due(state.workspace, project)
        if inbox.path_of(state.workspace.home, project).is_file():
            try:
                watched = watch.open_watch(state.workspace, project)
                receive.start_held_run(watched, lambda watched, recorded: queue(state, watched, recorded))
            except CtError as error:  # a triggers.yaml that is being edited is no reason to leave the others
                _log.warning("the triggers of %s: %s", project, error)


def keep_stepping(state: Context, stop: threading.Event) -> None:
    """Looks at what is held until `stop` is set."""
    while not stop.wait(_LOOK):
        try:
            step(state)
        except Exception:
            # Whatever it is, the next look is not to be missed.
            _log.exception("looking at what triggers hold failed")
