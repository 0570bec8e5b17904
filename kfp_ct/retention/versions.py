"""Versions of a registered model: which keep their files and why, and taking the files of the others away."""

import dataclasses
import datetime
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kfp_ct.base import atomic_files
from kfp_ct.models import (
    approvals,
    champion_history,
    model_version,
    registered_model,
    registry,
    registry_sqlite,
    release_state,
)
from kfp_ct.models.model_version import FILES_DELETED, ModelVersion, Reader
from kfp_ct.retention import records
from kfp_ct.retention.settings import Retention
from kfp_ct.runs.record import Run

_PREVIOUS = "previous_champion"


@dataclasses.dataclass(frozen=True)
class Model:
    """A model of a registry, and what may need versions of it.

    Attributes:
        uri: The registry.
        name: The model.
        roots: Where it may be served from.
        open_runs: Runs that have not ended.
    """

    uri: str
    name: str
    roots: tuple[str, ...] = ()
    open_runs: tuple[Run, ...] = ()


@dataclasses.dataclass(frozen=True)
class Kept:
    """Why versions keep their files: those that something refers to, and those that are only young."""

    needed: Mapping[str, str]
    young: Mapping[str, str]

    def why(self, number: str) -> str:
        """Returns why a version keeps its files; empty if it does not."""
        return self.needed.get(number) or self.young.get(number, "")


def kept(reader: Reader, model: Model, retention: Retention, now: datetime.datetime) -> Kept:
    """Returns the versions that keep their files, with why."""
    found = reader.versions(model.name)
    line = _line(reader, model.name, retention.predecessors)
    used = {each.number: "an open run uses it" for each in found if _is_used(each, found, model)}
    needed = {**used, **dict(_waiting(found)), **dict(_released(model, found)), **line}
    edge = records.before(now, retention.versions_for).timestamp() * 1000
    young = {each.number: f"younger than {retention.versions_for}" for each in found if each.created > edge}
    return Kept(needed, young)


def delete(model: Model, number: str, retention: Retention, now: datetime.datetime) -> bool:
    """Takes the files of a version away, unless it has come to be needed; says whether it did.

    The version is marked first, so that nothing uses it any more; its tags and metrics stay.

    Raises:
        ConfigurationError: The registry cannot be written, or does not answer.
    """
    database = model_version.database_path(model.uri)
    with registry.writing(model.uri) as client, registry_sqlite.alone(database):
        version = registry.open_reader(model.uri).version(model.name, number)
        if version is None or kept(registry.open_reader(model.uri), model, retention, now).why(number):
            return False
        client.set_model_version_tag(model.name, number, FILES_DELETED, now.isoformat(timespec="seconds"))
        # A registry on a server has no lock: what was made the champion meanwhile is not taken away.
        if kept(registry.open_reader(model.uri), model, retention, now).why(number):
            client.set_model_version_tag(model.name, number, FILES_DELETED, "")
            return False
        _delete_files(model, version)
    return True


def finish(model: Model) -> None:
    """Takes away what a deletion that was killed has marked and left."""
    database = model_version.database_path(model.uri)
    reader = registry.open_reader(model.uri)
    if not any(model_version.is_deleted(each) for each in reader.versions(model.name)):
        return
    with registry_sqlite.alone(database):
        found = reader.versions(model.name)
        sources = {each.source for each in found if not model_version.is_deleted(each)}
        for version in found:
            folder = files(model, version)
            if model_version.is_deleted(version) and folder and version.source not in sources:
                _delete_files(model, version)
        if database:
            atomic_files.sweep(model_version.models_root(database) / model.name)


def files(model: Model, version: ModelVersion) -> Path | None:
    """Returns the folder of a version's files on this machine; None if they are gone, or elsewhere."""
    return registered_model.local_folder(version, model.uri, model.name)


def _delete_files(model: Model, version: ModelVersion) -> None:
    folder = files(model, version)
    if folder is not None:
        atomic_files.withdraw(folder)
    elif model_version.local_path(version.source) is None:
        from kfp_ct.models import registry_deletion  # MLflow takes seconds to import

        registry_deletion.delete(model.uri, version.source)


def _line(reader: Reader, name: str, predecessors: int) -> dict[str, str]:
    """Returns the champion and those before it."""
    found: dict[str, str] = {}
    version = reader.champion(name)
    while version is not None and len(found) <= predecessors and version.number not in found:
        found[version.number] = "a champion before" if found else "the champion"
        previous = version.tags.get(_PREVIOUS, "")
        version = reader.version(name, previous) if previous else None
    return found


def _waiting(found: Sequence[ModelVersion]) -> Iterator[tuple[str, str]]:
    """Yields the versions that a person is asked about, or has approved and that are not served yet."""
    moved = {move.version: move.at for move in champion_history.history(found)}
    for version in found:
        standing = approvals.standing(version)
        if standing is None or standing.state == approvals.REJECTED:
            continue
        last = max((word.at for word in approvals.words(version)), default="")
        if standing.state == approvals.WAITING or moved.get(version.number, "") < last:
            yield version.number, standing.title


def _released(model: Model, found: Sequence[ModelVersion]) -> Iterator[tuple[str, str]]:
    for root in model.roots:
        release = release_state.read(root, model.name)
        if release and release.state.unfinished:
            yield from (
                (number, "a release is in progress") for number in (release.state.live, release.state.candidate)
            )


def _is_used(version: ModelVersion, found: Sequence[ModelVersion], model: Model) -> bool:
    """Whether an open run names a version, has its files, or began while it was the champion."""
    for run in model.open_runs:
        said = set(records.texts([run.parameters, run.outputs, [task.artifacts for task in run.tasks]]))
        if version.source in said or (model.name in said and version.number in said):
            return True
        if any(run.started < move.at and version.number == move.before for move in champion_history.history(found)):
            return True
    return False
