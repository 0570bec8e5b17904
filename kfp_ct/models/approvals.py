"""A person's word before a version is served: who asked, approved or rejected, when and why, as tags of the version.

    approval.<time>   one word: asked (by deploy, with what is needed and where it is to be served), approved, rejected

Words are only added, each by one write. What they come to is worked out from all of them, so whoever comes after a kill
sees the same as who was killed.
"""

import dataclasses
import datetime
import json
from collections.abc import Iterable, Mapping
from typing import Any

from kfp_ct.base.errors import UsageError
from kfp_ct.clock import durations
from kfp_ct.models import champion_history, model_version, registry
from kfp_ct.models.settings import Serving

_TAG = "approval."
ASKED, APPROVED, REJECTED = "asked", "approved", "rejected"
WAITING = "waiting"
# A tag of MLflow takes 5,000 characters; the request carries the settings `serving`.
_LONGEST = 1_000


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a version needs: approvals of so many persons, none older than `expires` seconds."""

    needed: int
    expires: float


@dataclasses.dataclass(frozen=True)
class Word:
    """What somebody said of a version; `request` is what deploy asked for: rules, serving_root and serving."""

    at: str  # ISO 8601, UTC
    kind: str
    version: str
    by: str = ""
    why: str = ""
    request: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def tag(self) -> tuple[str, str]:
        """The name and the value that keep it in the registry."""
        fields = {"kind": self.kind, "by": self.by, "why": self.why[:_LONGEST], "request": dict(self.request)}
        return f"{_TAG}{self.at}", json.dumps({name: value for name, value in fields.items() if value})


@dataclasses.dataclass(frozen=True)
class Standing:
    """What the words on a version come to: waiting, approved or rejected, and the words that decide it."""

    state: str
    version: str
    rules: Rules
    approvals: tuple[Word, ...] = ()
    expired: tuple[Word, ...] = ()
    rejection: Word | None = None
    request: Word | None = None

    @property
    def title(self) -> str:
        """The state in a few words."""
        if self.state == REJECTED and self.rejection:
            return f"rejected by {self.rejection.by}{_reason(self.rejection)}"
        count = f"{len(self.approvals)} of {self.rules.needed}"
        if self.state == APPROVED:
            return f"approved by {_names(self.approvals)}"
        expired = f"; the approval of {_names(self.expired)} has expired" if self.expired else ""
        given = f" by {_names(self.approvals)}" if self.approvals else ""
        return f"waiting for approval ({count}{given}{expired})"


def rules_of(serving: Mapping[str, Any]) -> Rules | None:
    """Returns what the settings `serving` demand; None where they demand no approval."""
    chosen = Serving.model_validate(dict(serving))
    return Rules(chosen.approvals, durations.duration(chosen.approval_expires)) if chosen.approve else None


def words(version: model_version.ModelVersion) -> list[Word]:
    """Returns what was said of a version, oldest first."""
    found = [
        Word(name.removeprefix(_TAG), version=version.number, **json.loads(value))
        for name, value in version.tags.items()
        if name.startswith(_TAG)
    ]
    return sorted(found, key=lambda word: word.at)


def standing(
    version: model_version.ModelVersion, rules: Rules | None = None, now: datetime.datetime | None = None
) -> Standing | None:
    """Returns what the words on a version come to; None where nobody asked and no rules are given.

    Args:
        version: As the registry has it.
        rules: Those of the settings; by default those it was asked with.
        now: The time; an approval that has expired by then does not count.
    """
    said = words(version)
    request = next((word for word in reversed(said) if word.kind == ASKED), None)
    if rules is None:
        if request is None:
            return None
        rules = Rules(int(request.request["approvals"]), float(request.request["expires"]))
    rejection = next((word for word in reversed(said) if word.kind == REJECTED), None)
    given = [word for word in said if word.kind == APPROVED and (rejection is None or word.at > rejection.at)]
    edge = ((now or datetime.datetime.now(datetime.UTC)) - datetime.timedelta(seconds=rules.expires)).timestamp()
    valid = _one_each(word for word in given if _seconds(word) > edge)
    expired = _one_each(word for word in given if _seconds(word) <= edge and not _by(word.by, valid))
    state = APPROVED if len(valid) >= rules.needed else REJECTED if rejection and not given else WAITING
    return Standing(state, version.number, rules, valid, expired, rejection, request)


def has_approved(found: Standing, person: str) -> bool:
    """Whether a person's approval counts."""
    return _by(person, found.approvals)


def ask(registry_uri: str, model_name: str, number: str, request: Mapping[str, Any]) -> None:
    """Notes that a version waits, with what it needs and where it would be served, unless that is noted already."""
    version = registry.open_reader(registry_uri).version(model_name, number)
    known = next((word for word in reversed(words(version)) if word.kind == ASKED), None) if version else None
    if known is None or dict(known.request) != dict(request):
        say(registry_uri, model_name, Word(champion_history.now(), ASKED, number, request=request))


def say(registry_uri: str, model_name: str, word: Word) -> None:
    """Adds a word to those of a version, by one write."""
    with registry.writing(registry_uri) as client:
        client.set_model_version_tag(model_name, word.version, *word.tag)


def require(found: Standing | None, model_name: str) -> None:
    """Refuses a version that needs a person's word and does not have it.

    Raises:
        UsageError: It waits, was rejected, or its approvals have expired.
    """
    if found is None or found.state == APPROVED:
        return
    fix = f"ct approve {model_name} {found.version} --why …"
    if found.approvals:
        fix += f", by another person than {_names(found.approvals)}"
    raise UsageError(
        f"{model_name} v{found.version} is {found.title}\n"
        f"expected: {found.rules.needed} approval{'s' if found.rules.needed > 1 else ''} that "
        f"{'have' if found.rules.needed > 1 else 'has'} not expired\nfix: {fix}"
    )


def newest_request(versions: Iterable[model_version.ModelVersion]) -> Word | None:
    """Returns the request that was made last of any version; None if none was."""
    asked = [word for version in versions for word in words(version) if word.kind == ASKED]
    return max(asked, key=lambda word: word.at, default=None)


def _one_each(found: Iterable[Word]) -> tuple[Word, ...]:
    """Returns the first word of each person."""
    kept: dict[str, Word] = {}
    for word in found:
        kept.setdefault(_person(word.by), word)
    return tuple(kept.values())


def _by(person: str, found: Iterable[Word]) -> bool:
    return any(_person(word.by) == _person(person) for word in found)


def _person(name: str) -> str:
    return " ".join(name.split()).casefold()


def _names(found: Iterable[Word]) -> str:
    return ", ".join(word.by for word in found)


def _reason(word: Word) -> str:
    return f": {word.why}" if word.why else ""


def _seconds(word: Word) -> float:
    return datetime.datetime.fromisoformat(word.at).timestamp()
