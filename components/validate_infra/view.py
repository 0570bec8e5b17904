"""The trial of the service as a page."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from kfp_ct.pages.markup import render
from kfp_ct.pages.sparklines import Bucket, histogram


def draw(account: dict[str, Any], mismatches: Sequence[str]) -> Markup:
    """Draws the page from the content of `summary.json` and the mismatches to show."""
    return render(
        "components/validate_infra/page.html",
        account=account,
        refused=[check for check in account["checks"] if not check["passed"]],
        mismatches=mismatches,
        budgets=[{**budget, "used": _used(budget)} for budget in account["budgets"]],
        latency=_latency(account) if account["latencies_ms"] else None,
    )


def _used(budget: dict[str, Any]) -> float | None:
    """The share of a budget that is used; None where nothing is judged."""
    value, limit = budget["value"], budget["budget"]
    if value is None or limit is None:
        return None
    return limit / value if budget["at_least"] and value else value / limit


def _latency(account: dict[str, Any]) -> dict[str, Any]:
    values = account["latencies_ms"]
    counts, edges = np.histogram(values, bins=30)
    buckets = [Bucket(float(edges[n]), float(edges[n + 1]), float(count)) for n, count in enumerate(counts)]
    percentiles = {f"p{share}, ms": float(np.percentile(values, share)) for share in (50, 90, 99)}
    clients = account["settings"]["concurrency"]
    return {
        "figures": {**percentiles, "slowest, ms": max(values), "clients at a time": clients},
        "distribution": histogram({"latency": buckets}, "latency in milliseconds", (640, 120)),
    }
