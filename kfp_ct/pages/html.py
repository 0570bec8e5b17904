"""Self-contained HTML pages: the one way components and reports draw HTML.

No scripts, no fonts or styles from elsewhere: a page is one file that opens anywhere, light or dark.
Plain strings are escaped wherever they are put in; only `Html` goes in as it is.

    page("Statistics", facts({"rows": 336_776}), section("Features", table(["name", "mean"], [["dep_hour", 13.2]])))
"""

import dataclasses
import html
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from markupsafe import Markup

from kfp_ct.pages.formats import MISSING as MISSING
from kfp_ct.pages.formats import number as number
from kfp_ct.pages.formats import percent as percent
from kfp_ct.pages.markup import render

Kind = Literal["ok", "warn", "bad", "info"]
_SIGN = {"ok": "✓", "warn": "!", "bad": "✕", "info": "i"}
_SIGN_NAME = {"ok": "passed", "warn": "warning", "bad": "problem", "info": "note"}


class Html(str):
    """Markup that is already escaped."""

    __slots__ = ()

    def __html__(self) -> str:
        """Tells templates so."""
        return self


def escape(value: Any) -> Html:
    """Returns a value as markup: `Html` as it is, numbers readable, everything else escaped."""
    if isinstance(value, Html | Markup):
        return Html(value)
    if isinstance(value, str):
        return Html(html.escape(value))
    return Html(html.escape(number(value)))


def join(parts: Sequence[Any], separator: str = "") -> Html:
    """Joins parts into one piece of markup; plain strings among them are escaped."""
    return Html(separator.join(escape(part) for part in parts))


def page(title: str, *sections: Any, subtitle: str = "") -> str:
    """Returns a whole document.

    Args:
        title: Plain text, in the tab and as the heading.
        sections: Results of the other functions of this module; plain strings become paragraphs.
        subtitle: One line below the heading.
    """
    below = f'<p class="subtitle">{escape(subtitle)}</p>' if subtitle else ""
    body = "\n".join(part if isinstance(part, Html | Markup) else paragraph(part) for part in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{render('styles/page.css')}</style>\n</head>\n"
        f"<body>\n<main>\n<header><h1>{escape(title)}</h1>{below}</header>\n{body}\n</main>\n</body>\n</html>\n"
    )


def section(heading: str, *parts: Any) -> Html:
    """A part of a page with a heading of the second level."""
    return Html(f"<section><h2>{escape(heading)}</h2>\n{_flow(parts)}</section>")


def subsection(heading: str, *parts: Any) -> Html:
    """A part of a section with a heading of the third level."""
    return Html(f"<section><h3>{escape(heading)}</h3>\n{_flow(parts)}</section>")


def paragraph(*parts: Any) -> Html:
    """A paragraph of text, inline markup among it."""
    return Html(f"<p>{join(parts)}</p>")


def code(text: str) -> Html:
    """Inline code: names, paths, commands."""
    return Html(f"<code>{escape(text)}</code>")


def muted(text: Any) -> Html:
    """Inline text of less weight."""
    return Html(f'<span class="muted">{escape(text)}</span>')


def badge(kind: Kind, text: str) -> Html:
    """An inline verdict: a sign and a word, so that colour is never the only difference."""
    return Html(f'<span class="badge {kind}"><span aria-hidden="true">{_SIGN[kind]}</span> {escape(text)}</span>')


def details(summary: Any, *parts: Any, opened: bool = False) -> Html:
    """Parts that fold away under a line of text."""
    return Html(f"<details{' open' if opened else ''}><summary>{escape(summary)}</summary>\n{_flow(parts)}</details>")


def columns(*parts: Any) -> Html:
    """Parts next to each other where the page is wide enough, below each other where it is not."""
    return Html(f'<div class="columns">{"".join(f"<div>{_flow([part])}</div>" for part in parts)}</div>')


def note(kind: Kind, text: Any, *parts: Any) -> Html:
    """A verdict or remark in a box of its own.

    Args:
        kind: `ok`, `warn`, `bad` or `info`.
        text: What is said, in one or two sentences.
        parts: More below it: a table, a list of reasons.
    """
    sign = f'<span class="sign" role="img" aria-label="{_SIGN_NAME[kind]}">{_SIGN[kind]}</span>'
    return Html(f'<div class="note {kind}" role="note">{sign}<div><p>{escape(text)}</p>{_flow(parts)}</div></div>')


def bullets(items: Sequence[Any]) -> Html:
    """An unordered list."""
    return Html(f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>")


def facts(values: Mapping[str, Any]) -> Html:
    """A row of key figures, name to value."""
    tiles = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in values.items())
    return Html(f'<dl class="facts">{tiles}</dl>')


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "", merge: int = 0) -> Html:
    """A table whose first column names the row; columns of numbers are set flush right.

    Args:
        headers: One for each column.
        rows: Cells: text (escaped), numbers (formatted), None (a dash) or `Html`.
        caption: Said above the table and to screen readers.
        merge: So many leading cells are drawn once for neighbouring rows that begin with the same cell.

    Raises:
        ValueError: A row has not as many cells as there are headers.
    """
    if any(len(row) != len(headers) for row in rows):
        raise ValueError(f"every row needs {len(headers)} cells, one for each of {list(headers)}")
    sheet = _Sheet(_numeric_columns(len(headers), rows), merge)
    head = "".join(
        f'<th scope="col"{sheet.style(column)}>{escape(header)}</th>' for column, header in enumerate(headers)
    )
    groups = (
        [list(group) for _, group in itertools.groupby(rows, key=lambda row: row[0])] if merge else [[r] for r in rows]
    )
    body = "".join(sheet.group(group) for group in groups)
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    label = html.escape(caption or ", ".join(headers))
    return Html(
        f'<div class="table" role="region" tabindex="0" aria-label="{label}">'
        f"<table>{said}<thead><tr>{head}</tr></thead>{body}</table></div>"
    )


@dataclasses.dataclass(frozen=True)
class _Sheet:
    """How a table's cells are drawn."""

    numeric: set[int]
    merge: int

    def style(self, column: int) -> str:
        return ' class="number"' if column in self.numeric else ""

    def group(self, rows: list[Sequence[Any]]) -> str:
        """Draws rows that share their first `merge` cells."""
        lines = [
            self._row(row, 0, len(rows)) if n == 0 else self._row(row, self.merge, 1) for n, row in enumerate(rows)
        ]
        return f"<tbody>{''.join(f'<tr>{line}</tr>' for line in lines)}</tbody>"

    def _row(self, row: Sequence[Any], start: int, span: int) -> str:
        return "".join(self._cell(column, row[column], span) for column in range(start, len(row)))

    def _cell(self, column: int, value: Any, rows: int) -> str:
        span = f' rowspan="{rows}"' if rows > 1 and column < self.merge else ""
        if column == 0:
            return f'<th scope="{"rowgroup" if span else "row"}"{span}{self.style(column)}>{escape(value)}</th>'
        return f"<td{span}{self.style(column)}>{escape(value)}</td>"


def _numeric_columns(count: int, rows: Sequence[Sequence[Any]]) -> set[int]:
    return {column for column in range(count) if _is_numeric([row[column] for row in rows])}


def _is_numeric(cells: Sequence[Any]) -> bool:
    """Whether all cells are numbers, or texts such as `76 %` that are read like numbers."""
    values = [cell for cell in cells if cell is not None and cell != MISSING]
    return bool(values) and all(
        (isinstance(cell, int | float) and not isinstance(cell, bool))
        or (
            isinstance(cell, str)
            and not isinstance(cell, Html | Markup)
            and cell.lstrip("<>+-− ")[:1].isdigit()
            and len(cell) < 12
        )
        for cell in values
    )


def _flow(parts: Sequence[Any]) -> str:
    return "\n".join(part if isinstance(part, Html | Markup) else paragraph(part) for part in parts)
