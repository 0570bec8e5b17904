"""Works out what goes and what stays, from what refers to what."""

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kfp_ct.retention import models, records
from kfp_ct.retention.records import RunFolder
from kfp_ct.retention.sizes import last_change, size
from kfp_ct.retention.survey import (
    ARTIFACTS,
    CHECKPOINTS,
    ENTRY,
    ENVIRONMENT,
    LEFTOVER,
    RECORD,
    Item,
    Plan,
    Survey,
)
from kfp_ct.runs.events import State
from kfp_ct.storage import locations

# So long what a run has just begun to use is left alone.
_GRACE = datetime.timedelta(hours=1)
_COMPLETE = "complete"  # the file of an environment that is touched when a run uses it


def make(survey: Survey) -> Plan:
    """Finds what goes, in the order in which it is deleted: what refers to another before that."""
    gone: list[Item] = []
    stay: list[Item] = []
    needed: dict[str, str] = {}
    for model in models.find(survey):
        old, kept, runs = models.judge(survey, model)
        gone, stay, needed = gone + old, stay + kept, needed | runs
    why = _reasons(survey, needed)
    records_kept = {folder.id: reason for folder in survey.folders if (reason := _evidence(survey, folder, why))}
    remaining = [folder for folder in survey.folders if folder.id in records_kept]
    kept_runs = [folder for folder in remaining if folder.id in why]
    cache, used = _cache(survey, kept_runs, remaining)
    artifacts = _artifacts(survey, used, {Path(path) for path in survey.leased or ()} | _own(survey, kept_runs))
    old_runs = [_record(survey, each, f"older than {survey.retention.evidence_for}, and nothing needs it")
                for each in survey.folders if each not in remaining]  # fmt: skip
    stay += [_record(survey, each, records_kept[each.id]) for each in remaining]
    return Plan((*cache, *artifacts, *gone, *_others(survey), *old_runs), tuple(stay))


def _reasons(survey: Survey, needed: Mapping[str, str]) -> dict[str, str]:
    """Returns the runs whose artifacts are kept, with why."""
    found: dict[str, str] = {}
    newest: set[tuple[str, str]] = set()
    for folder in survey.folders:
        place = (folder.run.project, folder.run.pipeline) if folder.run else ("", "")
        if folder.is_open:
            found[folder.id] = "it is open"
        elif folder.run is None and folder.began > survey.now - _GRACE:
            found[folder.id] = "it has just begun"
        elif folder.id in needed:
            found[folder.id] = needed[folder.id]
        elif folder.run and place not in newest:
            found[folder.id] = f"the newest of {folder.run.project}, {folder.run.pipeline}"
        elif not survey.is_older(folder.began, survey.retention.artifacts_for):
            found[folder.id] = f"younger than {survey.retention.artifacts_for}"
        newest.add(place)
    return found


def _evidence(survey: Survey, folder: RunFolder, why: Mapping[str, str]) -> str:
    """Returns why the record of a run is kept; empty if it is not."""
    length = survey.retention.evidence_for
    return why.get(folder.id) or ("" if survey.is_older(folder.began, length) else f"evidence for {length}")


def _cache(survey: Survey, kept: list[RunFolder], remaining: list[RunFolder]) -> tuple[list[Item], set[Path]]:
    """Returns the entries of the cache that go, and all artifacts that something refers to then."""
    space = survey.workspace
    used = {unit for folder in kept for unit in records.uses(space, folder)} | records.units(space, survey.leased or ())
    known = used | {unit for folder in remaining for unit in records.uses(space, folder)}
    gone, budget = [], survey.retention.cache_bytes
    newest = sorted(space.cache.glob("*.json"), key=lambda each: (-each.stat().st_mtime, each.name))
    for path in newest:
        try:
            needs = records.units(space, records.texts(json.loads(path.read_text())))
        except ValueError:
            gone.append(_item(survey, ENTRY, path, "it cannot be read"))
            continue
        extra = sum(map(size, needs - used))
        if why := _why_not_cached(needs, known, extra > budget):
            gone.append(_item(survey, ENTRY, path, why))
        else:
            budget -= extra
            used |= needs
    return gone, used


def _why_not_cached(needs: set[Path], known: set[Path], is_too_large: bool) -> str:
    if any(not each.exists() for each in needs):
        return "what it refers to is gone"
    if not needs <= known:
        return "the run that made it was deleted"
    return "the cache is larger than cache_bytes, and others were used later" if is_too_large else ""


def _own(survey: Survey, kept: list[RunFolder]) -> set[Path]:
    """Returns the folders that runs wrote to: of a kept run all stays there, what a failed task left, too."""
    made = (task for folder in kept if folder.run for task in folder.run.tasks if task.state == State.SUCCEEDED)
    uris = (str(artifact.get("uri", "")) for task in made for artifact in task.artifacts.values())
    return {unit.parent for unit in records.units(survey.workspace, uris)}


def _artifacts(survey: Survey, used: set[Path], whole: set[Path]) -> Iterator[Item]:
    """Yields what tasks wrote and nothing refers to; of folders that are kept whole, nothing."""
    roots = sorted({r for f in survey.folders if f.run and (r := f.run.pipeline_root)})
    for path in sorted(survey.workspace.artifacts.glob("[!.]*/*")):
        if path not in used and path.parent not in whole:
            below = path.relative_to(survey.workspace.artifacts).as_posix()
            copies = tuple(locations.join(root, below) for root in roots)
            why = "no kept run and no cache entry refers to it"
            yield Item(ARTIFACTS, survey.name(path), size(path), why, path, copies)


def _others(survey: Survey) -> Iterator[Item]:
    """Yields environments, checkpoints and shared folders that no run has used for long."""
    if survey.is_busy:
        return
    home, length = survey.workspace.home, survey.retention.artifacts_for
    edge = min(records.before(survey.now, length), survey.now - _GRACE).timestamp()
    for path in _folders(home / "environments"):
        used = path / _COMPLETE
        if (used if used.is_file() else path).stat().st_mtime < edge:
            yield _item(survey, ENVIRONMENT, path, f"no run has used it for {length}")
    for path in _folders(home / "checkpoints"):
        if last_change(path) < edge:
            yield _item(survey, CHECKPOINTS, path, f"no training has gone on from it for {length}")
    for path in _folders(home / "workspaces"):
        yield _item(survey, LEFTOVER, path, "of a run that was killed")


def _folders(parent: Path) -> Iterable[Path]:
    return sorted(path for path in parent.glob("[!.]*") if path.is_dir())


def _record(survey: Survey, folder: RunFolder, why: str) -> Item:
    return _item(survey, RECORD, folder.path, why)


def _item(survey: Survey, kind: str, path: Path, why: str) -> Item:
    return Item(kind, survey.name(path), size(path), why, path)
