"""`ct watch --target kfp|vertex`: triggers that start the runs of a service."""

import dataclasses
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_ct.base.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from kfp_ct.watch.decide import Decision
    from kfp_ct.watch.service_watch import ServiceWatch
    from kfp_ct.watch.watch import Watch


@dataclasses.dataclass(frozen=True)
class Place:
    """The service, and where the firings are kept, as options say."""

    target: str
    host: str
    auth: str
    state: str
    pubsub: str = ""


@dataclasses.dataclass(frozen=True)
class Mode:
    """How often it looks, and what it does then."""

    once: bool
    now: bool
    dry_run: bool
    interval: float
    alive: Path | None = None


def refuse_options(state: str, alive: Path | None) -> None:
    """Refuses what says something of a service's runs, where there is none."""
    if state or alive:
        raise UsageError(
            "--state and --alive are for runs of a service\nfix: give --target kfp or vertex, or leave them out"
        )


def refuse_messages(pubsub: str) -> None:
    """Refuses a subscription where nothing is to change."""
    if pubsub:
        raise UsageError("--dry-run takes no messages: those taken would be lost\nfix: leave out --pubsub")


def run(watched: "Watch", place: Place, mode: Mode, console: "Console") -> "Decision | None":
    """Watches; returns the decision of the only look."""
    from kfp_ct.watch import service_watch
    from kfp_ct.watch import watch as watching

    if mode.dry_run:
        refuse_messages(place.pubsub)
    served = open_service_watch(watched, place)
    if mode.now:
        service_watch.request_run(served)
        console.print(f"asked; a watch of {watched.project} starts the run at its next look", markup=False)
        return None
    if mode.dry_run:
        return service_watch.look(served, datetime.datetime.now(datetime.UTC))
    step, pause = _turn(place, mode)
    if mode.once:
        return step(served, console)

    def turn(_: Any, told: "Console") -> "Decision":
        if mode.alive:
            mode.alive.touch()
        return step(served, told)

    watching.watch_forever(watched, pause, console, turn=turn)
    return None


def _turn(place: Place, mode: Mode) -> tuple[Callable[["ServiceWatch", "Console"], "Decision"], float]:
    """Returns what a look does, and the pause after it."""
    from kfp_ct.watch import service_watch

    if not place.pubsub:
        return service_watch.step, mode.interval
    from kfp_ct.watch.pubsub import Subscription

    # Waiting for messages is the pause.
    return Subscription(place.pubsub, mode.interval).service_turn, min(mode.interval, 1.0)


def open_service_watch(watched: "Watch", place: Place) -> "ServiceWatch":
    """Connects to the service."""
    from kfp_ct.deploy import object_roots, service_runs
    from kfp_ct.deploy.connect import open_target, require_service
    from kfp_ct.deploy.target import require_target
    from kfp_ct.project import settings
    from kfp_ct.storage import locations
    from kfp_ct.watch.service_watch import ServiceWatch

    target = require_target(place.target)
    policy = watched.policy
    chosen = settings.load(watched.workspace, watched.project, policy.settings, policy.parameters)
    service, experiment = open_target(chosen, target, place.host, place.auth)
    require_service(service, target)
    root = object_roots.first(chosen, target) or str(watched.workspace.home / "triggers")
    state = place.state or locations.join(root, "watch", f"{watched.project}.json")
    locations.check(state)
    return ServiceWatch(watched, service, service_runs.of_service(service, experiment), locations.absolute(state))
