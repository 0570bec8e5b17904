"""Pieces that the endpoint's pages still use; see `kfp_ct/pages/templates/macros`."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from kfp_ct.pages.html import Html, badge, muted, table
from kfp_ct.pages.markup import environment
from kfp_ct.report import states


@functools.cache
def template(path: Path) -> jinja2.Template:
    """Reads the frame of a page."""
    return environment(path.parent).get_template(path.name)


def markup(drawn: Html) -> Markup:
    """Hands markup to a template."""
    return Markup(drawn)  # noqa: S704 - Html is escaped where it is made


def pairs(rows: Sequence[Sequence[Any]]) -> Html:
    """A table of names and values without headings."""
    return Html(f'<div class="pairs">{table(["name", "value"], rows)}</div>')


def mark(state: str) -> Html:
    """A state as an inline sign and word."""
    seen = states.look(state)
    if seen.style == "idle":
        return muted(f"{seen.mark} {seen.word}")
    return badge("info" if seen.style == "running" else seen.style, seen.word)  # type: ignore[arg-type]
