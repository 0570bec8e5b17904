"""Markdown that a task wrote, as markup: HTML in it is shown as text, and links lead to the web only."""

import functools
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup


def render_markdown(text: str) -> Markup:
    """Renders Markdown with tables, without images."""
    return Markup(_reader().render(text))  # noqa: S704 - markdown-it escapes; HTML in the text is disabled


@functools.cache
def _reader() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    # A column's alignment is a class: the pages' policy allows no styles in markup.
    for name in ("th_open", "td_open"):
        made.add_render_rule(name, _aligned)
    return made


def _aligned(renderer: Any, tokens: Sequence[Token], index: int, options: Any, _: Any) -> str:
    token = tokens[index]
    style = str(token.attrs.pop("style", ""))
    if style:
        token.attrSet("class", style.replace("text-align:", "align-"))
    return str(renderer.renderToken(tokens, index, options, {}))
