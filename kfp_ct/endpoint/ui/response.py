"""Answers with pages: a template, what it shows, and the headers that every page has."""

import functools
import json
from pathlib import Path
from typing import Any

import jinja2
from fastapi.responses import HTMLResponse

from kfp_ct.endpoint.store import faults
from kfp_ct.endpoint.store.faults import Fault
from kfp_ct.endpoint.ui import addresses, version_notes
from kfp_ct.pages import markup

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
# Nothing is loaded from elsewhere, nothing within a page is a script or a style sheet, and no task's output is run.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# A report is one file: its styles are in it, and nothing else is needed.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_ONES = {"1 day": "day", "1 h": "hour", "1 min": "minute", "1 s": "second"}
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Returns a whole page.

    Args:
        template: Name of its template, which extends `frame.html`.
        status: HTTP status.
        values: What it shows. Text is escaped. With `live`, the browser fetches the page again while it is open.
    """
    text = environment().get_template(template).render(values)
    # Names of files, and texts in JSON, may hold what is no character.
    return HTMLResponse(text.encode(errors="replace"), status, HEADERS)


def refusal(fault: Fault) -> HTMLResponse:
    """Returns a page that says why something was not done."""
    title = "Not found" if fault.code == faults.NOT_FOUND else "Not done"
    return page("refusal.html", fault.status, title=title, message=fault.message)


def style_sheet() -> str:
    """Returns the style sheet: that of reports, and the UI's own."""
    report = markup.TEMPLATES / "styles"
    sheets = (report / "page.css", report / "report.css", HERE / "ui.css")
    return "".join(sheet.read_text() for sheet in sheets)


@functools.cache
def environment() -> jinja2.Environment:
    """Returns the environment of the UI's templates: that of all markup, with what is special to these pages."""
    made = markup.environment(TEMPLATES)
    made.globals["url"] = addresses.url
    made.filters |= {"as_json": as_json, "every": every, "span": span, "short": version_notes.short}
    made.tests["web_address"] = addresses.is_web_address
    return made


def as_json(value: Any) -> str:
    """Formats a value exactly, as JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def every(seconds: float) -> str:
    """Formats an interval: `every day`, `every 90 min`."""
    text = span(seconds)
    return f"every {_ONES.get(text, text)}"


def span(seconds: float) -> str:
    """Formats a span that somebody chose, in the largest unit of which it is whole: `1 h`, `90 min`, `45 s`."""
    units = (("day", 86400), ("h", 3600), ("min", 60))
    unit, length = next((each for each in units if seconds >= each[1] and seconds % each[1] == 0), ("s", 1))
    count = seconds / length
    return f"{count:g} {unit}{'s' if unit == 'day' and count != 1 else ''}"
