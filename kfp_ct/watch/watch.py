"""Watches a project: observes what could start a run, decides, and runs its pipeline."""

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
from kfp_ct.data import layouts
from kfp_ct.local import run as runner
from kfp_ct.models import releases
from kfp_ct.notices import deliver
from kfp_ct.project import applied, settings
from kfp_ct.project.workspace import Workspace
from kfp_ct.releasing import step as stepping
from kfp_ct.runs.record import user
from kfp_ct.storage import locations
from kfp_ct.watch import decide, history, inbox, observations, observe, policy
from kfp_ct.watch.decide import Decision
from kfp_ct.watch.observations import ManualRequest, Observations
from kfp_ct.watch.policy import Policy


@dataclasses.dataclass(frozen=True)
class Watch:
    """A project that is watched."""

    workspace: Workspace
    project: str
    policy: Policy
    environment: str = ""  # settings of the runs in place of those that the policy names

    def obeying(self, found: Policy) -> "Watch":
        """Returns the same watch by another policy."""
        update = {"settings": self.environment} if self.environment else {}
        return dataclasses.replace(self, policy=found.model_copy(update=update))

    @property
    def sources(self) -> Mapping[str, Any]:
        """The sources that its runs read."""
        chosen = settings.load(self.workspace, self.project, self.policy.settings, self.policy.parameters)
        found: Mapping[str, Any] = chosen.parameters.get("sources", {})
        return found

    @property
    def history(self) -> Path:
        """The file of its firings."""
        return history.path_of(self.workspace.home, self.project)

    @property
    def manual_requests(self) -> Path:
        """The folder in which `ct watch --now` leaves a person's requests."""
        return self.workspace.home / "triggers" / f"{self.project}.requests"


@dataclasses.dataclass(frozen=True)
class RecordedDecision:
    """A decision with the id of its firing in the history; empty if no run begins."""

    decision: Decision
    firing: str = ""
    record: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def cause(self) -> str:
        """Why the run begins."""
        pairs = zip(self.decision.triggers, self.decision.reasons, strict=True)
        return "; ".join(f"{name}: {reason}" for name, reason in pairs)


def open_watch(workspace: Workspace, project: str, environment: str = "") -> Watch:
    """Reads a project's triggers; `environment` names the settings of the runs in place of those it names.

    Raises:
        UsageError: There is no such project, or its triggers.yaml is not valid.
    """
    workspace.settings_folder(project)  # says which projects there are
    watch = Watch(workspace, project, policy.load(applied.file(workspace, project, policy.FILE)), environment)
    watch = watch.obeying(watch.policy)
    settings.load(workspace, project, watch.policy.settings, watch.policy.parameters)  # reports mistakes at once
    return watch


def look(watch: Watch, now: datetime.datetime) -> Decision:
    """Observes and decides; changes nothing."""
    return decide.decide(watch.policy, _observe(watch), [entry.firing for entry in history.read(watch.history)], now)


def record_decision(watch: Watch, now: datetime.datetime) -> RecordedDecision:
    """Decides, and records the firing if a run begins; call it only while holding the history's lock."""
    decision = look(watch, now)
    if not decision.fire:
        return RecordedDecision(decision)
    senders = inbox.messages_behind(inbox.read(inbox.path_of(watch.workspace.home, watch.project)), decision.keys)
    firing = history.record_firing(watch.history, decision, now, senders)
    record = {"at": now.isoformat(), **dataclasses.asdict(decision), "messages": senders}
    return RecordedDecision(
        decision, firing, {name: value for name, value in record.items() if name not in ("holds", "recheck_at")}
    )


def run_pipeline(watch: Watch, recorded: RecordedDecision, console: Console) -> None:
    """Runs the pipeline for a firing and records how it ended.

    Raises:
        CtError: The run could not begin or failed; the history says so.
    """
    console.print(f"run: {recorded.cause}", markup=False, soft_wrap=True)
    chosen = watch.policy
    request = runner.RunRequest(
        watch.project, chosen.settings, chosen.parameters, cause=recorded.cause, decision=recorded.record
    )
    state, run = observations.FAILED, ""
    history.mark_started(watch.history, recorded.firing)
    try:
        done = runner.execute(watch.workspace, request, console)
        state, run = (observations.SUCCEEDED if done.state == "SUCCEEDED" else observations.FAILED), done.id
    finally:
        history.mark_ended(watch.history, recorded.firing, run, state)


def request_run(watch: Watch) -> None:
    """Requests a run; the next look answers it.

    Raises:
        UsageError: The project has no trigger of the kind on_demand.
    """
    if not any(trigger.kind == policy.ON_DEMAND for trigger in watch.policy.triggers):
        raise UsageError(
            f"{watch.project} has no trigger of the kind {policy.ON_DEMAND}\n"
            f"fix: add one to its {policy.FILE}, or use ct run"
        )
    layouts.write_text(watch.manual_requests / f"{secrets.token_hex(6)}.txt", user())


def step(watch: Watch, console: Console) -> Decision:
    """Looks once, and runs the pipeline if that is the decision.

    Deciding and recording happen under one lock, so that of two watches only one starts a run.

    Raises:
        CtError: The run could not begin or failed; the history says so.
    """
    now = datetime.datetime.now(datetime.UTC)
    with atomic_files.locked(history.lock_of(watch.workspace.home, watch.project)):
        recorded = record_decision(watch, now)
    if recorded.firing:
        run_pipeline(watch, recorded, console)
    return recorded.decision


def step_release(watch: Watch, console: Console) -> None:
    """Has a release of the project's model judged, and says what came of it; a judge that fails stops no trigger."""
    chosen = settings.load(watch.workspace, watch.project, watch.policy.settings, watch.policy.parameters)
    try:
        state = stepping.of_project(watch.workspace, chosen.parameters, stepping.judge_in(watch.workspace))
    except CtError as error:
        console.print(f"error: release: {error}", markup=False, soft_wrap=True)
        return
    if state is None or state.look.get("verdict") == releases.HOLD:
        return
    now = f"{state.title} from now on" if state.unfinished else f"v{state.candidate} {state.state.replace('_', ' ')}"
    console.print(f"release: {state.model} {now}: {state.steps[-1]['reason']}", markup=False, soft_wrap=True)


def watch_forever(
    watch: Watch,
    interval: float,
    console: Console,
    pause: Callable[[float], None] = time.sleep,
    turn: Callable[[Watch, Console], Decision] = step,
) -> None:
    """Looks again and again until it is interrupted; a failed run is reported, and the watch goes on."""
    holds: tuple[str, ...] = ()
    while True:
        try:
            decision = turn(watch, console)
        except CtError as error:
            console.print(f"error: {error}", markup=False, soft_wrap=True)
            decision = Decision(False)
        if not decision.fire and decision.holds != holds:
            holds = decision.holds
            console.print("\n".join(f"hold: {line}" for line in holds), markup=False, soft_wrap=True)
        deliver.begin_if_due(watch.workspace, watch.project)
        pause(interval)


def _observe(watch: Watch) -> Observations:
    requests = sorted(watch.manual_requests.glob("*.txt")) if watch.manual_requests.is_dir() else []
    sources = watch.sources
    kept = inbox.read(inbox.path_of(watch.workspace.home, watch.project))
    seen = Observations(
        manual_requests=tuple(ManualRequest(path.stem, path.read_text()) for path in requests),
        spans=observe.spans(sources, watch.workspace.root, watch.policy.markers),
        periods=observe.periods(_history_file(watch)),
    )
    return seen.with_messages(inbox.observations(kept).values(), observe.listed(sources))


def _history_file(watch: Watch) -> str:
    text = watch.policy.history.replace("${CT_HOME}", str(watch.workspace.home))
    return text if locations.is_remote(text) else str(watch.workspace.root / text)
