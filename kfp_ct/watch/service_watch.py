"""Watches a project whose runs are those of Kubeflow Pipelines or Vertex AI: observes, decides, starts a run there.

A firing is written into the history before its run is started, and the run has a name by which it is found again. So
whoever looks next, after a kill between any two steps, sees whether the run was started, and starts it only if not.
"""

import dataclasses
import datetime
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console

from kfp_ct.base.errors import RequestRefusedError, UsageError
from kfp_ct.deploy import version
from kfp_ct.deploy.service_runs import ServiceRun, ServiceRuns, Start
from kfp_ct.package import package
from kfp_ct.project import settings
from kfp_ct.runs.record import user
from kfp_ct.storage import locations, storage
from kfp_ct.watch import decide, messages, observations, observe, policy, receive, service_history, service_inbox
from kfp_ct.watch.decide import Decision
from kfp_ct.watch.messages import Message
from kfp_ct.watch.observations import RUNNING, Firing, ManualRequest, Observations, Span
from kfp_ct.watch.service_history import Claim
from kfp_ct.watch.watch import Watch

# A firing whose run is not on the service after this time was left by who was to start it.
PATIENCE = datetime.timedelta(minutes=2)


@dataclasses.dataclass(frozen=True)
class ServiceWatch:
    """A project that is watched for a service.

    Attributes:
        watch: The project with its triggers.
        service: Where its pipeline is deployed, as `open_target` opens it.
        runs: The runs of that service.
        state: The object that keeps the firings.
    """

    watch: Watch
    service: Any
    runs: ServiceRuns
    state: str

    @property
    def requests(self) -> str:
        """The folder in which `ct watch --now` leaves a person's requests."""
        return f"{self.state.removesuffix('.json')}.requests"

    @property
    def messages(self) -> str:
        """The folder of messages that wait for a run."""
        return f"{self.state.removesuffix('.json')}.messages"

    @property
    def applied_policy(self) -> str:
        """The triggers.yaml that `ct apply` brought beside the firings."""
        return f"{self.state.removesuffix('.json')}.{policy.FILE}"

    @property
    def settings(self) -> settings.Settings:
        """The settings of its runs."""
        chosen = self.watch.policy
        return settings.load(self.watch.workspace, self.watch.project, chosen.settings, chosen.parameters)


@dataclasses.dataclass(frozen=True)
class _Deployed:
    """What runs are of: the version of the pipeline that was deployed last."""

    pipeline: str
    pipeline_id: str
    found: Any

    def start(self, chosen: settings.Settings, claim: Claim) -> Start:
        name = str(self.found.display_name)
        compiled = package.of_spec(self.found.pipeline_spec)
        told = version.started_with(compiled, chosen.parameters, name, name, claim.cause)
        if isinstance(told.get("lineage"), dict) and "lineage" not in chosen.parameters:
            told["lineage"] = {**told["lineage"], "user": "ct watch", "firing": claim.id}
        return Start(
            run_name(self.pipeline, claim), self.pipeline, self.pipeline_id, name,
            str(self.found.pipeline_version_id), told,
        )  # fmt: skip


def run_name(pipeline: str, claim: Claim) -> str:
    """Returns the name of a firing's run, which Vertex AI takes as an id, too."""
    return f"{pipeline[:80]}-watch-{claim.id}"


def obeying_applied(watched: ServiceWatch) -> ServiceWatch:
    """Returns the watch by the triggers that were applied last; by those of the checkout if none ever were.

    Raises:
        UsageError: The applied triggers are not valid.
    """
    content = storage.read(watched.applied_policy)
    if content is None:
        return watched
    found = policy.parse(content.data.decode(), watched.applied_policy)
    return dataclasses.replace(watched, watch=watched.watch.obeying(found))


def look(watched: ServiceWatch, now: datetime.datetime) -> Decision:
    """Observes and decides; changes nothing."""
    watched = obeying_applied(watched)
    return _decide(watched, service_history.read(watched.state), _deployed(watched), now)


def step(watched: ServiceWatch, console: Console, now: datetime.datetime | None = None) -> Decision:
    """Looks once, and starts a run if that is the decision.

    Raises:
        CtError: The service or the store does not answer, which the next look makes up for; or the run is refused.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    watched = obeying_applied(watched)
    deployed = _deployed(watched)
    for claim in service_history.read(watched.state).claims:
        if claim.state == RUNNING:
            _settle(watched, deployed, claim, now, console)
    history = service_history.read(watched.state)
    decision = _decide(watched, history, deployed, now)
    if not decision.fire:
        return decision
    claim = service_history.claim_of(decision, now)
    if not service_history.add(watched.state, claim, history):
        return Decision(False, holds=("another watch of this project was faster",))
    service_inbox.forget(watched.messages, {key for each in (*history.claims, claim) for key in each.keys})
    _start(watched, deployed, claim, console)
    return decision


def take(watched: ServiceWatch, received: Iterable[Message]) -> dict[str, str]:
    """Stores messages for the next look; they may be acknowledged when this returns.

    Returns:
        Why a message cannot start a run, by its id: it is not stored.

    Raises:
        CtError: The store does not answer.
    """
    refused = {}
    watched = obeying_applied(watched)
    listed = observe.listed(watched.settings.parameters.get("sources", {}))
    for each in received:
        if problem := receive.refusal_reason(watched.watch, each):
            refused[each.id] = problem
        elif not (listed and isinstance(messages.to_observation(each), Span)):
            service_inbox.store(watched.messages, each)
    return refused


def request_run(watched: ServiceWatch) -> None:
    """Requests a run; the next look answers it.

    Raises:
        UsageError: The project has no trigger of the kind on_demand.
    """
    watched = obeying_applied(watched)
    if not any(trigger.kind == policy.ON_DEMAND for trigger in watched.watch.policy.triggers):
        raise UsageError(
            f"{watched.watch.project} has no trigger of the kind {policy.ON_DEMAND}\n"
            f"fix: add one to its {policy.FILE}, or use ct deploy --run"
        )
    storage.create(locations.join(watched.requests, f"{secrets.token_hex(6)}.txt"), user().encode())


def _decide(
    watched: ServiceWatch, history: service_history.History, deployed: _Deployed, now: datetime.datetime
) -> Decision:
    known = [claim.firing for claim in history.claims]
    # Single flight is by the service's own list: runs of schedules and of people count, too.
    others = {each.id for each in watched.runs.active(deployed.pipeline, deployed.pipeline_id)}
    others -= {firing.run for firing in known}
    busy = [Firing(now, (), (), RUNNING, run) for run in sorted(others)]
    return decide.decide(watched.watch.policy, _observe(watched), [*known, *busy], now)


def _observe(watched: ServiceWatch) -> Observations:
    chosen = watched.watch.policy
    sources: Mapping[str, Any] = watched.settings.parameters.get("sources", {})
    requests = [
        ManualRequest(each.file_name.removesuffix(".txt"), content.data.decode())
        for each in storage.list_folder(watched.requests)
        if (content := storage.read(each.uri))
    ]
    monitored = chosen.history.replace("${CT_HOME}", str(watched.watch.workspace.home))
    if not locations.is_remote(monitored):
        monitored = str(watched.watch.workspace.root / monitored)
    seen = Observations(
        manual_requests=tuple(requests),
        spans=observe.spans(sources, watched.watch.workspace.root, chosen.markers),
        periods=observe.periods(monitored),
    )
    return seen.with_messages(service_inbox.read(watched.messages).values(), observe.listed(sources))


def _deployed(watched: ServiceWatch) -> _Deployed:
    chosen = watched.settings
    pipeline_id = watched.service.pipeline(chosen.pipeline_name)
    found = watched.service.latest(pipeline_id) if pipeline_id else None
    if found is None:
        raise UsageError(
            f"{chosen.pipeline_name} is not deployed, so no run of it can be started\n"
            f"fix: ct deploy {chosen.project} --settings {chosen.environment}, with the --target of the watch"
        )
    return _Deployed(chosen.pipeline_name, str(pipeline_id), found)


def _settle(watched: ServiceWatch, deployed: _Deployed, claim: Claim, now: datetime.datetime, console: Console) -> None:
    """Records what became of a firing; starts its run if whoever was to do it is gone."""
    found = watched.runs.named(run_name(deployed.pipeline, claim))
    if found:
        for twice in found[1:]:
            if not twice.ended:
                watched.runs.cancel(twice.id)
        _record(watched, claim, found[0])
    elif claim.run:  # somebody deleted it
        service_history.change(watched.state, claim.id, lambda each: _ended(each, observations.FAILED))
    elif now - datetime.datetime.fromisoformat(claim.since) >= PATIENCE:
        mine = dataclasses.replace(claim, since=now.isoformat())
        # Of two that see this at once one gets it: the other finds it changed.
        if service_history.change(watched.state, claim.id, lambda each: mine if each == claim else None):
            _start(watched, deployed, mine, console)


def _start(watched: ServiceWatch, deployed: _Deployed, claim: Claim, console: Console) -> None:
    try:
        run = watched.runs.start(deployed.start(watched.settings, claim))
    except (RequestRefusedError, UsageError):
        service_history.change(watched.state, claim.id, lambda each: _ended(each, observations.FAILED))
        raise
    console.print(f"run {run}: {claim.cause}\n{watched.service.page(run)}", markup=False, soft_wrap=True)
    service_history.change(watched.state, claim.id, lambda each: dataclasses.replace(each, run=run))


def _record(watched: ServiceWatch, claim: Claim, run: ServiceRun) -> None:
    state = RUNNING
    if run.ended:
        state = observations.SUCCEEDED if run.state == "SUCCEEDED" else observations.FAILED
    if (run.id, state) != (claim.run, claim.state):
        service_history.change(watched.state, claim.id, lambda each: dataclasses.replace(each, run=run.id, state=state))


def _ended(claim: Claim, state: str) -> Claim:
    return dataclasses.replace(claim, state=state)
