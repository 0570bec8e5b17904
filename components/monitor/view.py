"""A period's monitoring as a page: the decision first, then what it rests on, then how it developed."""

import datetime
from collections.abc import Sequence
from typing import Any

from kfp_ct.components.monitor import decision
from kfp_ct.pages import charts, html, sparklines
from kfp_ct.pages.html import Html
from kfp_ct.pages.svg import px, svg

_HEADLINES: dict[str, tuple[html.Kind, str]] = {
    decision.OK: ("ok", "No reason to retrain."),
    decision.RETRAIN: ("warn", "Retrain."),
    decision.ATTENTION: ("warn", "No reason to retrain, but somebody should look."),
    decision.NO_TRAFFIC: ("bad", "Nothing examined: this says nothing about the model's health."),
    decision.TOO_FEW_ROWS: ("info", "Too little traffic to judge by."),
}
_BAR = (220, 14)
# Charts over the periods: what is drawn under which name, by its key in the history's lines.
_SERIES = {
    "Features beyond their limit": {"against training": "skewed", "against the period before": "drifted"},
    "Latency, ms": {"p50": "p50_ms", "p99": "p99_ms"},
}
_KINDS = {
    "skew": ("Against the training data", "A distance above both its threshold and what sampling alone explains."),
    "drift": ("Against the period before", "The same measures between two periods of served rows."),
    "predictions": ("Predictions against the period before", "What the model answers, not what it is asked."),
}


def draw(account: dict[str, Any], past: Sequence[dict[str, Any]]) -> str:
    """Draws the page.

    Args:
        account: The content of summary.json.
        past: The history's lines of this model, in order of time.
    """
    parts = [verdict(account), html.facts(figures(account))]
    parts += [html.section(heading, *drawn) for heading, drawn in sections(account).items()]
    if developed := development(past):
        parts.append(html.section("Over time", *developed))
    return html.page(f"Monitoring {account['model']} v{account['version']}", *parts, subtitle=window(account))


def window(account: dict[str, Any]) -> str:
    """The period, in words."""
    return " to ".join(_minute(account["window"][end]) for end in ("start", "end")) + " UTC"


def sections(account: dict[str, Any]) -> dict[str, list[Html]]:
    """What the decision rests on, by heading."""
    compared = {_KINDS[kind][0]: distances(account, kind) for kind in _KINDS if account[kind]}
    return {**compared, "Quality": quality(account), "Traffic": traffic(account)}


def verdict(account: dict[str, Any]) -> Html:
    """The decision with its reasons, and what else somebody should know."""
    kind, headline = _HEADLINES[account["state"]]
    said = [*account["reasons"], *account["alarms"]]
    reasons = [html.join([html.badge("warn" if n < len(account["reasons"]) else "info", each["kind"]), " ",
                          each["text"]]) for n, each in enumerate(said)]  # fmt: skip
    return html.note(kind, headline, *([html.bullets(reasons)] if reasons else []))


def figures(account: dict[str, Any]) -> dict[str, Any]:
    """The key figures."""
    measured, stale, served = account["quality"], account["staleness"], account["traffic"]
    found = {
        "rows served": served["rows"],
        "features moved": len({item["feature"] for item in account["skew"] if item["exceeded"]})
        if account["skew"]
        else None,
        measured["metric"]: measured.get("value"),
        "baseline": measured["baseline"],
        "labelled": html.percent(account["labels"]["coverage"]),
        "p99 latency, ms": served["p99_ms"],
        "age of data, days": None if stale["age_days"] is None else round(stale["age_days"]),
    }
    return {name: value for name, value in found.items() if value is not None}


def distances(account: dict[str, Any], kind: str) -> list[Html]:
    """Every feature's distance against its limit, the furthest first."""
    rows = []
    for item in account[kind]:
        state = html.badge("warn", "moved") if item["exceeded"] else html.badge("ok", "within")
        measure = item["measure"].replace("_", " ")
        said = [item["value"], item["threshold"], item["allowance"]]
        rows.append([item["feature"], measure, _bar(item), *(f"{value:.3f}" for value in said), state])
    headers = ["feature", "measure", "distance and limit", "distance", "threshold", "sampling", ""]
    moved = [row for row, item in zip(rows, account[kind], strict=True) if item["exceeded"]]
    rest = [row for row, item in zip(rows, account[kind], strict=True) if not item["exceeded"]]
    # Every feature has two measures; those that say something stand open.
    parts = [html.paragraph(_KINDS[kind][1])]
    parts += [html.table(headers, moved)] if moved else []
    return [*parts, html.details(f"{len(rest)} within their limits", html.table(headers, rest))] if rest else parts


def quality(account: dict[str, Any]) -> list[Html]:
    """The live metric with its interval beside the baseline metric."""
    measured, known = account["quality"], account["labels"]
    labelled = f"{measured['labelled']:,} of {account['traffic']['examined']:,} rows have a label."
    if not known["given"]:
        return [html.note("info", "No labels are given: quality is not measured.")]
    if measured["unjudged"]:
        return [html.note("info", f"Not judged: {measured['unjudged']}.")]
    row = [measured["metric"], measured["value"], measured["low"], measured["high"], measured["baseline"],
           measured.get("loss"), measured.get("loss_low"), account["rules"]["max_loss"]]  # fmt: skip
    headers = ["metric", "live", "low", "high", "baseline", "loss", "loss at least", "allowed loss"]
    return [html.paragraph(labelled), html.table(headers, [row])]


def traffic(account: dict[str, Any]) -> list[Html]:
    """Requests by version, and how long they took."""
    headers = ["version", "rows", "requests", "sampled", "dropped", "lost", "errors"]
    rows = [
        [f"v{version}", *(counted[name] for name in headers[1:])] for version, counted in account["versions"].items()
    ]
    parts = [html.table(headers, rows)] if rows else [html.note("info", "No version has a log.")]
    if account["traffic"]["latencies"]:
        buckets = [sparklines.Bucket(**bucket) for bucket in account["traffic"]["latencies"]]
        chart = sparklines.histogram({"latency": buckets}, "latency in milliseconds", size=(420, 60))
        parts.append(html.subsection("Latency, ms, up to the 99th percentile", chart))
    return parts


def development(past: Sequence[dict[str, Any]]) -> list[Html]:
    """The metric, the moved features and the latency of every period so far."""
    if len(past) < 2:
        return []
    numbered = list(enumerate(past, start=1))
    drawn = [_lines(title, numbered, series) for title, series in _SERIES.items()]
    if any(line.get("value") is not None for line in past):
        drawn.insert(0, _lines(str(past[-1]["metric"]), numbered, {"live": "value", "baseline": "baseline"}))
    headers = ["period", "version", "from", "to", "rows", "metric", "state", "reasons"]
    return [html.columns(*drawn), html.table(headers, [_period(n, line) for n, line in numbered])]


def _lines(title: str, numbered: Sequence[tuple[int, dict[str, Any]]], series: dict[str, str]) -> Html:
    points = {
        name: [(n, _amount(line[key])) for n, line in numbered if line.get(key) is not None]
        for name, key in series.items()
    }
    frame = charts.Frame(title, (1, len(numbered)), markers=True, width=470, height=250)
    return charts.lines(points, "period", title, frame)


def _amount(value: Any) -> float:
    return len(value) if isinstance(value, list) else value


def _period(number: int, line: dict[str, Any]) -> list[Any]:
    ends = [_minute(line[end]) for end in ("start", "end")]
    reasons = ", ".join(line["reasons"])
    return [str(number), f"v{line['version']}", *ends, line["rows"], line.get("value"), line["state"], reasons]


def _bar(item: dict[str, Any]) -> Html:
    """A distance as a bar, its limit as a line across; the scale ends at 1, where distributions share nothing."""
    width, height = _BAR
    value, limit = (min(item[name], 1.0) for name in ("value", "limit"))
    style = 2 if item["exceeded"] else 1
    drawn = (
        f'<rect class="fill s{style}" x="0" y="3" width="{px(max(value * width, 0.6))}" height="{height - 6}"/>'
        f'<path class="stroke s0" d="M{px(limit * width)} 0V{height}"/><path class="axis" d="M0 {height}H{width}"/>'
    )
    return svg(drawn, _BAR, f"{item['feature']}: {value:.3f}, at most {limit:.3f}")


def _minute(text: str) -> str:
    return datetime.datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M")
