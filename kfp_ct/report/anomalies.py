"""What does not fit the schema; a clean result is said too."""

from typing import Any

from kfp_ct.report.content import Content


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/anomalies.html` shows."""
    summary = content.anomalies
    if not summary:
        return {}
    skipped = [split["name"] for split in summary["splits"] if split.get("severity") == "skip"]
    return {
        "found": summary["anomalies"],
        "stops": any(anomaly.get("severity", "stop") == "stop" for anomaly in summary["anomalies"]),
        "skipped": skipped,
        "features": summary["features"],
        "splits": len(summary["splits"]) - len(skipped),
    }
