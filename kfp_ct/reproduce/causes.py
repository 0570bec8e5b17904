"""Why a reproduction may differ: data, files, environment and champion, each by what was recorded of both runs."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kfp_ct.data import source_version
from kfp_ct.data.tables import spans
from kfp_ct.reproduce.recipe import Recipe
from kfp_ct.runs import task_inputs
from kfp_ct.runs.record import Run
from kfp_ct.storage import locations

DATA, SOURCES, ENVIRONMENT, CHAMPION, CHANCE = "data", "sources", "environment", "champion", "nondeterminism"
_LOCKED = "environment"  # what task versions call it


@dataclasses.dataclass(frozen=True)
class Cause:
    """Something that makes a difference: of which kind, and what it is."""

    kind: str
    text: str


def of_data(recipe: Recipe, root: Path, now: Run | None = None) -> Iterator[Cause]:
    """Says which sources are gone, and whether the others hold what they did."""
    sources = recipe.run.parameters.get("sources")
    found: Mapping[str, Any] = sources if isinstance(sources, Mapping) else {}
    gone = [uri for each in found.values() if (uri := _uri(each)) and not _exists(uri, root)]
    yield from (Cause(DATA, f"{uri} is gone") for uri in gone)
    before = str(recipe.run.parameters.get("data_version", ""))
    if not found or gone or now is None:
        return
    if not before:
        yield Cause(DATA, "the version of its data was never recorded: changes of it cannot be told")
    elif now.parameters.get("data_version") != before:
        yield Cause(DATA, f"the sources hold other data: {before} then, {now.parameters.get('data_version')} now")


def of_tasks(recipe: Recipe, now: Run, home: Path) -> Iterator[Cause]:
    """Says which files, modules and packages are not those that the tasks were made of."""
    told: dict[Cause, None] = {}
    unknown = []
    for task in recipe.run.tasks:
        before = task_inputs.read(recipe.folder, task.name)
        after = task_inputs.read(home / "runs" / now.id, task.name)
        if before is None or not before.version:
            unknown.append(task.name)
        elif after is not None:
            told |= dict.fromkeys(_changed(before.version, after.version))
    yield from told
    if unknown and len(unknown) == len(recipe.run.tasks):
        yield Cause(SOURCES, "what the tasks were made of was never recorded: changes of it cannot be told")


def _changed(before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]) -> Iterator[Cause]:
    for part in dict.fromkeys([*before, *after]):
        kind = ENVIRONMENT if part == _LOCKED else SOURCES
        old, new = before.get(part, {}), after.get(part, {})
        for name in dict.fromkeys([*old, *new]):
            if old.get(name) != new.get(name):
                yield Cause(kind, f"{name}: {_shown(old.get(name))} then, {_shown(new.get(name))} now")


def _shown(value: str | None) -> str:
    return "not there" if value is None else str(value)[:16]


def _uri(source: Any) -> str:
    return str(source.get("uri", "")) if isinstance(source, Mapping) else str(source)


def _exists(uri: str, root: Path) -> bool:
    if locations.is_remote(uri) or spans.has_fields(uri):
        return True  # their versions say it
    return (root / uri).exists() or bool(source_version.files(uri, root))
