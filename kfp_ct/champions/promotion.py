"""Makes a registered version the champion and the served model, by a person's word; every step can be killed.

The move is noted as begun with the version it is for → what serves the model → the alias champion → noted as done.
Each step looks whether it has been done, so the next command finishes a move that was killed between them.
"""

import contextlib
import dataclasses
import datetime
from collections.abc import Iterator

from kfp_ct.base import atomic_files
from kfp_ct.base.errors import ComponentError, UsageError
from kfp_ct.champions import locations as places
from kfp_ct.champions.locations import Location
from kfp_ct.models import (
    approvals,
    blessing,
    champion_alias,
    champion_history,
    model_version,
    registry,
    registry_sqlite,
    release_state,
    release_target,
    serving_folder,
)
from kfp_ct.models.approvals import Standing
from kfp_ct.models.champion_history import Move
from kfp_ct.models.release_state import State
from kfp_ct.models.settings import ReleasePolicy, Serving

# Served versions that stay beside the served one, so that a move back finds its files there: as deploy has it.
KEEP_VERSIONS = 3


@dataclasses.dataclass(frozen=True)
class Person:
    """Who wants a move, and why."""

    name: str
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was done: the move, and whether there was anything to do."""

    move: Move
    changed: bool
    release: State | None = None  # that was begun instead


def promote(place: Location, name: str, version: str, person: Person, dry_run: bool = False) -> Outcome:
    """Makes a version the champion and the served model; nothing is done if it is both already.

    Raises:
        UsageError: There is no such model or version, or it needs an approval that it does not have.
        ModelNotBlessedError: The version was not blessed by every stage, or is not what was blessed.
        ComponentError: The registry or the folder cannot be used.
    """
    _require(place, name, version)
    with alone(place, name):
        _require_no_release(place, name, version)
        move = Move(
            champion_history.now(),
            champion_history.PROMOTE,
            _champion(place, name),
            version,
            person.name,
            person.reason,
        )
        done = move.before == version == place.target(name).served(name)
        if not done:
            approvals.require(standing(place, name, version), name)
        policy = Serving.model_validate(dict(place.serving)).release
        if policy and not done and not dry_run:
            started = _released(place, name, move, policy)
            if started is not None:
                return Outcome(move, True, started)
        return Outcome(_carried_out(place, name, move, dry_run or done), not done)


def standing(place: Location, name: str, version: str) -> Standing | None:
    """Returns what was said of a version; None where it needs nobody's approval.

    It needs one where the settings say so, where it waits for one, and, without settings, where the model's newest
    request says so.
    """
    found = _require(place, name, version)
    rules = approvals.rules_of(place.serving)
    newest = approvals.newest_request(place.reader.versions(name)) if not place.serving else None
    if rules is None and newest is not None:
        rules = approvals.Rules(int(newest.request["approvals"]), float(newest.request["expires"]))
    return approvals.standing(found, rules)


def check(place: Location, name: str, version: str) -> None:
    """Looks whether a version can be made the champion, approval apart; changes nothing.

    Raises:
        UsageError: There is no such model or version, or a release runs.
        ModelNotBlessedError: The version was not blessed by every stage, or is not what was blessed.
    """
    _require_no_release(place, name, version)
    move = Move(champion_history.now(), champion_history.PROMOTE, _champion(place, name), version)
    _carried_out(place, name, move, only_checked=True)


def rollback(place: Location, name: str, person: Person, dry_run: bool = False) -> Outcome:
    """Goes back to the champion that the present one replaced; a rollback that was killed is finished instead.

    Raises:
        UsageError: There is no such model, or no champion before this one.
        ModelNotBlessedError: The version to go back to was not blessed by every stage.
        ComponentError: The registry or the folder cannot be used.
    """
    places.versions(place, name)
    with alone(place, name):
        _require_no_release(place, name, "")
        begun = unfinished(place, name)
        if begun is not None and not dry_run:
            finished = _finished(place, name, begun)
            if finished is not None and finished.kind == champion_history.ROLLBACK:
                return Outcome(finished, True)
        champion = place.reader.champion(name)
        before = champion.tags.get("previous_champion", "") if champion else ""
        if champion is None or not before:
            told = f"v{champion.number} is the first champion" if champion else "no version is champion"
            raise UsageError(f"{name} cannot go back: {told}\nfix: choose one of `ct models {name}` with ct promote")
        _require(place, name, before)
        move = Move(
            champion_history.now(), champion_history.ROLLBACK, champion.number, before, person.name, person.reason
        )
        return Outcome(_carried_out(place, name, move, dry_run), True)


def finish(place: Location, name: str) -> Move | None:
    """Finishes a move that was killed and returns it; None if there is none, or the champion has moved on since."""
    if unfinished(place, name) is None:
        return None
    with alone(place, name):
        begun = unfinished(place, name)  # who held the lock may have finished it
        return _finished(place, name, begun) if begun else None


def unfinished(place: Location, name: str) -> Move | None:
    """Returns the newest move if it was begun and not ended."""
    history = champion_history.history(place.reader.versions(name))
    return history[-1] if history and history[-1].state == champion_history.BEGUN else None


def _finished(place: Location, name: str, begun: Move) -> Move | None:
    if _champion(place, name) in (begun.before, begun.version):
        return _carried_out(place, name, begun)
    with registry.writing(place.registry_uri) as client:
        _give_up(client, place, name, "")
    return None


def _carried_out(place: Location, name: str, move: Move, only_checked: bool = False) -> Move:
    """Does a move, as far as it is not yet done; nothing moves before the blessing has been looked at."""
    version = _require(place, name, move.version)
    with places.files(place, name, version) as folder:
        blessed = places.kept_blessing(folder)
        blessing.require(blessed, str(folder))
        trial = places.trial(place, version.tags.get("run", ""))
        release = serving_folder.Release(str(folder), str(blessed), name, move.version, trial, place.registry_uri)
        place.target(name).check(release, KEEP_VERSIONS)
        if only_checked:
            return move
        with registry.writing(place.registry_uri) as client:
            _note(client, name, move, champion_history.BEGUN)
            _give_up(client, place, name, move.at)
            _move(client, place, move, release)
            return _note(client, name, move, champion_history.DONE)


def _require_no_release(place: Location, name: str, version: str) -> None:
    """Refuses a move while another version is tried: whatever it did would be undone by the release, or undo it."""
    kept = release_state.read(str(place.serving_root), name)
    if kept and kept.state.unfinished and kept.state.candidate != version:
        raise UsageError(
            f"a release of {name} runs: {kept.state.title}\nexpected: no release that runs\n"
            f"fix: ct release abort {name}, or wait for its end (ct release status {name})"
        )
    if kept and kept.state.unfinished and Serving.model_validate(dict(place.serving)).release is None:
        raise UsageError(
            f"a release of {name} runs: {kept.state.title}\nexpected: the settings that it goes by\n"
            f"fix: ct release abort {name} first, and promote it then; or leave it to the release"
        )


def _released(place: Location, name: str, move: Move, policy: ReleasePolicy) -> State | None:
    """Begins a release of a version, or goes on with it; None where there is nothing to compare it with."""
    version = _require(place, name, move.version)
    with places.files(place, name, version) as folder:
        trial = places.trial(place, version.tags.get("run", ""))
        release = serving_folder.Release(
            str(folder), str(places.kept_blessing(folder)), name, move.version, trial, place.registry_uri
        )
        opened = release_target.open_releases(place.serving, str(place.serving_root), name, place.registry_uri)
        return opened.start(release, policy, datetime.datetime.now(datetime.UTC), move.by)


def _move(client: registry.Writer, place: Location, move: Move, release: serving_folder.Release) -> None:
    """Has the version served, then moves the alias; where it is not served, the alias stays."""
    target = place.target(release.model_name)
    try:
        target.serve(release, KEEP_VERSIONS)
    except ComponentError:
        if target.served(release.model_name) != move.version:
            _note(client, release.model_name, move, champion_history.CUT_OFF)
        raise
    champion_alias.move_champion(client, release.model_name, move)


def _give_up(client: registry.Writer, place: Location, name: str, but: str) -> None:
    """Notes of moves that were killed, all but one, that they will not be finished."""
    for move in champion_history.history(place.reader.versions(name)):
        if move.state == champion_history.BEGUN and move.at != but:
            _note(client, name, move, champion_history.CUT_OFF)


def _note(client: registry.Writer, name: str, move: Move, state: str) -> Move:
    move = dataclasses.replace(move, state=state)
    champion_alias.note(client, name, move)
    return move


def _require(place: Location, name: str, number: str) -> model_version.ModelVersion:
    known = places.versions(place, name)
    found = next((version for version in known if version.number == number), None)
    if found is None:
        listed = ", ".join(f"{version.number}" for version in known[:20])
        raise UsageError(f"{name} has no version {number!r}\nexpected: one of {listed}")
    return found


def _champion(place: Location, name: str) -> str:
    champion = place.reader.champion(name)
    return champion.number if champion else ""


@contextlib.contextmanager
def alone(place: Location, name: str) -> Iterator[None]:
    """Keeps two moves on one machine apart, and moves from registrations where the registry is a file of it."""
    with contextlib.ExitStack() as held:
        root = place.serving_root
        if isinstance(root, str):  # objects there have versions of their own; here two commands wait for each other
            root = place.workspace.home / "moves"
        with atomic_files.writing_to("the serving folder", root):
            held.enter_context(atomic_files.locked(root / f".{name}.move.lock"))
        held.enter_context(registry_sqlite.alone(model_version.database_path(place.registry_uri)))
        yield
