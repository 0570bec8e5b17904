"""Takes messages, decides, and answers: what pulls from Pub/Sub and what answers HTTP share."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kfp_ct.base import atomic_files
from kfp_ct.base.errors import CtError
from kfp_ct.cloud import cloud_storage
from kfp_ct.project.workspace import Workspace
from kfp_ct.watch import history, inbox, messages, observe, policy, watch
from kfp_ct.watch.decide import ManualRequest, Period, Span, Tick
from kfp_ct.watch.inbox import Answer
from kfp_ct.watch.messages import Message, MessageError
from kfp_ct.watch.watch import Begun, Watch

# Begins the run of a firing elsewhere; returns its id.
Start = Callable[[Watch, Begun], str]


def receive(
    watched: Watch, came: Sequence[Message], start: Start | None = None
) -> tuple[dict[str, Answer], Begun | None]:
    """Keeps messages, decides once for all of them, and notes the decision; what was answered before stays so.

    Everything is on the disk when this returns, so that the messages may be acknowledged.

    Args:
        watched: The project.
        came: Messages in any number; several of one id are one.
        start: Begins the run elsewhere; where there is none, the caller carries it out.

    Returns:
        The answers by message, and what has been noted if a run is to begin; None if none is.

    Raises:
        CtError: What there is to be seen cannot be looked at, or the run cannot begin; nothing is answered.
    """
    path = inbox.path_of(watched.workspace.home, watched.project)
    with atomic_files.locked(history.lock_of(watched.workspace.home, watched.project)):
        kept = inbox.read(path)
        answers = {each.id: before for each in came if (before := _answered(kept, each.id))}
        fresh = {each.id: each for each in came if each.id not in answers}
        for number, each in fresh.items():
            if number not in kept:
                inbox.keep(path, each)
            if problem := _refusal(watched, each):
                answers[number] = Answer(inbox.REFUSED, (problem,))
                inbox.answer(path, number, answers[number])
        waiting = [number for number in fresh if number not in answers]
        if not waiting:
            return answers, None
        begun = watch.begin(watched, datetime.datetime.now(datetime.UTC))
        given = _decided(watched, begun, start)
        for number in waiting:
            answers[number] = given
            inbox.answer(path, number, given)
        return answers, begun if begun.firing else None


def look_again(watched: Watch, start: Start) -> Answer | None:
    """Begins the run that messages asked for and that was held back, if nothing holds it any more.

    Raises:
        CtError: What there is to be seen cannot be looked at, or the run cannot begin.
    """
    with atomic_files.locked(history.lock_of(watched.workspace.home, watched.project)):
        kept = inbox.read(inbox.path_of(watched.workspace.home, watched.project))
        answered = {key for entry in history.read(watched.history) for key in entry.firing.keys}
        asked = {key for seen in inbox.told(kept).values() for key in messages.keys(seen)} - answered
        now = datetime.datetime.now(datetime.UTC)
        if not asked:
            return None
        decision = watch.look(watched, now)
        # What no message asked for is for `ct watch` to begin.
        if not decision.fire or asked.isdisjoint(decision.keys):
            return None
        return _decided(watched, watch.begin(watched, now), start)


def handle(
    workspace: Workspace, project: str, body: bytes, headers: Mapping[str, str], start: Start
) -> tuple[int, dict[str, Any]]:
    """Answers a request that may start a run of a project.

    Args:
        workspace: Where the project is.
        project: Folder under pipelines/.
        body: What was sent: {"cause": …}, {"job": …}, {"period": …}, or what Pub/Sub, Eventarc or Cloud Scheduler send.
        headers: The request's; Idempotency-Key makes a repetition of a plain request one.
        start: Begins the run.

    Returns:
        HTTP's status and JSON: 202 a run begins, 200 none does, 400 it says nothing (200 to senders that would only
        repeat it), 404 no such project, 409 its triggers.yaml does not fit, 503 try again.
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


def _decided(watched: Watch, begun: Begun, start: Start | None) -> Answer:
    if not begun.firing:
        return Answer(inbox.HOLD, begun.decision.holds)
    if start is None:
        return Answer(inbox.FIRE, begun.decision.reasons)
    try:
        run = start(watched, begun)
    except BaseException:
        history.withdraw(watched.history, begun.firing)
        raise
    history.queued(watched.history, begun.firing, run)
    return Answer(inbox.FIRE, begun.decision.reasons, run)


def _answered(kept: Mapping[str, inbox.Kept], number: str) -> Answer | None:
    return kept[number].answer if number in kept else None


def _refusal(watched: Watch, message: Message) -> str:
    """Returns why a message can start nothing in this project; empty if it can."""
    try:
        seen = messages.observed(message)
    except MessageError as error:
        return str(error)
    triggers = watched.policy.triggers
    kinds = {trigger.kind for trigger in triggers}
    if isinstance(seen, ManualRequest) and policy.ON_DEMAND not in kinds:
        return f"{watched.project} has no trigger of the kind {policy.ON_DEMAND}"
    if isinstance(seen, Tick) and seen.job not in {trigger.job for trigger in triggers}:
        return f"{watched.project} has no trigger of the kind {policy.SCHEDULE} with job: {seen.job}"
    if isinstance(seen, Period) and not kinds & {policy.PERFORMANCE, policy.DISTRIBUTION}:
        return f"{watched.project} has no trigger of the kind {policy.PERFORMANCE} or {policy.DISTRIBUTION}"
    return _unwanted(watched, message, kinds) if isinstance(seen, Span) else ""


def _unwanted(watched: Watch, message: Message, kinds: set[str]) -> str:
    if policy.NEW_DATA not in kinds:
        return f"{watched.project} has no trigger of the kind {policy.NEW_DATA}"
    bucket, name = messages.bucket_and_name(message)
    objects = [uri for uri in observe.uris(watched.sources) if cloud_storage.is_uri(uri)]
    marker = name.rpartition("/")[2] in watched.policy.markers
    if objects and not marker and not any(cloud_storage.is_behind(uri, bucket, name) for uri in objects):
        return f"gs://{bucket}/{name} is behind none of the sources {', '.join(objects)}"
    return ""
