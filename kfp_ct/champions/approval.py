"""`ct approve` and `ct reject`: a person's word on a version that waits, and what follows from it.

A word is one write; the version is promoted after it, as `ct promote` does. What was killed between the two is finished
by the next command: it finds a version that is approved and that nothing has moved for since.
"""

import dataclasses

from kfp_ct.base.errors import UsageError
from kfp_ct.champions import locations as places
from kfp_ct.champions import promotion
from kfp_ct.champions.locations import Location
from kfp_ct.champions.promotion import Outcome, Person
from kfp_ct.models import approvals, champion_history, release_state
from kfp_ct.models.approvals import APPROVED, REJECTED, Rules, Standing, Word
from kfp_ct.models.champion_history import Move
from kfp_ct.storage import locations as storage_locations

# Where neither the settings nor a request say what is needed.
_ONE = Rules(1, 7 * 86400.0)


@dataclasses.dataclass(frozen=True)
class Approved:
    """What an approval came to: how the version stands, and what was done where that was the last one needed."""

    standing: Standing
    outcome: Outcome | None = None


def approve(place: Location, name: str, version: str, person: Person) -> Approved:
    """Approves a version; once enough have, it is promoted, or its release begins.

    Raises:
        UsageError: There is no such version, it is champion already, or the person has approved before.
        ModelNotBlessedError: The version was not blessed by every stage, or is not what was blessed.
        ComponentError: The registry or what serves cannot be used.
    """
    place = _as_asked(place, name, version)
    promotion.check(place, name, version)
    with promotion.alone(place, name):
        before = _standing(place, name, version)
        if before.state != APPROVED:
            _refuse_second_word(before, name, person)
            _say(place, name, Word(champion_history.now(), APPROVED, version, person.name, person.reason))
    after = _standing(place, name, version)
    if after.state != APPROVED:
        return Approved(after)
    return Approved(after, promotion.promote(place, name, version, _promoter(after)))


def reject(place: Location, name: str, version: str, person: Person) -> Word:
    """Rejects a version that waits; approvals so far no longer count.

    Raises:
        UsageError: There is no such version, or it is the champion.
    """
    found = places.versions(place, name)
    if version not in {each.number for each in found}:
        raise UsageError(f"{name} has no version {version!r}\nexpected: one of `ct models {name}`")
    champion = place.reader.champion(name)
    if champion and champion.number == version:
        raise UsageError(f"{name} v{version} is the champion\nfix: ct rollback {name} goes back to the one before")
    word = Word(champion_history.now(), REJECTED, version, person.name, person.reason)
    with promotion.alone(place, name):
        _say(place, name, word)
    return word


def finish(place: Location, name: str) -> Outcome | None:
    """Does what an approval that was killed was for; None if there is none, or the champion has moved on since."""
    found = _pending(place, name)
    if found is None:
        return None
    return promotion.promote(_as_asked(place, name, found.version), name, found.version, _promoter(found))


def pending(place: Location, name: str) -> str:
    """Returns the version that was approved and not yet promoted; empty if there is none."""
    found = _pending(place, name)
    return found.version if found else ""


def history(place: Location, name: str) -> list[Move]:
    """Returns what was said of a model's versions, in the form that moves have, newest first."""
    said = [word for version in places.versions(place, name) for word in approvals.words(version)]
    return [
        Move(word.at, word.kind, "", word.version, word.by, word.why)
        for word in sorted(said, key=lambda word: word.at, reverse=True)
    ]


def _pending(place: Location, name: str) -> Standing | None:
    versions = place.reader.versions(name)
    moves = champion_history.history(versions)
    last_move = moves[-1].at if moves else ""
    standings = [approvals.standing(version) for version in versions]
    found = [each for each in standings if each and each.state == APPROVED and _last(each).at > last_move]
    newest = max(found, key=lambda each: _last(each).at, default=None)
    return newest if newest and not _released(place, name, newest) else None


def _released(place: Location, name: str, found: Standing) -> bool:
    kept = release_state.read(str(_as_asked(place, name, found.version).serving_root), name)
    return bool(kept and kept.state.candidate == found.version)


def _as_asked(place: Location, name: str, version: str) -> Location:
    """Returns the place that deploy asked for, unless the settings have said one."""
    kept = place.reader.version(name, version)
    found = approvals.standing(kept) if kept else None
    if place.serving or found is None or found.request is None:
        return place
    root = str(found.request.request["serving_root"])
    folder = root if storage_locations.is_remote(root) else storage_locations.local_path(root)
    return dataclasses.replace(place, serving_root=folder, serving=found.request.request["serving"])


def _standing(place: Location, name: str, version: str) -> Standing:
    found = promotion.standing(place, name, version)
    if found is None:  # nobody asked: one word is enough, and is kept as any other
        kept = place.reader.version(name, version)
        found = approvals.standing(kept, _ONE) if kept else None
    assert found is not None  # noqa: S101 - for mypy: there is such a version
    return found


def _refuse_second_word(found: Standing, name: str, person: Person) -> None:
    if not person.name.strip():
        raise UsageError("the approval names nobody\nfix: --by NAME")
    if approvals.has_approved(found, person.name):
        raise UsageError(
            f"{person.name} has approved {name} v{found.version} before; it is {found.title}\n"
            f"expected: {found.rules.needed} different persons\n"
            f"fix: another person says ct approve {name} {found.version}"
        )


def _say(place: Location, name: str, word: Word) -> None:
    approvals.say(place.registry_uri, name, word)


def _last(found: Standing) -> Word:
    return max(found.approvals, key=lambda word: word.at)


def _promoter(found: Standing) -> Person:
    """Returns who a promotion is by: all who approved."""
    reasons = "; ".join(dict.fromkeys(word.why for word in found.approvals if word.why))
    return Person(", ".join(word.by for word in found.approvals), reasons)
