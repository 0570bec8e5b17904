"""Sphinx' configuration of the site of docs/: `make docs`."""

import re
from typing import Any

project = "kfp-ct"
html_title = "kfp-ct"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_show_copyright = False
html_show_sphinx = False
# The oldest commit of a page is not of interest, and pages must not differ by when they were built.
html_copy_source = False
myst_heading_anchors = 4
# Shell lines, settings and HTTP stand side by side in the same kind of block.
highlight_language = "text"

_OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+)([^)\s#]+)(?:#[^)\s]*)?\)")


def _name_files(_app: Any, page: str, source: list[str]) -> None:
    """Turns links that leave docs/ into the names of the files: they are in the repository, not on the site."""

    def named(link: re.Match[str]) -> str:
        if link[2].count("../") <= page.count("/"):
            return link[0]
        text = link[1].strip("`")
        return f"`{link[3]}`" if text in link[3] else f"{link[1]} (`{link[3]}`)"

    source[0] = _OUTSIDE.sub(named, source[0])


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _name_files)
