"""What does not fit the schema; a clean result is said too."""

from typing import Any

from kfp_ct.report.content import Content


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/anomalies.html` shows."""
    summary = content.anomalies
    if not summary:
        return {}
    return {"found": summary["anomalies"], "features": summary["features"], "splits": len(summary["splits"])}
