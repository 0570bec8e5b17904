"""What a task wrote, prepared for showing in place: metrics, curves, pages, tables, texts.

A view is named for the macro of `artifact.html` that shows it.
"""

import contextlib
import csv
import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from kfp_ct.endpoint.ui.markdown import render_markdown
from kfp_ct.pages import charts

_MOST_ROWS, _MOST_TEXT = 50, 20_000
_TEXTS = (".txt", ".log", ".yaml", ".yml", ".pbtxt", ".sql", ".py", ".csv", ".json", ".md")


@dataclasses.dataclass(frozen=True)
class View:
    """A way of showing (the name of a macro), and what it shows."""

    kind: str
    shown: Any = None


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A table of texts: its caption, its headers and its rows."""

    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Any]]


def views(artifact: Mapping[str, Any], path: Path | None) -> list[View]:
    """Returns how to show an artifact.

    Args:
        artifact: uri, type and metadata, as the run's record has them.
        path: Where it lies on this machine; None if it does not.
    """
    kind, metadata = str(artifact.get("type", "")), artifact.get("metadata") or {}
    if kind == "system.Metrics":
        return [_metrics(metadata)]
    if kind == "system.ClassificationMetrics":
        return _classification(metadata)
    if path is None:
        return [View("remark", "This artifact is not on this machine.")]
    if kind == "system.HTML":
        return [View("sandboxed", path.name)]
    if kind == "system.Markdown" and path.is_file():
        return [View("markdown", render_markdown(path.read_text(errors="replace")[:_MOST_TEXT]))]
    about = [View("metadata", metadata)] if metadata else []
    return [*about, *([_file(path)] if path.is_file() else _folder(path))]


def _metrics(metadata: Mapping[str, Any]) -> View:
    numbers = {name: value for name, value in metadata.items() if isinstance(value, int | float)}
    return View("metrics", numbers) if numbers else View("remark", "No metrics were written.")


def _classification(metadata: Mapping[str, Any]) -> list[View]:
    found = []
    points = metadata.get("confidenceMetrics") or []
    curve = [(float(p.get("falsePositiveRate", 0)), float(p.get("recall", 0))) for p in points]
    curve = [point for point in curve if all(map(math.isfinite, point))]
    if curve:
        frame = dataclasses.replace(charts.UNIT_SQUARE, title="ROC")
        drawn = charts.lines({"ROC": sorted(curve)}, "false positive rate", "true positive rate", frame)
        found.append(View("chart", drawn))
    matrix = metadata.get("confusionMatrix") or {}
    names = [str(each.get("displayName", n)) for n, each in enumerate(matrix.get("annotationSpecs", []))]
    if names:
        rows = [[name, *row.get("row", [])] for name, row in zip(names, matrix.get("rows", []), strict=False)]
        found.append(View("sheet", Sheet("Confusion matrix", ["actual ↓, predicted →", *names], rows)))
    return found or [View("remark", "No curves were written.")]


def _folder(path: Path) -> list[View]:
    files = sorted(each for each in path.rglob("*") if each.is_file())
    if not files:
        return [View("remark", "An empty folder.")]
    summary = path / "summary.json"
    rows = [[each.relative_to(path).as_posix(), _size(each.stat().st_size)] for each in files[:_MOST_ROWS]]
    more = f", the first {_MOST_ROWS} shown" if len(files) > _MOST_ROWS else ""
    listed = View("sheet", Sheet(f"{len(files)} file{'' if len(files) == 1 else 's'}{more}", ["file", "size"], rows))
    return [*([_file(summary)] if summary.is_file() else []), listed]


def _file(path: Path) -> View:
    if path.suffix == ".csv":
        return _rows(path)
    with path.open("rb") as file:
        head = file.read(_MOST_TEXT)
    if path.suffix not in _TEXTS and b"\0" in head:
        return View("binary", (path.name, _size(path.stat().st_size)))
    text = head.decode(errors="replace")
    if path.suffix == ".json":
        with contextlib.suppress(ValueError):  # shown as it is
            text = json.dumps(json.loads(path.read_text()), indent=1, ensure_ascii=False)[:_MOST_TEXT]
    return View("text", text) if text else View("remark", "An empty file.")


def _rows(path: Path) -> View:
    with path.open(newline="", errors="replace") as file:
        lines = _read_csv(file)
    if len(lines) < 2:
        return View("remark", "A table without rows.")
    width = len(lines[0])
    rows = [[*row[:width], *[""] * (width - len(row))] for row in lines[1:]]
    return View("sheet", Sheet(f"{path.name}, the first {len(rows)} rows", lines[0], rows))


def _read_csv(file: Iterable[str]) -> list[list[str]]:
    """Reads the first rows; what is no CSV after all ends them."""
    lines: list[list[str]] = []
    with contextlib.suppress(csv.Error):
        lines.extend(islice(csv.reader(file), _MOST_ROWS + 1))
    return lines


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
