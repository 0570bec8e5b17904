"""What a task wrote, shown in place: metrics, curves, pages, tables, texts."""

import contextlib
import csv
import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from kfp_ct.pages import charts
from kfp_ct.pages.html import Html, code, columns, escape, facts, muted, paragraph, table
from kfp_ct.report.parts import pairs

_MOST_ROWS, _MOST_TEXT = 50, 20_000
_TEXTS = (".txt", ".log", ".yaml", ".yml", ".pbtxt", ".sql", ".py", ".csv", ".json", ".md")


def draw(artifact: Mapping[str, Any], path: Path | None, href: str) -> Html:
    """Shows an artifact.

    Args:
        artifact: uri, type and metadata, as the run's record has them.
        path: Where it lies on this machine; None if it does not.
        href: Where its files are served.
    """
    kind, metadata = str(artifact.get("type", "")), artifact.get("metadata") or {}
    if kind == "system.Metrics":
        return _metrics(metadata)
    if kind == "system.ClassificationMetrics":
        return _classification(metadata)
    if path is None:
        return paragraph(muted("It does not lie on this machine."))
    if kind == "system.HTML":
        return Html(f'<iframe src="{escape(href)}/view" sandbox title="{escape(path.name)}"></iframe>')
    if kind == "system.Markdown" and path.is_file():
        return Html(f'<div class="markdown">{markdown(path.read_text(errors="replace")[:_MOST_TEXT])}</div>')
    shown = [_rest(metadata)] if metadata else []
    shown.append(_file(path) if path.is_file() else _folder(path))
    return Html("\n".join(shown))


def _metrics(metadata: Mapping[str, Any]) -> Html:
    numbers = {name: value for name, value in metadata.items() if isinstance(value, int | float)}
    return facts(numbers) if numbers else paragraph(muted("No metrics were written."))


def _classification(metadata: Mapping[str, Any]) -> Html:
    parts: list[Html] = []
    points = metadata.get("confidenceMetrics") or []
    curve = [(float(p.get("falsePositiveRate", 0)), float(p.get("recall", 0))) for p in points]
    curve = [point for point in curve if all(map(math.isfinite, point))]
    if curve:
        frame = dataclasses.replace(charts.UNIT_SQUARE, title="ROC")
        parts.append(
            Html(charts.lines({"ROC": sorted(curve)}, "false positive rate", "true positive rate", frame).__html__())
        )
    matrix = metadata.get("confusionMatrix") or {}
    names = [str(each.get("displayName", n)) for n, each in enumerate(matrix.get("annotationSpecs", []))]
    if names:
        rows = [[name, *row.get("row", [])] for name, row in zip(names, matrix.get("rows", []), strict=False)]
        parts.append(table(["actual ↓, predicted →", *names], rows, "Confusion matrix"))
    return columns(*parts) if parts else paragraph(muted("No curves were written."))


def _rest(metadata: Mapping[str, Any]) -> Html:
    rows = [
        [name, value if isinstance(value, int | float | str) else code(json.dumps(value))]
        for name, value in metadata.items()
    ]
    return pairs(rows)


def _folder(path: Path) -> Html:
    files = sorted(each for each in path.rglob("*") if each.is_file())
    summary = path / "summary.json"
    parts = [_file(summary)] if summary.is_file() else []
    rows = [[each.relative_to(path).as_posix(), _size(each.stat().st_size)] for each in files[:_MOST_ROWS]]
    more = f", the first {_MOST_ROWS} shown" if len(files) > _MOST_ROWS else ""
    parts.append(
        table(["file", "size"], rows, f"{len(files)} files{more}") if rows else paragraph(muted("An empty folder."))
    )
    return Html("\n".join(parts))


def _file(path: Path) -> Html:
    if path.suffix == ".csv":
        return _rows(path)
    head = path.open("rb").read(_MOST_TEXT)
    if path.suffix not in _TEXTS and b"\0" in head:
        return paragraph(code(path.name), f", {_size(path.stat().st_size)}")
    text = head.decode(errors="replace")
    if path.suffix == ".json":
        with contextlib.suppress(ValueError):  # shown as it is
            text = json.dumps(json.loads(path.read_text()), indent=1, ensure_ascii=False)[:_MOST_TEXT]
    return Html(f'<pre class="log" tabindex="0">{escape(text)}</pre>') if text else paragraph(muted("An empty file."))


def _rows(path: Path) -> Html:
    with path.open(newline="", errors="replace") as file:
        lines = [row for row, _ in zip(csv.reader(file), range(_MOST_ROWS + 1), strict=False)]
    if len(lines) < 2:
        return paragraph(muted("A table without rows."))
    width = len(lines[0])
    rows = [[*row[:width], *[""] * (width - len(row))] for row in lines[1:]]
    return table(lines[0], rows, f"{path.name}, the first {len(rows)} rows")


def markdown(text: str) -> Html:
    """Draws Markdown; markup in it is shown as text."""
    return Html(MarkdownIt("commonmark", {"html": False}).enable("table").disable("image").render(text))


def _size(count: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count //= 1024
    return f"{count} GiB"
