"""Small pieces of markup that several sections use."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

from kfp_ct.pages.html import Html, code, escape, table


@functools.cache
def template(path: Path) -> jinja2.Template:
    """Reads the frame of a page: what is put into it is escaped, and what is missing is an error."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(path.read_text())


def markup(drawn: Html) -> markupsafe.Markup:
    """Hands markup to a template."""
    return markupsafe.Markup(drawn)  # noqa: S704 - Html is escaped where it is made


def remark(text: str) -> Html:
    """A line in small print below a table or chart: how to read it."""
    return Html(f'<p class="remark">{escape(text)}</p>')


def pairs(rows: Sequence[Sequence[Any]]) -> Html:
    """A table of names and values without headings."""
    return Html(f'<div class="pairs">{table(["name", "value"], rows)}</div>')


def link(href: str, text: str) -> Html:
    """A link to a file near the report."""
    return Html(f'<a href="{escape(href)}">{code(text)}</a>')
