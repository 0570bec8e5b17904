"""The history of a model's champion, kept in the registry: every move is a tag of the version it made the champion."""

import dataclasses
import datetime
import json
from collections.abc import Iterable

from kfp_ct.models import model_version

_TAG = "moved."
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
# Who can move a champion: the pipeline by registering a better model, and a person, forward or back.
REGISTER, PROMOTE, ROLLBACK = "register", "promote", "rollback"
# A move is noted as begun before anything moves, so that one that was killed can be finished.
BEGUN, DONE, CUT_OFF = "begun", "done", "cut off"
# A tag of MLflow takes 5,000 characters.
_LONGEST = 2_000


@dataclasses.dataclass(frozen=True)
class Move:
    """One change of the champion: when, from which version to which, by whom and why."""

    at: str  # ISO 8601, UTC
    kind: str
    before: str  # version; empty for none
    version: str
    by: str = ""
    why: str = ""
    run: str = ""
    state: str = DONE

    @property
    def tag(self) -> tuple[str, str]:
        """The name and the value that keep it in the registry."""
        fields = {name: value for name, value in dataclasses.asdict(self).items() if name not in ("at", "version")}
        fields["why"] = self.why[:_LONGEST]
        return f"{_TAG}{self.at}", json.dumps(fields)


def now() -> str:
    """Returns the time in the form moves have it."""
    return datetime.datetime.now(datetime.UTC).strftime(_TIME)


def history(versions: Iterable[model_version.ModelVersion]) -> list[Move]:
    """Returns the moves that made these versions the champion, oldest first."""
    return sorted((move for version in versions for move in _of(version)), key=lambda move: move.at)


def _of(version: model_version.ModelVersion) -> list[Move]:
    found = [
        Move(at=name.removeprefix(_TAG), version=version.number, **json.loads(value))
        for name, value in version.tags.items()
        if name.startswith(_TAG)
    ]
    if any(move.kind == REGISTER for move in found) or "previous_champion" not in version.tags:
        return found
    # Registered before moves were kept: what the version says of itself.
    created = datetime.datetime.fromtimestamp(version.created / 1000, datetime.UTC).strftime(_TIME)
    told = {name: version.tags.get(tag, "") for name, tag in (("by", "user"), ("why", "cause"), ("run", "run"))}
    return [Move(created, REGISTER, version.tags["previous_champion"], version.number, **told), *found]
