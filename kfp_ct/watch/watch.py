"""Looks at what could start a run, decides, and runs the project's pipeline: continuous training on one machine."""

import dataclasses
import datetime
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from kfp_ct.base import atomic_files
from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.cloud import cloud_storage
from kfp_ct.data import layouts
from kfp_ct.local import run as runner
from kfp_ct.project import settings
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs.record import user
from kfp_ct.watch import decide, history, inbox, observe, policy
from kfp_ct.watch.decide import Decision, ManualRequest, Observations, Period, Span, Tick
from kfp_ct.watch.policy import Policy


@dataclasses.dataclass(frozen=True)
class Watch:
    """A project that is watched."""

    workspace: Workspace
    project: str
    policy: Policy

    @property
    def sources(self) -> Mapping[str, Any]:
        """The sources of its runs."""
        chosen = settings.load(self.workspace, self.project, self.policy.settings, self.policy.parameters)
        found: Mapping[str, Any] = chosen.parameters.get("sources", {})
        return found

    @property
    def history(self) -> Path:
        """The file of its firings."""
        return history.path_of(self.workspace.home, self.project)

    @property
    def wishes(self) -> Path:
        """The folder in which `ct watch --now` leaves what a person asks for."""
        return self.workspace.home / "triggers" / f"{self.project}.wishes"


@dataclasses.dataclass(frozen=True)
class Begun:
    """A decision that has been noted; `firing` is empty where no run begins."""

    decision: Decision
    firing: str = ""
    record: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def cause(self) -> str:
        """Why the run begins."""
        wanted = zip(self.decision.triggers, self.decision.reasons, strict=True)
        return "; ".join(f"{name}: {reason}" for name, reason in wanted)


def open_watch(workspace: Workspace, project: str) -> Watch:
    """Reads a project's triggers.

    Raises:
        UsageError: There is no such project, or its triggers.yaml does not fit.
    """
    path = workspace.settings_folder(project).parent / policy.FILE
    watch = Watch(workspace, project, policy.load(path))
    settings.load(workspace, project, watch.policy.settings, watch.policy.parameters)  # wrong ones are said at once
    return watch


def look(watch: Watch, now: datetime.datetime) -> Decision:
    """Decides by what there is to be seen; changes nothing."""
    return decide.decide(watch.policy, _seen(watch), [entry.firing for entry in history.read(watch.history)], now)


def begin(watch: Watch, now: datetime.datetime) -> Begun:
    """Looks, and notes that a run begins if that is the decision; call it only while holding the history's lock."""
    decision = look(watch, now)
    if not decision.fire:
        return Begun(decision)
    told = inbox.telling(inbox.read(inbox.path_of(watch.workspace.home, watch.project)), decision.keys)
    firing = history.begin(watch.history, decision, now, told)
    record = {"at": now.isoformat(), **dataclasses.asdict(decision), "messages": told}
    return Begun(
        decision, firing, {name: value for name, value in record.items() if name not in ("holds", "look_again")}
    )


def carry_out(watch: Watch, begun: Begun, console: Console) -> None:
    """Runs the pipeline for a firing and notes how it ended.

    Raises:
        CtError: The run could not begin or failed; the history says so.
    """
    console.print(f"run: {begun.cause}", markup=False, soft_wrap=True)
    chosen = watch.policy
    request = runner.Request(
        watch.project, chosen.settings, chosen.parameters, cause=begun.cause, decision=begun.record
    )
    state, run = decide.FAILED, ""
    history.started(watch.history, begun.firing)
    try:
        done = runner.execute(watch.workspace, request, console)
        state, run = (decide.SUCCEEDED if done.state == "SUCCEEDED" else decide.FAILED), done.id
    finally:
        history.end(watch.history, begun.firing, run, state)


def wish(watch: Watch) -> None:
    """Asks for a run; the next look answers it.

    Raises:
        UsageError: The project has no trigger of the kind on_demand.
    """
    if not any(trigger.kind == policy.ON_DEMAND for trigger in watch.policy.triggers):
        raise UsageError(
            f"{watch.project} has no trigger of the kind {policy.ON_DEMAND}\n"
            f"fix: add one to its {policy.FILE}, or use ct run"
        )
    layouts.write_text(watch.wishes / f"{secrets.token_hex(6)}.txt", user())


def step(watch: Watch, console: Console) -> Decision:
    """Looks once, and runs the pipeline if that is the decision.

    Deciding and noting the firing are one act, so that of two watches only one begins a run.

    Raises:
        CtError: The run could not begin or failed; the history says so.
    """
    now = datetime.datetime.now(datetime.UTC)
    with atomic_files.locked(history.lock_of(watch.workspace.home, watch.project)):
        begun = begin(watch, now)
    if begun.firing:
        carry_out(watch, begun, console)
    return begun.decision


def forever(
    watch: Watch,
    interval: float,
    console: Console,
    pause: Callable[[float], None] = time.sleep,
    turn: Callable[[Watch, Console], Decision] = step,
) -> None:
    """Looks again and again until it is interrupted; a run that fails is said, and the watch goes on."""
    said: tuple[str, ...] = ()
    while True:
        try:
            decision = turn(watch, console)
        except CtError as error:
            console.print(f"error: {error}", markup=False, soft_wrap=True)
            decision = Decision(False)
        if not decision.fire and decision.holds != said:
            said = decision.holds
            console.print("\n".join(f"hold: {line}" for line in said), markup=False, soft_wrap=True)
        pause(interval)


def _seen(watch: Watch) -> Observations:
    asked = sorted(watch.wishes.glob("*.txt")) if watch.wishes.is_dir() else []
    sources = watch.sources
    kept = inbox.read(inbox.path_of(watch.workspace.home, watch.project))
    told = inbox.told(kept).values()
    spans = {span.id: span for span in observe.spans(sources, watch.workspace.root, watch.policy.markers)}
    if not any(cloud_storage.is_uri(uri) for uri in observe.uris(sources)):
        # Of sources at gs:// the listing knows what is there; of others that only messages tell.
        spans = {**{each.id: each for each in told if isinstance(each, Span)}, **spans}
    return Observations(
        wishes=(
            *(ManualRequest(path.stem, path.read_text()) for path in asked),
            *(each for each in told if isinstance(each, ManualRequest)),
        ),
        spans=tuple(spans.values()),
        periods=(*observe.periods(_history_file(watch)), *(each for each in told if isinstance(each, Period))),
        ticks=tuple(each for each in told if isinstance(each, Tick)),
    )


def _history_file(watch: Watch) -> Path:
    text = watch.policy.history.replace("${CT_HOME}", str(watch.workspace.home))
    path = Path(text)
    return path if path.is_absolute() else watch.workspace.root / path
