"""Which features moved: from what the champion was trained on, and between the splits."""

from typing import Any

from kfp_ct.report.content import Content


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/drift.html` shows: a line a comparison."""
    summary = content.anomalies
    if "drift" not in summary:
        return {}
    measured = [("drifted", summary["drift"]), *(("skewed", skew) for skew in summary["skew"])]
    return {"comparisons": [_compared(verb, of) for verb, of in measured if of["distances"] or verb == "drifted"]}


def _compared(verb: str, of: dict[str, Any]) -> dict[str, Any]:
    return {
        "verb": verb,
        "of": of["of"],
        "measured": not of["of"].startswith("not measured"),
        "features": len(of["distances"]),
        "moved": [row for row in of["distances"] if row["exceeded"]],
    }
