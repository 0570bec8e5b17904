"""The trial of the service as a page."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kfp_ct.pages import html, sparklines


def page(account: dict[str, Any], mismatches: Sequence[str]) -> str:
    """Draws the page from the content of `summary.json` and the mismatches to show."""
    refused = [check for check in account["checks"] if not check["passed"]]
    if refused:
        verdict = html.note("bad", f"Not fit to serve: {len(refused)} of {len(account['checks'])} checks said no.")
    else:
        verdict = html.note("ok", f"Fit to serve: {account['rows']:,} rows were answered as the model answers them.")
    parts = [verdict, html.section("Checks", _checks(account["checks"]))]
    if mismatches:
        said = f"{len(mismatches)} of {len(account['mismatches'])} mismatches; all are in summary.json."
        parts.append(html.section("Mismatches", said, html.bullets([html.code(text) for text in mismatches])))
    parts.append(html.section("Budgets", _budgets(account["budgets"])))
    if account["latencies_ms"]:
        parts.append(html.section("Latency of a single row", *_latency(account)))
    return html.page("Serving checks", *parts)


def _checks(checks: list[dict[str, Any]]) -> html.Html:
    rows = [
        [check["gate"], html.badge("ok", "yes") if check["passed"] else html.badge("bad", "no"), check["reason"]]
        for check in checks
    ]
    return html.table(["check", "passed", "reason"], rows)


def _budgets(budgets: list[dict[str, Any]]) -> html.Html:
    return html.table(["measure", "unit", "measured", "budget", "used"], [_budget(budget) for budget in budgets])


def _budget(budget: dict[str, Any]) -> list[Any]:
    value, limit = budget["value"], budget["budget"]
    used: Any = html.muted("not judged")
    if value is not None and limit is not None:
        used = html.percent(limit / value if budget["at_least"] and value else value / limit)
    word = "≥ " if budget["at_least"] else "≤ "
    return [budget["title"], budget["unit"], value, f"{word}{html.number(limit)}" if limit is not None else None, used]


def _latency(account: dict[str, Any]) -> list[html.Html]:
    values = account["latencies_ms"]
    counts, edges = np.histogram(values, bins=30)
    buckets = [sparklines.Bucket(float(edges[n]), float(edges[n + 1]), float(count)) for n, count in enumerate(counts)]
    percentiles = {f"p{share}, ms": float(np.percentile(values, share)) for share in (50, 90, 99)}
    clients = account["settings"]["concurrency"]
    return [
        html.facts({**percentiles, "slowest, ms": max(values), "clients at a time": clients}),
        sparklines.histogram({"latency": buckets}, "latency in milliseconds", (640, 120)),
    ]
