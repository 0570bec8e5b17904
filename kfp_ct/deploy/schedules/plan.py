"""What would bring a service's schedules to what is wanted: a pure function of both."""

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

CREATE, REPLACE, RESUME, ENABLE, DISABLE, DELETE, LEAVE = (
    "create", "replace", "resume", "enable", "disable", "delete", "leave",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Desired:
    """A schedule as it should be on a service.

    Attributes:
        cron: As the service takes it.
        zone: The zone the service reads it in.
        version: Name of the version its runs are of.
    """

    name: str
    project: str
    pipeline: str
    pipeline_id: str
    version_id: str
    version: str
    arguments: dict[str, Any]
    cron: str = ""
    interval: int = 0
    zone: str = "UTC"
    max_concurrency: int = 1
    catch_up: bool = False
    enabled: bool = True

    @property
    def hash(self) -> str:
        """Returns a hash of all that cannot be changed on a service."""
        fields = dataclasses.asdict(self)
        del fields["enabled"]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Actual:
    """A schedule on a service that was made for a project.

    Attributes:
        hash: The hash of the `Desired` it was made from.
        made: When it was made, to the millisecond on Kubeflow Pipelines: which of two is newer.
        start: It fires after this.
        arguments: What its runs are started with, as far as the service says.
    """

    id: str
    name: str
    hash: str
    enabled: bool
    made: str
    start: datetime.datetime
    pipeline: str = ""
    version: str = ""
    cron: str = ""
    interval: int = 0
    zone: str = "UTC"
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Action:
    """A step of a plan: what is done about one schedule, and why."""

    kind: str
    name: str
    why: str
    desired: Desired | None
    actual: tuple[Actual, ...] = ()


def plan(desired: Sequence[Desired], actual: Sequence[Actual]) -> list[Action]:
    """Compares what is wanted with what is there, name by name.

    Args:
        desired: All schedules of a project.
        actual: All that were made for that project; others are nobody's business.
    """
    by_name: dict[str, list[Actual]] = {}
    for each in sorted(actual, key=lambda each: (each.made, each.id)):
        by_name.setdefault(each.name, []).append(each)
    wanted = {each.name for each in desired}
    gone = [
        Action(DELETE, name, "it is no longer in schedules.yaml", None, tuple(found))
        for name, found in by_name.items()
        if name not in wanted
    ]
    return [_compare(each, tuple(by_name.get(each.name, ()))) for each in desired] + gone


def drifted(actions: Sequence[Action]) -> bool:
    """Whether a service has anything else than what is wanted."""
    return any(action.kind != LEAVE for action in actions)


def _compare(want: Desired, found: tuple[Actual, ...]) -> Action:
    if not found:
        return Action(CREATE, want.name, "it is not there", want)
    if not want.enabled:
        return _compare_disabled(want, found)
    firing = [each for each in found if each.enabled]
    if not firing:
        newest = found[-1]
        if len(found) > 1 and newest.hash == want.hash:
            return Action(RESUME, want.name, "its replacement was interrupted", want, found)
        return Action(ENABLE, want.name, "it is disabled", want, found)
    if len(firing) == 1 and firing[0].hash == want.hash:
        if len(found) == 1:
            return Action(LEAVE, want.name, "as it should be", want, found)
        return Action(RESUME, want.name, "what it replaced is still there", want, found)
    return Action(REPLACE, want.name, _difference(want, firing), want, found)


def _compare_disabled(want: Desired, found: tuple[Actual, ...]) -> Action:
    if any(each.enabled for each in found):
        return Action(DISABLE, want.name, "schedules.yaml disables it", want, found)
    if len(found) > 1:
        return Action(DISABLE, want.name, "what it replaced is still there", want, found)
    # Which definition a schedule has that does not fire is of no consequence: enabling makes it anew.
    return Action(LEAVE, want.name, "disabled, as it should be", want, found)


def _difference(want: Desired, firing: Sequence[Actual]) -> str:
    now = firing[-1]
    if len(firing) > 1:
        return f"{len(firing)} of it are firing"
    if now.version != want.version:
        return f"version {now.version[:12]} becomes {want.version[:12]}"
    before, after = (each.cron or f"every {each.interval} s" for each in (now, want))
    return f"{before} becomes {after}" if before != after else "its settings have changed"
