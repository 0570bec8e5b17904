"""The state of a model's release: one object beside the served model, replaced only if it is still what was read.

    <root>/<model>/release.json             the release that runs, or the last one; the prediction service reads it
    <root>/<model>/release-history/ID.json  the releases before

It is running, then promoting and promoted, or backing_out and backed_out. Every change is one write; what follows from
a decision (files, alias, tag) is done between the last two states, and again after a kill.
"""

import dataclasses
import datetime
import json
from typing import Any

from kfp_ct.base.errors import ComponentError, DataError
from kfp_ct.models.settings import ReleasePolicy
from kfp_ct.storage import locations, storage

FILE, HISTORY = "release.json", "release-history"
RUNNING, PROMOTING, PROMOTED = "running", "promoting", "promoted"
BACKING_OUT, BACKED_OUT = "backing_out", "backed_out"


@dataclasses.dataclass(frozen=True)
class State:
    """A release.

    Attributes:
        id: The candidate and when it began; the request log names it.
        model: The model.
        live: The version that answers the rest.
        candidate: The version that is tried.
        state: running, promoting, promoted, backing_out or backed_out.
        percent: The candidate's share of the requests.
        shadow: The share that it answers unseen.
        key: The input that says which version answers.
        step: Number of the step, from 0.
        started: When the release began, ISO 8601.
        since: When the step began.
        policy: The settings `release`.
        fingerprint: Of the candidate's files.
        example: A request and its answer, kept with the served model.
        steps: What was found and decided at the end of each step.
        look: What was found at the last look.
        reason: Why it ended.
        by: Who asked for it; empty for a pipeline.
        by_time: Whether the log does not say who had which share, since another than the service splits.
    """

    id: str
    model: str
    live: str
    candidate: str
    state: str
    percent: int
    shadow: int
    key: str
    step: int
    started: str
    since: str
    policy: dict[str, Any]
    fingerprint: str
    example: dict[str, Any]
    steps: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    look: dict[str, Any] = dataclasses.field(default_factory=dict)
    reason: str = ""
    by: str = ""
    by_time: bool = False

    @property
    def rules(self) -> ReleasePolicy:
        """The policy that it goes by."""
        return ReleasePolicy.model_validate(self.policy)

    @property
    def unfinished(self) -> bool:
        """Whether something is still to be done."""
        return self.state not in (PROMOTED, BACKED_OUT)

    @property
    def title(self) -> str:
        """Candidate and share, for people."""
        share = f"a shadow of {self.shadow} %" if self.shadow else f"{self.percent} %"
        return f"v{self.candidate} with {share} of the traffic"

    def concluded(self, state: str, reason: str, now: datetime.datetime, look: dict[str, Any]) -> "State":
        """Returns it with a decision, and what the decision is based on."""
        ended = {"step": self.step, "percent": self.percent, "shadow": self.shadow, "from": self.since}
        ended |= {"to": now.isoformat(), "decision": state, "reason": reason, "evidence": look}
        return dataclasses.replace(self, state=state, reason=reason, steps=[*self.steps, ended], look=look)


@dataclasses.dataclass(frozen=True)
class Kept:
    """A state and the version of the object that holds it."""

    state: State
    object_version: str


def read(root: str, model: str) -> Kept | None:
    """Returns the release that runs, or the last one; None if there was none.

    Raises:
        DataError: The object is not a release.
    """
    uri = _uri(root, model)
    content = storage.read(uri)
    if content is None:
        return None
    try:
        return Kept(State(**json.loads(content.data)), content.version)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{uri} cannot be read: {error}\nexpected: a release, as deploy writes it\nfix: move it away"
        ) from error


def write(root: str, state: State, before: Kept | None) -> Kept:
    """Writes a state over the one that was read.

    Raises:
        ComponentError: Another has changed it since.
    """
    uri, data = _uri(root, state.model), _data(state)
    done = storage.replace(uri, data, before.object_version) if before else storage.create(uri, data)
    now = read(root, state.model)
    if now is None or (not done and now.state != state):  # the answer to a write that was done may be lost
        raise ComponentError(
            f"the release of {state.model} was changed by another at the same time\n"
            "expected: one watch or command at a time\nfix: look with ct release status, and run again"
        )
    return now


def archive(root: str, state: State) -> None:
    """Keeps a release that has ended among those before."""
    storage.write(locations.join(root, state.model, HISTORY, f"{state.id}.json"), _data(state))


def archived(root: str, model: str) -> list[State]:
    """Returns the releases that have ended, oldest first."""
    found = [storage.read(item.uri) for item in storage.list_folder(locations.join(root, model, HISTORY))]
    states = [State(**json.loads(content.data)) for content in found if content]
    return sorted(states, key=lambda state: state.started)


def _uri(root: str, model: str) -> str:
    return locations.join(root, model, FILE)


def _data(state: State) -> bytes:
    return json.dumps(dataclasses.asdict(state), indent=1, ensure_ascii=False).encode()
