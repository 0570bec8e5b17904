"""What the search for hyperparameters tried, and what it chose."""

from typing import Any

from kfp_ct.components.tune import view
from kfp_ct.report.content import Content

_SHOWN_TRIALS = 12


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/tuning.html` shows; empty if there was no search."""
    summary = content.tuning
    if not summary.get("trials"):
        return {}
    return {
        "objective": summary["objective"],
        "best": next(trial for trial in summary["trials"] if trial["id"] == summary["best"]),
        "failed": sum(trial["score"] is None for trial in summary["trials"]),
        "trials": view.trials(summary),
        "opened": len(summary["trials"]) <= _SHOWN_TRIALS,
    }
