"""The frame of every page, and the small pieces that many have."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi.responses import HTMLResponse

from kfp_ct.endpoint.store import faults, store_runs
from kfp_ct.endpoint.store.faults import Fault
from kfp_ct.pages.html import Html, Kind, badge, code, escape, join, muted, note
from kfp_ct.pages.markup import render
from kfp_ct.report.parts import markup, template

HERE = Path(__file__).parent
PLACES = (
    ("Runs", "/runs"), ("Pipelines", "/pipelines"), ("Schedules", "/schedules"), ("Triggers", "/triggers"),
    ("Experiments", "/experiments"), ("Models", "/models"),
)  # fmt: skip
# Nothing is loaded from elsewhere, and nothing that a task wrote is run.
POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_KINDS = {"SUCCEEDED": "ok", "FAILED": "bad", "RUNNING": "warn", "CANCELING": "warn"}


@dataclasses.dataclass(frozen=True)
class Page:
    """What a page says around its content."""

    title: str
    active: str
    trail: Sequence[tuple[str, str]] = ()
    subtitle: Any = ""
    actions: Sequence[Html] = ()
    live: bool = False  # fetched again while what it shows goes on


def draw(page: Page, *parts: Html, status: int = 200) -> HTMLResponse:
    """Returns a whole page."""
    text = template(HERE / "templates" / "shell.html").render(
        title=page.title,
        active=page.active,
        places=PLACES,
        trail=page.trail,
        subtitle=markup(escape(page.subtitle)) if page.subtitle else "",
        actions=markup(join(list(page.actions))),
        live=page.live,
        body=markup(join(list(parts), "\n")),
    )
    return HTMLResponse(text, status, {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"})


def refused(fault: Fault) -> HTMLResponse:
    """Returns a page that says why something was not done."""
    title = "Not found" if fault.code == faults.NOT_FOUND else "Not done"
    return draw(Page(title, ""), problem(fault.message), status=fault.status)


def style() -> str:
    """Returns the style sheet: that of reports, their drawings', and the UI's own."""
    return "\n".join([*(render(f"styles/{name}.css") for name in ("page", "report")), (HERE / "ui.css").read_text()])


def link(href: str, text: Any) -> Html:
    """A link."""
    return Html(f'<a href="{escape(href)}">{escape(text)}</a>')


def button(href: str, text: str, kind: str = "") -> Html:
    """A link that looks like a button."""
    return Html(f'<a class="button {kind}" href="{escape(href)}">{escape(text)}</a>')


def act(href: str, text: str, kind: str = "", confirm: str = "") -> Html:
    """A button that changes something."""
    asked = f' data-confirm="{escape(confirm)}"' if confirm else ""
    return Html(
        f'<form method="post" action="{escape(href)}"><button class="{kind}"{asked}>{escape(text)}</button></form>'
    )


def empty(*lines: Any) -> Html:
    """What stands where nothing is yet."""
    return Html(f'<div class="empty">{"".join(f"<p>{escape(line)}</p>" for line in lines)}</div>')


def problem(text: str, kind: Kind = "bad") -> Html:
    """What went wrong: its first line as a sentence, the others as they are."""
    first, *rest = text.splitlines()
    return note(kind, first, *([Html(f"<pre>{escape(chr(10).join(rest))}</pre>")] if rest else []))


def shown(value: Any) -> Any:
    """Returns a value as a cell shows it: lists and maps as JSON."""
    return code(json.dumps(value, ensure_ascii=False)) if isinstance(value, dict | list) else value


def state(row: Mapping[str, Any]) -> Html:
    """A run's state as a sign and a word."""
    name = row["state"]
    if name == "FAILED" and row["error"] == store_runs.TERMINATED:
        return badge("info", "terminated")
    if name not in _KINDS:
        return muted("· waiting")
    return badge(_KINDS[name], name.lower())  # type: ignore[arg-type]


def when(moment: str | None) -> Html:
    """A time to the second; the machine's own form is in the attribute."""
    if not moment:
        return Html("–")
    shown = moment[:19].replace("T", " ")
    return Html(f'<time datetime="{escape(moment)}">{shown}</time>')


def pager(base: str, query: Mapping[str, str], next_token: str, total: int, shown: int) -> Html:
    """Says how many there are, and leads to the next page."""
    parts = [escape(f"{shown:,} of {total:,}")]
    if query.get("page_token"):
        rest = {name: value for name, value in query.items() if name != "page_token" and value}
        parts.append(link(f"{base}?{urlencode(rest)}", "first page"))
    if next_token:
        parts.append(
            link(
                f"{base}?{urlencode({**{n: v for n, v in query.items() if v}, 'page_token': next_token})}", "next page"
            )
        )
    return Html(f'<div class="pager">{join(parts)}</div>')
