"""Observes what triggers look at: the files of a project's sources, and the history of the monitor component."""

import contextlib
import datetime
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import ComponentError, UsageError
from kfp_ct.data.source_version import files, objects
from kfp_ct.storage import locations, search, storage
from kfp_ct.storage.objects import StoredObject
from kfp_ct.watch.observations import Period, Span

# Metrics of which less is better; every other one is better the higher it is.
_LOSSES = ("log_loss", "hamming_loss", "rmse", "mse", "mae", "loss")


def spans(sources: Mapping[str, Any], root: Path, markers: Collection[str] = ()) -> tuple[Span, ...]:
    """Returns one span per file of the sources; a file that is written again is another span.

    Of a source by spans, as TFX's, only the files of those that ingest would read count: a new span is new data, a
    change of an old one is none.

    Args:
        sources: Table name to a URI or an object with `uri`, as ingest takes them; other kinds of sources have none.
        root: Folder that relative paths start from.
        markers: Names of files that say that the files beside them are complete; they are not spans themselves.

    Raises:
        UsageError: The objects cannot be listed.
    """
    found: dict[str, Span] = {}
    for uri, wanted in _wanted(sources).items():
        remote = locations.is_remote(uri)
        for span in _objects(uri, wanted, markers) if remote else _local(files(uri, root, wanted), markers):
            found[span.id] = span
    return tuple(found.values())


def uris(sources: Mapping[str, Any]) -> list[str]:
    """Returns the URIs of the sources that are files or objects."""
    return list(_wanted(sources))


def listed(sources: Mapping[str, Any]) -> bool:
    """Whether sources are objects, which are known from their listing; of others only messages tell."""
    return any(locations.is_remote(uri) for uri in uris(sources))


def _wanted(sources: Mapping[str, Any]) -> dict[str, str]:
    """Returns the URIs of the sources that are files or objects, each with the spans that are wanted of it."""
    given = [source if isinstance(source, Mapping) else {"uri": str(source)} for source in sources.values()]
    return {str(source["uri"]): str(source.get("spans", "")) for source in given if source.get("uri")}


def markers_beside(uri: str, markers: Collection[str]) -> frozenset[str]:
    """Returns the markers that lie beside an object, by its URI.

    Raises:
        UsageError: The objects cannot be listed.
    """
    folder = _folder(uri)
    try:
        return frozenset(each for each in markers if search.find(f"{folder}/{each}"))
    except ComponentError as error:
        raise UsageError(str(error)) from error


def periods(history: str) -> tuple[Period, ...]:
    """Returns every period of the monitor component's history; empty if there is no history yet.

    Raises:
        UsageError: Its bucket cannot be read.
    """
    try:
        content = storage.read(history)
    except ComponentError as error:
        raise UsageError(str(error)) from error
    found = []
    for line in content.data.decode().splitlines() if content else ():
        with contextlib.suppress(json.JSONDecodeError, KeyError, ValueError, TypeError):
            found.append(period(json.loads(line)))
    return tuple(found)


def period(entry: Mapping[str, Any]) -> Period:
    """Reads one period of the monitor component's history.

    Raises:
        KeyError, TypeError, ValueError: A field is missing or malformed.
    """
    end = datetime.datetime.fromisoformat(str(entry["end"]).replace("Z", "+00:00"))
    metric = str(entry.get("metric") or "")
    return Period(
        id=f"{entry['model']}/{entry['version']}/{entry.get('start', '')}/{entry['end']}",
        end=end if end.tzinfo else end.replace(tzinfo=datetime.UTC),
        metric=metric,
        value=entry.get("value"),
        low=entry.get("low"),
        high=entry.get("high"),
        baseline=entry.get("baseline", entry.get("promised")),  # as older histories call it
        drifted=tuple(dict.fromkeys([*entry.get("skewed", []), *entry.get("drifted", [])])),
        higher_is_better=metric not in _LOSSES,
    )


def _local(found: Sequence[Path], markers: Collection[str]) -> list[Span]:
    wanted = [each for each in found if not each.name.startswith(".") and each.name not in markers]
    return [_span(each, markers) for each in wanted]


def _span(path: Path, markers: Collection[str]) -> Span:
    status = path.stat()
    arrived = datetime.datetime.fromtimestamp(status.st_mtime, datetime.UTC)
    there = frozenset(each for each in markers if (path.parent / each).is_file())
    return Span(f"{path}:{status.st_size}:{status.st_mtime_ns}", arrived, _rows(path), there)


def _rows(path: Path) -> int | None:
    """Counts the rows of plain text; other formats would have to be read."""
    header = {".csv": 1, ".jsonl": 0}.get(path.suffix)
    if header is None:
        return None
    with path.open("rb") as file:
        lines = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    return max(lines - header, 0)


def _objects(uri: str, wanted: str, markers: Collection[str]) -> list[Span]:
    try:
        found = [each for each in objects(uri, wanted) if each.file_name not in markers]
    except ComponentError as error:
        raise UsageError(str(error)) from error
    beside = {folder: markers_beside(f"{folder}/x", markers) for folder in {_folder(each.uri) for each in found}}
    return [Span(f"{each.uri}:{each.content}", _written(each), None, beside[_folder(each.uri)]) for each in found]


def object_span(uri: str, content: str, generation: int, markers: frozenset[str]) -> Span:
    """Returns the span of an object of Cloud Storage as a notification tells it, the same as from a listing."""
    return Span(f"{uri}:{content}", _time_of(generation), None, markers)


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _written(item: StoredObject) -> datetime.datetime:
    return _time_of(int(item.version)) if item.uri.lower().startswith(locations.GS) else item.modified


def _time_of(generation: int) -> datetime.datetime:
    # Cloud Storage numbers an object's generations by the time of writing, in microseconds.
    return datetime.datetime.fromtimestamp(generation / 1e6, datetime.UTC)
