"""A period's monitoring as a page: the decision first, then what it rests on, then how it developed."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from kfp_ct.components.monitor import decision
from kfp_ct.pages.charts import Frame, LineChart, lines
from kfp_ct.pages.formats import minute, percent
from kfp_ct.pages.markup import Kind, render
from kfp_ct.pages.sparklines import Bucket, histogram

_HEADLINES: dict[str, tuple[Kind, str]] = {
    decision.OK: ("ok", "No reason to retrain."),
    decision.RETRAIN: ("warn", "Retrain."),
    decision.ATTENTION: ("warn", "No reason to retrain, but somebody should look."),
    decision.NO_TRAFFIC: ("bad", "Nothing examined: this says nothing about the model's health."),
    decision.TOO_FEW_ROWS: ("info", "Too little traffic to judge by."),
}
_BAR_WIDTH = 220  # pixels, of a distance of 1, where distributions share nothing
# Charts over the periods: what is drawn under which name, by its key in the history's lines.
_SERIES = {
    "Features beyond their limit": {"against training": "skewed", "against the period before": "drifted"},
    "Latency, ms": {"p50": "p50_ms", "p99": "p99_ms"},
}
_COMPARISONS = {
    "skew": ("Against the training data", "A distance above both its threshold and what sampling alone explains."),
    "drift": ("Against the period before", "The same measures between two periods of served rows."),
    "predictions": ("Predictions against the period before", "What the model answers, not what it is asked."),
}
Report = dict[str, Any]  # the content of summary.json


@dataclasses.dataclass(frozen=True)
class Reason:
    """Why the decision is what it is, or what else somebody should know."""

    style: Kind
    kind: str
    text: str


@dataclasses.dataclass(frozen=True)
class Distance:
    """A feature's distance from what it is compared with; bar and limit in pixels."""

    feature: str
    measure: str
    value: float
    limit: float
    threshold: float
    allowance: float
    exceeded: bool
    bar_width: float
    limit_at: float


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What is compared: the distances beyond their limits, and those within."""

    heading: str
    explanation: str
    beyond: Sequence[Distance]
    within: Sequence[Distance]


def draw(report: Report, past: Sequence[dict[str, Any]]) -> Markup:
    """Draws the page.

    Args:
        report: The content of summary.json.
        past: The history's lines of this model, in order of time.
    """
    return render("components/monitor/page.html", **describe(report), development=development(past), past=past)


def describe(report: Report) -> dict[str, Any]:
    """Returns what `components/monitor/parts.html` shows: the decision with its reasons, and what it rests on."""
    kind, headline = _HEADLINES[report["state"]]
    return {
        "model": f"{report['model']} v{report['version']}",
        "window": " to ".join(minute(report["window"][end]) for end in ("start", "end")) + " UTC",
        "kind": kind,
        "headline": headline,
        "reasons": [*_reasons("warn", report["reasons"]), *_reasons("info", report["alarms"])],
        "figures": _figures(report),
        "comparisons": [_comparison(report, name) for name in _COMPARISONS if report[name]],
        "quality": _quality(report),
        "traffic": _traffic(report),
    }


def development(past: Sequence[dict[str, Any]]) -> list[LineChart]:
    """Returns the metric, the moved features and the latency of every period so far; nothing of a single one."""
    if len(past) < 2:
        return []
    series = dict(_SERIES)
    if any(line.get("value") is not None for line in past):
        series = {str(past[-1]["metric"]): {"live": "value", "baseline": "baseline"}, **series}
    return [_lines(title, past, keys) for title, keys in series.items()]


def _reasons(style: Kind, found: Sequence[dict[str, Any]]) -> list[Reason]:
    return [Reason(style, each["kind"], each["text"]) for each in found]


def _figures(report: Report) -> dict[str, Any]:
    measured, stale, served = report["quality"], report["staleness"], report["traffic"]
    moved = len({item["feature"] for item in report["skew"] if item["exceeded"]})
    found = {
        "rows served": served["rows"],
        "features moved": moved if report["skew"] else None,
        measured["metric"]: measured.get("value"),
        "baseline": measured["baseline"],
        "labelled": percent(report["labels"]["coverage"]),
        "p99 latency, ms": served["p99_ms"],
        "not in the log": ", ".join(served.get("unknown", ())) or None,
        "age of data, days": None if stale["age_days"] is None else round(stale["age_days"]),
    }
    return {name: value for name, value in found.items() if value is not None}


def _comparison(report: Report, name: str) -> Comparison:
    """Every feature's distance against its limit; the report has the furthest first."""
    distances = [_distance(item) for item in report[name]]
    beyond, within = ([each for each in distances if each.exceeded is exceeded] for exceeded in (True, False))
    return Comparison(*_COMPARISONS[name], beyond, within)


def _distance(item: dict[str, Any]) -> Distance:
    value, limit = (min(item[name], 1.0) * _BAR_WIDTH for name in ("value", "limit"))
    return Distance(
        feature=item["feature"],
        measure=item["measure"].replace("_", " "),
        value=item["value"],
        limit=item["limit"],
        threshold=item["threshold"],
        allowance=item["allowance"],
        exceeded=item["exceeded"],
        bar_width=max(value, 0.6),
        limit_at=limit,
    )


def _quality(report: Report) -> dict[str, Any]:
    return {
        "measured": report["quality"],
        "labels_given": report["labels"]["given"],
        "examined": report["traffic"]["examined"],
        "max_loss": report["rules"]["max_loss"],
    }


def _traffic(report: Report) -> dict[str, Any]:
    buckets = [Bucket(**bucket) for bucket in report["traffic"]["latencies"]]
    latency = histogram({"latency": buckets}, "latency in milliseconds", size=(420, 60)) if buckets else None
    return {"versions": report["versions"], "latency": latency}


def _lines(title: str, past: Sequence[dict[str, Any]], keys: dict[str, str]) -> LineChart:
    points = {
        name: [(n, _amount(line[key])) for n, line in enumerate(past, start=1) if line.get(key) is not None]
        for name, key in keys.items()
    }
    return lines(points, "period", title, Frame(title, (1, len(past)), markers=True, width=470, height=250))


def _amount(value: Any) -> float:
    return len(value) if isinstance(value, list) else value
