"""Carries a plan out, so that no firing is missed and none is doubled, wherever it is interrupted.

A schedule cannot be changed on Kubeflow Pipelines, so it is replaced: the new one is made, disabled, to fire after the
old one's last firing; the old one is disabled; its last firing is looked up again, since it may have fired meanwhile;
the new one is enabled, and fires at once what has been due since; the old one is deleted. What is left by an
interruption says how far it came: an old one that fires and a new one that does not (begin again), neither fires (go
on), the new one fires (clean up).
"""

import datetime
import time
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from kfp_ct.clock import cron
from kfp_ct.deploy.schedules.plan import CREATE, DELETE, DISABLE, ENABLE, LEAVE, REPLACE, Action, Actual, Desired

_STEP = 1.0  # seconds between looks for a firing that may still come


class Service(Protocol):
    """Where schedules are."""

    settle: float  # seconds in which a firing that was due becomes a run that is seen

    def create(self, wanted: Desired, start: datetime.datetime, enabled: bool) -> Actual:
        """Makes a schedule that fires after `start`."""

    def enable(self, actual: Actual, enabled: bool) -> None:
        """Lets a schedule fire, or keeps it from firing."""

    def delete(self, actual: Actual) -> None:
        """Deletes a schedule; nothing happens if it is gone."""

    def last_firing(self, actual: Actual) -> datetime.datetime | None:
        """Returns for when the last run was scheduled that a schedule started; None if it never did."""

    def now(self) -> datetime.datetime:
        """Returns the time."""


@runtime_checkable
class Changeable(Protocol):
    """A service whose schedules need not be replaced."""

    def update(self, actual: Actual, wanted: Desired) -> None:
        """Changes a schedule."""


def apply(
    service: Service, actions: Sequence[Action], say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Does what a plan says.

    Raises:
        CtError: The service refuses; the next plan goes on from there.
    """
    for action in actions:
        if action.kind != LEAVE:
            say(f"{action.kind} {action.name}: {action.why}")
        _apply(service, action, sleep)


def _apply(service: Service, action: Action, sleep: Callable[[float], None]) -> None:
    found, want = action.actual, action.desired
    if want is None or action.kind == DELETE:
        for each in sorted(found, key=lambda each: not each.enabled):
            service.delete(each)
    elif action.kind == CREATE:
        service.create(want, service.now(), want.enabled)
    elif action.kind == DISABLE:
        for each in found:
            if each.enabled:
                service.enable(each, False)
        for each in found[:-1]:
            service.delete(each)
    elif isinstance(service, Changeable) and action.kind != LEAVE:
        service.update(found[-1], want)
        if not found[-1].enabled:
            service.enable(found[-1], True)
        for each in found[:-1]:
            service.delete(each)
    elif action.kind == ENABLE:
        # Made anew, since enabling the old one would fire what was due while it was disabled.
        _finish(service, service.create(want, service.now(), False), found, want, sleep)
    elif action.kind == REPLACE:
        _replace(service, want, found, sleep)
    elif action.kind != LEAVE:
        _resume(service, want, found, sleep)


def _replace(service: Service, want: Desired, found: Sequence[Actual], sleep: Callable[[float], None]) -> None:
    firing = [each for each in found if each.enabled]
    for each in found:
        if not each.enabled:  # begun by a replacement that was interrupted: it never fired
            service.delete(each)
    pending = service.create(want, _continuation(service, firing), False)
    for each in firing:
        service.enable(each, False)
    _finish(service, pending, firing, want, sleep)


def _resume(service: Service, want: Desired, found: Sequence[Actual], sleep: Callable[[float], None]) -> None:
    firing = [each for each in found if each.enabled]
    if firing:
        for each in found:
            if not each.enabled:
                service.delete(each)
        return
    _finish(service, found[-1], found[:-1], want, sleep)


def _finish(
    service: Service, pending: Actual, old: Sequence[Actual], want: Desired, sleep: Callable[[float], None]
) -> None:
    """Enables the new one of a replacement whose old ones no longer fire, and deletes them."""
    _settle(service, old, sleep)
    fired = _continuation(service, old)
    if fired > pending.start:
        later = service.create(want, fired, False)
        service.delete(pending)
        pending = later
    service.enable(pending, True)
    for each in old:
        service.delete(each)


def _continuation(service: Service, old: Sequence[Actual]) -> datetime.datetime:
    """Returns the time up to which old schedules have done their part."""
    return max(max(service.last_firing(each) or each.start, each.start) for each in old)


def _settle(service: Service, old: Sequence[Actual], sleep: Callable[[float], None]) -> None:
    """Waits while a firing of just now may not be seen yet."""
    while any(_outstanding(service, each) for each in old):
        sleep(_STEP)


def _outstanding(service: Service, old: Actual) -> bool:
    now = service.now()
    done = max(service.last_firing(old) or old.start, old.start)
    if old.cron:
        due = cron.latest(old.cron, old.zone, now)
    else:
        steps = int((now - done).total_seconds() // old.interval)
        due = done + datetime.timedelta(seconds=steps * old.interval)
    return due is not None and due > done and (now - due).total_seconds() < service.settle
