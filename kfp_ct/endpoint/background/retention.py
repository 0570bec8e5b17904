"""Deletes what nothing refers to any more, as often as retention.yaml says."""

import datetime
import logging
import threading

from kfp_ct.base.errors import CtError
from kfp_ct.clock.durations import duration
from kfp_ct.pages import formats
from kfp_ct.project.workspace import Workspace
from kfp_ct.retention import collect, settings

_LOOK = 60.0
# After a failure.
_PAUSE = 3600.0
_log = logging.getLogger(__name__)


def step(workspace: Workspace, now: datetime.datetime) -> bool:
    """Deletes if it is time; says whether it did.

    Raises:
        CtError: retention.yaml does not fit, or what the files are needed for is not known.
    """
    policy = settings.load(workspace.root)
    last = collect.last(workspace.home)
    if not policy.every or (last and now - last < datetime.timedelta(seconds=duration(policy.every))):
        return False
    found = collect.collect(workspace, policy, now=now)
    _log.warning("retention: %s deleted, %s", formats.plural(len(found.items), "thing"), formats.size(found.size))
    return True


def keep_stepping(workspace: Workspace, stop: threading.Event) -> None:
    """Looks until `stop` is set."""
    wait = 0.0
    while not stop.wait(wait):
        wait = _LOOK
        try:
            step(workspace, datetime.datetime.now(datetime.UTC))
        except CtError as error:
            _log.warning("retention: nothing is deleted: %s", error)
            wait = _PAUSE
        except Exception:
            # Whatever it is, the next look is not to be missed.
            _log.exception("retention failed")
            wait = _PAUSE
