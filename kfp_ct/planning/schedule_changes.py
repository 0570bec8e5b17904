"""What a step of the schedules' plan changes, field by field."""

from typing import Any

from kfp_ct.deploy.schedules.plan import CREATE, DELETE, LEAVE, Action, Actual, Desired
from kfp_ct.planning import changes
from kfp_ct.planning.changes import Change, compare

# What a run is told of where it comes from differs with every version.
_OF_THE_VERSION = ("lineage", "code_version")


def change(action: Action) -> Change | None:
    """Returns a step as a change; None where nothing is to be done."""
    if action.kind == LEAVE:
        return None
    old = _actual(action.actual[-1]) if action.actual else {}
    new = _desired(action.desired) if action.desired else {}
    if not old.get("arguments"):
        new = {name: value for name, value in new.items() if name != "arguments"}
    kind = {CREATE: changes.CREATE, DELETE: changes.DELETE}.get(action.kind, changes.UPDATE)
    return Change(kind, "schedule", action.name, compare(old, new), "" if kind == changes.CREATE else action.why)


def _actual(found: Actual) -> dict[str, Any]:
    return {
        **_when(found.cron, found.interval, found.zone), "pipeline": found.pipeline, "version": found.version,
        "enabled": found.enabled, "arguments": _arguments(found.arguments),
    }  # fmt: skip


def _desired(wanted: Desired) -> dict[str, Any]:
    return {
        **_when(wanted.cron, wanted.interval, wanted.zone), "pipeline": wanted.pipeline, "version": wanted.version,
        "enabled": wanted.enabled, "arguments": _arguments(wanted.arguments),
    }  # fmt: skip


def _when(cron: str, interval: int, zone: str) -> dict[str, Any]:
    return {"cron": cron, "zone": zone} if cron else {"interval": f"{interval} s"}


def _arguments(given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in _OF_THE_VERSION}
