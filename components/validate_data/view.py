"""The anomalies as a page."""

from typing import Any

from markupsafe import Markup

from kfp_ct.data.drift import JENSEN_SHANNON, L_INFINITY
from kfp_ct.pages.markup import render

_MEASURES = {L_INFINITY: "L-infinity", JENSEN_SHANNON: "Jensen–Shannon"}


def draw(summary: dict[str, Any]) -> Markup:
    """Draws the page from the content of `summary.json`."""
    found: list[dict[str, Any]] = summary["anomalies"]
    stops = any(anomaly["severity"] == "stop" for anomaly in found)
    compared = {} if stops else {"drift": _farthest_first(summary["drift"]), "skew": _skew(summary["skew"])}
    return render(
        "components/validate_data/page.html",
        anomalies=found,
        stops=stops,
        splits=summary["splits"],
        features=summary["features"],
        drifted=summary["drifted_features"],
        **compared,
    )


def _skew(comparisons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [_farthest_first(of) for of in comparisons if of["distances"] or of["not_compared"]]


def _farthest_first(of: dict[str, Any]) -> dict[str, Any]:
    """A comparison of two data sets, the features in order of how far they are beyond their thresholds."""
    ordered = sorted(of["distances"], key=lambda row: row["threshold"] - row["value"])
    return {**of, "distances": [{**row, "measure": _MEASURES[row["measure"]]} for row in ordered]}
