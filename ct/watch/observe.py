"""What a watch sees: the files of a project's sources, and what the monitor component kept."""

import contextlib
import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components import gcs
from components.errors import ComponentError
from ct.errors import UsageError
from ct.sources import files
from ct.watch.decide import Period, Span

# Metrics of which less is better; every other one is better the higher it is.
_LOSSES = ("log_loss", "rmse", "mse", "mae", "loss")


def spans(sources: Mapping[str, Any], root: Path) -> tuple[Span, ...]:
    """Returns a span for each file of the sources; one that is written anew is another span.

    Args:
        sources: Table name to a URI or an object with `uri`, as ingest takes them; other kinds of sources have none.
        root: Folder that relative paths start from.

    Raises:
        UsageError: Cloud Storage does not let its objects be listed.
    """
    found: dict[str, Span] = {}
    for source in sources.values():
        uri = source.get("uri", "") if isinstance(source, Mapping) else str(source)
        for span in _objects(uri) if gcs.is_uri(uri) else _local(uri, root):
            found[span.id] = span
    return tuple(found.values())


def periods(history: Path) -> tuple[Period, ...]:
    """Returns what the monitor component said of each period; none if it has not kept anything yet."""
    if not history.is_file():
        return ()
    found = []
    for line in history.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError, KeyError, ValueError, TypeError):
            found.append(_period(json.loads(line)))
    return tuple(found)


def _period(entry: Mapping[str, Any]) -> Period:
    end = datetime.datetime.fromisoformat(str(entry["end"]).replace("Z", "+00:00"))
    metric = str(entry.get("metric") or "")
    return Period(
        id=f"{entry['model']}/{entry['version']}/{entry.get('start', '')}/{entry['end']}",
        end=end if end.tzinfo else end.replace(tzinfo=datetime.UTC),
        metric=metric,
        value=entry.get("value"),
        low=entry.get("low"),
        high=entry.get("high"),
        promised=entry.get("promised"),
        moved=tuple(dict.fromkeys([*entry.get("skewed", []), *entry.get("drifted", [])])),
        higher_is_better=metric not in _LOSSES,
    )


def _local(uri: str, root: Path) -> list[Span]:
    return [_span(each) for each in files(uri, root) if not each.name.startswith(".")]


def _span(path: Path) -> Span:
    status = path.stat()
    arrived = datetime.datetime.fromtimestamp(status.st_mtime, datetime.UTC)
    return Span(f"{path}:{status.st_size}:{status.st_mtime_ns}", arrived, _rows(path))


def _rows(path: Path) -> int | None:
    """Counts the rows of plain text; of anything else it would take reading it."""
    header = {".csv": 1, ".jsonl": 0}.get(path.suffix)
    if header is None:
        return None
    with path.open("rb") as file:
        lines = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    return max(lines - header, 0)


def _objects(uri: str) -> list[Span]:
    try:
        return [Span(f"{each.uri}:{each.content}", _written(each.generation)) for each in gcs.find(uri)]
    except ComponentError as error:
        raise UsageError(str(error)) from error


def _written(generation: int) -> datetime.datetime:
    # Cloud Storage numbers an object's generations by the time of writing, in microseconds.
    return datetime.datetime.fromtimestamp(generation / 1e6, datetime.UTC)
