"""Small pieces of markup that several sections use."""

from collections.abc import Sequence
from typing import Any

from components.html import Html, code, escape, table


def remark(text: str) -> Html:
    """A line in small print below a table or chart: how to read it."""
    return Html(f'<p class="remark">{escape(text)}</p>')


def pairs(rows: Sequence[Sequence[Any]]) -> Html:
    """A table of names and values without headings."""
    return Html(f'<div class="pairs">{table(["name", "value"], rows)}</div>')


def link(href: str, text: str) -> Html:
    """A link to a file near the report."""
    return Html(f'<a href="{escape(href)}">{code(text)}</a>')
