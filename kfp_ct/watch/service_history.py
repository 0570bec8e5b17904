"""The firings of a watch whose runs are a service's: one JSON object, written only if it is still what was read."""

import dataclasses
import datetime
import json
import secrets
from collections.abc import Callable
from typing import Any

from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.storage import storage
from kfp_ct.watch.decide import Decision
from kfp_ct.watch.observations import RUNNING, Firing

_TRIES = 20


@dataclasses.dataclass(frozen=True)
class Claim:
    """A firing, from the decision on.

    Attributes:
        id: Unique; the run's name on the service ends with it.
        at: When it was decided.
        triggers: Names of the triggers that fired.
        reasons: Why.
        keys: What the run answers.
        since: When somebody last set out to start the run.
        run: The run's id on the service, once it is known.
        state: RUNNING until the service says how the run ended.
    """

    id: str
    at: str
    triggers: tuple[str, ...]
    reasons: tuple[str, ...]
    keys: tuple[str, ...]
    since: str
    run: str = ""
    state: str = RUNNING

    @property
    def cause(self) -> str:
        """Why the run begins."""
        return "; ".join(f"{name}: {reason}" for name, reason in zip(self.triggers, self.reasons, strict=True))

    @property
    def firing(self) -> Firing:
        """What decisions look at."""
        return Firing(datetime.datetime.fromisoformat(self.at), self.triggers, self.keys, self.state, self.run)


@dataclasses.dataclass(frozen=True)
class History:
    """All firings, and the version of the object that has them; empty where there is none yet."""

    claims: tuple[Claim, ...]
    version: str


def claim_of(decision: Decision, now: datetime.datetime) -> Claim:
    """Returns the firing of a decision."""
    number = f"{now.astimezone(datetime.UTC):%Y%m%d%H%M%S}-{secrets.token_hex(4)}"
    return Claim(number, now.isoformat(), decision.triggers, decision.reasons, decision.keys, now.isoformat())


def read(uri: str) -> History:
    """Returns the firings, oldest first.

    Raises:
        UsageError: The object is something else.
    """
    content = storage.read(uri)
    if content is None:
        return History((), "")
    try:
        return History(tuple(map(_claim, json.loads(content.data)["firings"])), content.version)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{uri} is no history of `ct watch`\nexpected: firings, as `ct watch --target` writes them\n"
            "fix: name another place with --state"
        ) from error


def add(uri: str, claim: Claim, history: History) -> bool:
    """Adds a firing if nothing has changed since the history was read; says whether it did."""
    if _write(uri, (*history.claims, claim), history.version):
        return True
    # The store's answer may have been lost.
    return any(each.id == claim.id for each in read(uri).claims)


def change(uri: str, number: str, update: Callable[[Claim], Claim | None]) -> bool:
    """Changes a firing; says whether it did.

    Args:
        uri: The object.
        number: The firing.
        update: Returns the changed firing; None to leave it, as when somebody else was faster.

    Raises:
        CtError: Others write without end.
    """
    for _ in range(_TRIES):
        history = read(uri)
        found = next((each for each in history.claims if each.id == number), None)
        changed = update(found) if found else None
        if changed is None:
            return False
        if _write(uri, tuple(changed if each.id == number else each for each in history.claims), history.version):
            return True
    raise CtError(f"{uri} changes all the time\nfix: see which watches write there; one for each project is enough")


def _write(uri: str, claims: tuple[Claim, ...], version: str) -> bool:
    data = json.dumps({"firings": [dataclasses.asdict(each) for each in claims]}, indent=1).encode()
    return storage.replace(uri, data, version) if version else storage.create(uri, data)


def _claim(entry: dict[str, Any]) -> Claim:
    lists = {name: tuple(entry[name]) for name in ("triggers", "reasons", "keys")}
    return Claim(**{**entry, **lists})
