"""Receives messages, decides and answers; shared by the Pub/Sub subscriber and the HTTP endpoint."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kfp_ct.base import atomic_files
from kfp_ct.base.errors import CtError
from kfp_ct.data.tables import spans
from kfp_ct.project.workspace import Workspace
from kfp_ct.storage import locations, search
from kfp_ct.watch import history, inbox, messages, observe, policy, watch
from kfp_ct.watch.inbox import Answer
from kfp_ct.watch.messages import Message, MessageError
from kfp_ct.watch.observations import JobFiring, ManualRequest, Period, Span
from kfp_ct.watch.watch import RecordedDecision, Watch

# Starts the run of a firing elsewhere; returns the run's id.
Start = Callable[[Watch, RecordedDecision], str]


def receive(
    watched: Watch, received: Sequence[Message], start: Start | None = None
) -> tuple[dict[str, Answer], RecordedDecision | None]:
    """Stores messages, decides once for all of them, and records the decision; earlier answers stay.

    Everything is on disk when this returns, so that the messages may be acknowledged.

    Args:
        watched: The project.
        received: Any number of messages; several with one id are one.
        start: Starts the run elsewhere; without it the caller runs the pipeline.

    Returns:
        The answers by message id, and the recorded decision if a run is to begin, else None.

    Raises:
        CtError: The sources or the history cannot be read, or the run cannot begin; nothing is answered.
    """
    path = inbox.path_of(watched.workspace.home, watched.project)
    with atomic_files.locked(history.lock_of(watched.workspace.home, watched.project)):
        kept = inbox.read(path)
        answers = {each.id: before for each in received if (before := _earlier_answer(kept, each.id))}
        fresh = {each.id: each for each in received if each.id not in answers}
        for number, each in fresh.items():
            if number not in kept:
                inbox.store(path, each)
            if problem := refusal_reason(watched, each):
                answers[number] = Answer(inbox.REFUSED, (problem,))
                inbox.answer(path, number, answers[number])
        waiting = [number for number in fresh if number not in answers]
        if not waiting:
            return answers, None
        recorded = watch.record_decision(watched, datetime.datetime.now(datetime.UTC))
        given = _answer(watched, recorded, start)
        for number in waiting:
            answers[number] = given
            inbox.answer(path, number, given)
        return answers, recorded if recorded.firing else None


def start_held_run(watched: Watch, start: Start) -> Answer | None:
    """Starts the run that messages asked for and that was held back, if nothing holds it any more.

    Raises:
        CtError: The sources or the history cannot be read, or the run cannot begin.
    """
    with atomic_files.locked(history.lock_of(watched.workspace.home, watched.project)):
        kept = inbox.read(inbox.path_of(watched.workspace.home, watched.project))
        answered = {key for entry in history.read(watched.history) for key in entry.firing.keys}
        asked = {key for each in inbox.observations(kept).values() for key in each.keys} - answered
        now = datetime.datetime.now(datetime.UTC)
        if not asked:
            return None
        decision = watch.look(watched, now)
        # A run that no message asked for is started by `ct watch`.
        if not decision.fire or asked.isdisjoint(decision.keys):
            return None
        return _answer(watched, watch.record_decision(watched, now), start)


def handle(
    workspace: Workspace, project: str, body: bytes, headers: Mapping[str, str], start: Start
) -> tuple[int, dict[str, Any]]:
    """Answers an HTTP request that may start a run of a project.

    Args:
        workspace: Where the project is.
        project: Folder under pipelines/.
        body: {"cause": …}, {"job": …}, {"period": …}, or what Pub/Sub, Eventarc or Cloud Scheduler send.
        headers: The request's; plain requests with one Idempotency-Key count once.
        start: Starts the run.

    Returns:
        HTTP status and JSON: 202 a run begins, 200 no run begins, 400 the request holds nothing that starts a run (200
        to senders that would only repeat it), 404 unknown project, 409 its triggers.yaml is not valid, 503 try again.
    """
    if project not in workspace.projects():
        return 404, {"error": f"there is no project {project!r}"}
    try:
        watched = watch.open_watch(workspace, project)
    except CtError as error:
        return 409, {"error": str(error)}
    try:
        message = messages.from_http(body, headers)
    except MessageError as error:
        return 400, {"error": str(error)}
    try:
        given = receive(watched, [message], start)[0][message.id]
    except CtError as error:
        return 503, {"error": str(error)}
    refused = given.decision == inbox.REFUSED and not message.insistent
    return 202 if given.decision == inbox.FIRE else 400 if refused else 200, {"message": message.id, **given.body}


def _answer(watched: Watch, recorded: RecordedDecision, start: Start | None) -> Answer:
    if not recorded.firing:
        return Answer(inbox.HOLD, recorded.decision.holds)
    if start is None:
        return Answer(inbox.FIRE, recorded.decision.reasons)
    try:
        run = start(watched, recorded)
    except BaseException:
        history.withdraw(watched.history, recorded.firing)
        raise
    history.mark_queued(watched.history, recorded.firing, run)
    return Answer(inbox.FIRE, recorded.decision.reasons, run)


def _earlier_answer(kept: Mapping[str, inbox.StoredMessage], number: str) -> Answer | None:
    return kept[number].answer if number in kept else None


def refusal_reason(watched: Watch, message: Message) -> str:
    """Returns why a message cannot start a run of this project; empty if it can."""
    try:
        seen = messages.to_observation(message)
    except MessageError as error:
        return str(error)
    triggers = watched.policy.triggers
    kinds: set[str] = {trigger.kind for trigger in triggers}
    if isinstance(seen, ManualRequest) and policy.ON_DEMAND not in kinds:
        return f"{watched.project} has no trigger of the kind {policy.ON_DEMAND}"
    if isinstance(seen, JobFiring) and seen.job not in watched.policy.jobs:
        return f"{watched.project} has no trigger of the kind {policy.SCHEDULE} with job: {seen.job}"
    if isinstance(seen, Period) and not kinds & {policy.PERFORMANCE, policy.DISTRIBUTION}:
        return f"{watched.project} has no trigger of the kind {policy.PERFORMANCE} or {policy.DISTRIBUTION}"
    return _refused_object(watched, message, kinds) if isinstance(seen, Span) else ""


def _refused_object(watched: Watch, message: Message, kinds: set[str]) -> str:
    if policy.NEW_DATA not in kinds:
        return f"{watched.project} has no trigger of the kind {policy.NEW_DATA}"
    bucket, name = messages.bucket_and_name(message)
    objects = [uri for uri in observe.uris(watched.sources) if uri.lower().startswith(locations.GS)]
    marker = name.rpartition("/")[2] in watched.policy.markers
    if objects and not marker and not any(search.is_behind(spans.to_glob(uri), bucket, name) for uri in objects):
        return f"gs://{bucket}/{name} does not belong to any of the sources {', '.join(objects)}"
    return ""
