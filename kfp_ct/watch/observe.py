"""What a watch sees: the files of a project's sources, and what the monitor component kept."""

import contextlib
import datetime
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import ComponentError, UsageError
from kfp_ct.cloud import cloud_storage
from kfp_ct.local.data_version import files
from kfp_ct.watch.decide import Period, Span

# Metrics of which less is better; every other one is better the higher it is.
_LOSSES = ("log_loss", "rmse", "mse", "mae", "loss")


def spans(sources: Mapping[str, Any], root: Path, markers: Collection[str] = ()) -> tuple[Span, ...]:
    """Returns a span for each file of the sources; one that is written anew is another span.

    Args:
        sources: Table name to a URI or an object with `uri`, as ingest takes them; other kinds of sources have none.
        root: Folder that relative paths start from.
        markers: Names of files that, beside a span's file, say that it is fit to be used; they are no spans themselves.

    Raises:
        UsageError: Cloud Storage does not let its objects be listed.
    """
    found: dict[str, Span] = {}
    for uri in uris(sources):
        for span in _objects(uri, markers) if cloud_storage.is_uri(uri) else _local(uri, root, markers):
            found[span.id] = span
    return tuple(found.values())


def uris(sources: Mapping[str, Any]) -> list[str]:
    """Returns the URIs of sources; what is no file or object has none."""
    found = [source.get("uri", "") if isinstance(source, Mapping) else str(source) for source in sources.values()]
    return [uri for uri in found if uri]


def marked(bucket: str, name: str, markers: Collection[str]) -> frozenset[str]:
    """Returns which markers lie beside an object.

    Raises:
        UsageError: Cloud Storage does not let them be looked for.
    """
    folder = f"{cloud_storage.SCHEME}{bucket}/{name.rpartition('/')[0]}".rstrip("/")
    try:
        return frozenset(each for each in markers if cloud_storage.find(f"{folder}/{each}"))
    except ComponentError as error:
        raise UsageError(str(error)) from error


def periods(history: Path) -> tuple[Period, ...]:
    """Returns what the monitor component said of each period; none if it has not kept anything yet."""
    if not history.is_file():
        return ()
    found = []
    for line in history.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError, KeyError, ValueError, TypeError):
            found.append(period(json.loads(line)))
    return tuple(found)


def period(entry: Mapping[str, Any]) -> Period:
    """Reads what the monitor component said of a period.

    Raises:
        KeyError, TypeError, ValueError: The entry does not say what it must.
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
        moved=tuple(dict.fromkeys([*entry.get("skewed", []), *entry.get("drifted", [])])),
        higher_is_better=metric not in _LOSSES,
    )


def _local(uri: str, root: Path, markers: Collection[str]) -> list[Span]:
    wanted = [each for each in files(uri, root) if not each.name.startswith(".") and each.name not in markers]
    return [_span(each, markers) for each in wanted]


def _span(path: Path, markers: Collection[str]) -> Span:
    status = path.stat()
    arrived = datetime.datetime.fromtimestamp(status.st_mtime, datetime.UTC)
    there = frozenset(each for each in markers if (path.parent / each).is_file())
    return Span(f"{path}:{status.st_size}:{status.st_mtime_ns}", arrived, _rows(path), there)


def _rows(path: Path) -> int | None:
    """Counts the rows of plain text; of anything else it would take reading it."""
    header = {".csv": 1, ".jsonl": 0}.get(path.suffix)
    if header is None:
        return None
    with path.open("rb") as file:
        lines = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    return max(lines - header, 0)


def _objects(uri: str, markers: Collection[str]) -> list[Span]:
    try:
        found = [each for each in cloud_storage.find(uri) if each.name.rpartition("/")[2] not in markers]
    except ComponentError as error:
        raise UsageError(str(error)) from error
    beside = {folder: marked(found[0].bucket, f"{folder}/x", markers) for folder in {_folder(e.name) for e in found}}
    return [object_span(e.uri, e.content, e.generation, beside[_folder(e.name)]) for e in found]


def object_span(uri: str, content: str, generation: int, markers: frozenset[str]) -> Span:
    """Returns the span of an object, the same whether it was listed or a notification told of it."""
    return Span(f"{uri}:{content}", _written(generation), None, markers)


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _written(generation: int) -> datetime.datetime:
    # Cloud Storage numbers an object's generations by the time of writing, in microseconds.
    return datetime.datetime.fromtimestamp(generation / 1e6, datetime.UTC)
