"""What a monitoring run found, as its component shows it."""

from typing import Any

from kfp_ct.components.monitor import view
from kfp_ct.report.content import Content


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/monitoring.html` shows: the decision with its reasons, and what it rests on."""
    return view.describe(content.monitoring) if content.monitoring else {}
