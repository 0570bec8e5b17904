"""Looks at what could start a run, decides, and runs the project's pipeline: continuous training on one machine."""

import dataclasses
import datetime
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from components import artifacts, folders
from ct import run as runner
from ct import settings
from ct.errors import CtError, UsageError
from ct.project import Workspace
from ct.record import user
from ct.watch import decide, history, observe, policy
from ct.watch.decide import Decision, Observations, Wish
from ct.watch.policy import Policy


@dataclasses.dataclass(frozen=True)
class Watch:
    """A project that is watched."""

    workspace: Workspace
    project: str
    policy: Policy

    @property
    def history(self) -> Path:
        """The file of its firings."""
        return history.path_of(self.workspace.home, self.project)

    @property
    def wishes(self) -> Path:
        """The folder in which `ct watch --now` leaves what a person asks for."""
        return self.workspace.home / "triggers" / f"{self.project}.wishes"


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
    chosen = settings.load(watch.workspace, watch.project, watch.policy.settings, watch.policy.parameters)
    asked = sorted(watch.wishes.glob("*.txt")) if watch.wishes.is_dir() else []
    seen = Observations(
        wishes=tuple(Wish(path.stem, path.read_text()) for path in asked),
        spans=observe.spans(chosen.parameters.get("sources", {}), watch.workspace.root),
        periods=observe.periods(_history_file(watch)),
    )
    return decide.decide(watch.policy, seen, [entry.firing for entry in history.read(watch.history)], now)


def wish(watch: Watch) -> None:
    """Asks for a run; the next look answers it.

    Raises:
        UsageError: The project has no trigger of the kind on_demand.
    """
    if not any(trigger.kind == policy.ON_DEMAND for trigger in watch.policy.triggers):
        raise UsageError(
            f"{watch.project} has no trigger of the kind {policy.ON_DEMAND}\n"
            f"mend: add one to its {policy.FILE}, or use ct run"
        )
    artifacts.write_text(watch.wishes / f"{secrets.token_hex(6)}.txt", user())


def step(watch: Watch, console: Console) -> Decision:
    """Looks once, and runs the pipeline if that is the decision.

    Deciding and noting the firing are one act, so that of two watches only one begins a run.

    Raises:
        CtError: The run could not begin or failed; the history says so.
    """
    now = datetime.datetime.now(datetime.UTC)
    with folders.locked(history.lock_of(watch.workspace.home, watch.project)):
        decision = look(watch, now)
        if not decision.fire:
            return decision
        firing = history.begin(watch.history, decision, now)
    cause = "; ".join(f"{name}: {reason}" for name, reason in zip(decision.triggers, decision.reasons, strict=True))
    console.print(f"run: {cause}", markup=False, soft_wrap=True)
    request = runner.Request(watch.project, watch.policy.settings, watch.policy.parameters, cause=cause)
    state, run = decide.FAILED, ""
    try:
        done = runner.execute(watch.workspace, request, console)
        state, run = (decide.SUCCEEDED if done.state == "SUCCEEDED" else decide.FAILED), done.id
    finally:
        history.end(watch.history, firing, run, state)
    return decision


def forever(watch: Watch, interval: float, console: Console, pause: Callable[[float], None] = time.sleep) -> None:
    """Looks again and again until it is interrupted; a run that fails is said, and the watch goes on."""
    said: tuple[str, ...] = ()
    while True:
        try:
            decision = step(watch, console)
        except CtError as error:
            console.print(f"error: {error}", markup=False, soft_wrap=True)
            decision = Decision(False)
        if not decision.fire and decision.holds != said:
            said = decision.holds
            console.print("\n".join(f"hold: {line}" for line in said), markup=False, soft_wrap=True)
        pause(interval)


def why(workspace: Workspace, run: str) -> str:
    """Returns why a run began.

    Raises:
        UsageError: There is no such run.
    """
    from ct import record

    folder = workspace.runs / run
    if not (folder / record.RECORD).is_file():
        raise UsageError(f"there is no run {run} in {workspace.runs}\nexpected: one of `ct runs`")
    found = record.load(folder)
    for entry in history.read(history.path_of(workspace.home, found.project)):
        if entry.firing.run == run:
            lines = [f"{run} was begun by ct watch at {entry.firing.at:%Y-%m-%d %H:%M:%S} UTC"]
            for trigger, reason in zip(entry.firing.triggers, entry.reasons, strict=True):
                lines.append(f"  {trigger}: {reason}")
            return "\n".join([*lines, *(f"  answers {key}" for key in entry.firing.keys)])
    return f"{run} was begun by {found.user}: {found.cause}"


def _history_file(watch: Watch) -> Path:
    text = watch.policy.history.replace("${CT_HOME}", str(watch.workspace.home))
    path = Path(text)
    return path if path.is_absolute() else watch.workspace.root / path
