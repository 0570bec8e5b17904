"""The service's page: live versions, how traffic is split, requests, errors and latency. HTML is made here alone.

Every value goes through `_tag` or `_cells`, which escape it; what is put together from them is `_Html`.
"""

import dataclasses
import html
import time
from urllib.parse import quote

from kfp_ct.serving.loaded_version import AVAILABLE
from kfp_ct.serving.predictor import Predictor
from kfp_ct.serving.recent import Answers
from kfp_ct.serving.routing import CANARY, LIVE, SHADOW, Routing

_STYLE = """
:root { color-scheme: light dark; --line: #d7dae0; --quiet: #667085; --bar: #e4e7ec; --live: #2f6fde; --canary: #d97706;
  --bad: #b42318; --good: #18794e; }
@media (prefers-color-scheme: dark) { :root { --line: #3a3f4a; --quiet: #98a2b3; --bar: #2b303a; --live: #7aa7f7;
  --canary: #f0a94a; --bad: #f97066; --good: #5ec28f; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .25rem; }
p { margin: .25rem 0; }
.quiet { color: var(--quiet); } .bad { color: var(--bad); } .good { color: var(--good); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; table-layout: fixed; width: 100%; min-width: 50rem; margin-top: .5rem; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:nth-child(4) { width: 17%; } .number + td:not(.number), .number + th:not(.number) { padding-left: 1.25rem; }
th { color: var(--quiet); font-weight: 500; } .number { text-align: right; font-variant-numeric: tabular-nums; }
.split { display: flex; height: .6rem; border-radius: .3rem; overflow: hidden; background: var(--bar);
  margin: .5rem 0; }
.live { background: var(--live); } .canary { background: var(--canary); }
"""
_HEADINGS = ("version", "role", "share", "state", "requests", "errors", "p50", "p99", "loaded")
_NUMBERS = ("share", "requests", "errors", "p50", "p99")


class _Html(str):
    """Text that is HTML already."""


@dataclasses.dataclass(frozen=True)
class _Row:
    """One version in one role."""

    version: int
    role: str
    share: str
    state: str
    error: str
    answers: Answers
    loaded: float | None


def render(predictor: Predictor) -> str:
    """Returns the page."""
    versions = predictor.versions
    names = sorted({*versions.serving(), *versions.waiting()})
    ready = predictor.ready()
    waiting = versions.waiting()
    why = f"not ready: no version of {', '.join(waiting)} answers" if waiting else "not ready"
    state = _tag("span", "ready" if ready else why, "good" if ready else "bad")
    counted = f"{len(names)} model{'' if len(names) == 1 else 's'}"
    about = _join(state, f" · {counted} · counts of this process since its start · latency of its last 1,000 answers")
    links = _join(
        _link("/metrics", "metrics"), " · ", _link("/openapi.json", "API"), " · ", _link("/readyz", "readiness")
    )
    head = _join(_tag("h1", "Prediction service"), _tag("p", about), _tag("p", links))
    models = [_model(predictor, name) for name in names] or [_tag("p", "No model is there yet.", "quiet")]
    title = _join(_tag("title", "Prediction service"), _Html('<meta http-equiv="refresh" content="5">'))
    view = _Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">')
    page = _join(_tag("head", _join(view, title, _tag("style", _Html(_STYLE)))), _tag("body", _join(head, *models)))
    return f'<!doctype html>\n<html lang="en">{page}</html>\n'


def _model(predictor: Predictor, name: str) -> _Html:
    routing, live = predictor.versions.routing(name), predictor.versions.serving().get(name)
    rows = _rows(predictor, name)
    split = _split(routing, live)
    table = _tag("table", _join(_tag("tr", _cells("th", dict.fromkeys(_HEADINGS, ""))), *map(_line, rows)))
    failed = [_tag("p", f"v{row.version} cannot be loaded: {row.error}", "bad") for row in rows if row.error]
    return _join(_tag("h2", name), *split, _tag("div", table, "scroll"), *failed, *_cards(predictor, name, rows))


def _cards(predictor: Predictor, name: str, rows: list[_Row]) -> list[_Html]:
    """Leads to the model cards that were published with the versions."""
    numbers = [row.version for row in rows if predictor.versions.card(name, row.version)]
    links = [_link(f"/models/{quote(name)}/{number}/card", f"model card of v{number}") for number in numbers]
    return [_tag("p", _join(*[part for link in links for part in (" · ", link)][1:]))] if links else []


def _split(routing: Routing | None, live: int | None) -> list[_Html]:
    if live is None:
        return [_tag("p", "No version of it answers.", "bad")]
    if routing is None or routing.candidate == live:
        return [_tag("p", f"v{live} answers everything.")]
    if routing.shadow:
        told = f"v{live} answers everything; v{routing.candidate} answers {routing.shadow} % unseen (shadow)."
        return [_tag("p", told)]
    parts = ((100 - routing.percent, "live"), (routing.percent, "canary"))
    bars = [_Html(f'<div class="{kind}" style="width: {int(percent)}%"></div>') for percent, kind in parts]
    told = f"v{live} answers {100 - routing.percent} %, the candidate v{routing.candidate} {routing.percent} %."
    return [_tag("p", told), _tag("div", _join(*bars), "split")]


def _rows(predictor: Predictor, name: str) -> list[_Row]:
    versions = predictor.versions
    routing, live = versions.routing(name), versions.serving().get(name)
    answers, loaded = predictor.recent.of(name), versions.loaded_at()
    known = {int(each["version"]): each for each in versions.status(name, None)}
    rows = []
    for number, status in known.items():
        role, share = _role(number, live, routing)
        counted = [each for (version, _), each in answers.items() if version == number]
        error = status["status"]["error_message"]
        if status["state"] == AVAILABLE or error or any(each.requests for each in counted):
            rows.append(_Row(
                number, role, share, "cannot be loaded" if error else str(status["state"]).lower(), error,
                _sum(counted), loaded.get((name, number)),
            ))  # fmt: skip
    return rows


def _role(number: int, live: int | None, routing: Routing | None) -> tuple[str, str]:
    tried = routing is not None and routing.candidate != live
    if number == live:
        return LIVE, f"{100 - routing.percent} %" if routing and tried else "100 %"
    if routing and number == routing.candidate:
        return (SHADOW, f"{routing.shadow} %") if routing.shadow else (CANARY, f"{routing.percent} %")
    return "", ""


def _sum(counted: list[Answers]) -> Answers:
    total = Answers()
    for each in counted:
        total.requests += each.requests
        total.errors += each.errors
        total.seconds.extend(each.seconds)
    return total


def _line(row: _Row) -> _Html:
    answers = row.answers
    share = f" ({100 * answers.errors / answers.requests:.1f} %)" if answers.errors else ""
    values = (
        f"v{row.version}", row.role, row.share, row.state, f"{answers.requests:,}", f"{answers.errors:,}{share}",
        _milliseconds(answers.milliseconds(0.5)), _milliseconds(answers.milliseconds(0.99)), _age(row.loaded),
    )  # fmt: skip
    return _tag("tr", _cells("td", dict(zip(_HEADINGS, values, strict=True))))


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} ms"


def _age(since: float | None) -> str:
    if since is None:
        return ""
    seconds = int(time.time() - since)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def _cells(kind: str, values: dict[str, str]) -> _Html:
    """Returns cells by their heading; a heading's own cell shows it."""
    return _join(
        *(_tag(kind, value or (heading if kind == "th" else ""), "number" if heading in _NUMBERS else "")
          for heading, value in values.items())
    )  # fmt: skip


def _tag(name: str, content: str, css_class: str = "") -> _Html:
    inner = content if isinstance(content, _Html) else html.escape(content)
    attribute = f' class="{html.escape(css_class)}"' if css_class else ""
    return _Html(f"<{name}{attribute}>{inner}</{name}>")


def _link(address: str, text: str) -> _Html:
    return _Html(f'<a href="{html.escape(address)}">{html.escape(text)}</a>')


def _join(*parts: str) -> _Html:
    return _Html("".join(part if isinstance(part, _Html) else html.escape(part) for part in parts))
