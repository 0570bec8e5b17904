"""Markup from Jinja2 templates: the only place where HTML and SVG are made.

Every template is autoescaped, a name it does not know is an error, and None is shown as a dash. Finished markup has one
type, `markupsafe.Markup`; everything else is text, which a template escapes wherever it is put.

    render("components/statistics/page.html", account=account)

`macros/` holds what pages are put together from (`{% from "macros/blocks.html" import note, section %}`),
`kfp_ct.pages.formats` the filters. Another package's templates, in a folder of its own, import the same macros:

    render("runs.html", Path(__file__).parent / "templates", runs=runs)
"""

import functools
import os
import sys
from pathlib import Path
from typing import Any, Literal

import jinja2
from markupsafe import Markup

from kfp_ct.base import redaction
from kfp_ct.pages import formats

Kind = Literal["ok", "warn", "bad", "info"]  # of a note or a badge
TEMPLATES = Path(__file__).parent / "templates"
_FILTERS = (
    formats.number, formats.percent, formats.metric, formats.change, formats.duration, formats.moment, formats.minute,
    formats.day, formats.plural, formats.version, formats.level, formats.px,
)  # fmt: skip


def render(template: str, folder: Path = TEMPLATES, /, **values: Any) -> Markup:
    """Renders a template.

    Args:
        template: Its path below the folder.
        folder: Where the templates are; those of `kfp_ct.pages` are found from every folder.
        values: What the template shows. Text is escaped.

    Raises:
        jinja2.TemplateError: There is no such template, or it uses a name that is not among the values.
    """
    return _finished(environment(folder).get_template(template).render(values))


@functools.cache
def environment(folder: Path = TEMPLATES) -> jinja2.Environment:
    """Returns the environment that renders a folder's templates; made once."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
        bytecode_cache=_bytecode_cache(folder.parent / "__pycache__"),
    )
    made.filters |= {each.__name__: each for each in _FILTERS}
    return made


def _shown(value: Any) -> Any:
    if value is None:
        return formats.MISSING
    return redaction.redact(value) if type(value) is str else value  # finished markup was looked at when it was made


def _bytecode_cache(folder: Path) -> jinja2.BytecodeCache | None:
    """Keeps compiled templates as Python keeps compiled modules, in their package, if it may write there."""
    if sys.dont_write_bytecode:
        return None
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return None
    return jinja2.FileSystemBytecodeCache(str(folder)) if os.access(folder, os.W_OK) else None


def _finished(rendered: str) -> Markup:
    return Markup(rendered)  # noqa: S704 - the templates escaped what was put into them
