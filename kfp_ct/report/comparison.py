"""The challenger against the champion on the same rows, and the differences with their intervals."""

from typing import Any

from kfp_ct.pages.charts import Interval, IntervalChart, intervals
from kfp_ct.pages.formats import level
from kfp_ct.report.content import Content
from kfp_ct.report.metrics import every, title
from kfp_ct.report.verdicts import verdict

_MOST_INTERVALS = 20
_POSITIVE_RATE = "the train split's positive rate"


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/comparison.html` shows: metrics of both models, and the gains on every judged slice too."""
    evaluation = content.evaluation
    if not evaluation:
        return {}
    return {
        "evaluation": evaluation,
        "champion": evaluation.get("compared_with"),
        "positive_rate": evaluation.get("positive_rate"),
        "baseline": _baseline(evaluation.get("baseline")),
        "metrics": every(evaluation["metrics"]),
        "gains": _gains(evaluation),
        "verdict": verdict(evaluation),
        "judged": len(evaluation.get("slice_comparison") or []),
        "shown": _MOST_INTERVALS,
    }


def _baseline(of: dict[str, Any] | None) -> dict[str, Any] | None:
    if not of:
        return None
    return {"predicts": of.get("predicts") or _POSITIVE_RATE, "metric": title(of["metric"]), "value": of["value"]}


def _gains(evaluation: dict[str, Any]) -> IntervalChart | None:
    overall = evaluation.get("comparison")
    if not overall:
        return None
    judged = evaluation.get("slice_comparison") or []
    named = [("all rows", overall), *((item["slice"], item) for item in judged[:_MOST_INTERVALS])]
    known = [interval for name, item in named if (interval := _interval(name, item))]
    label = f"gain in {title(overall['metric'])} over the champion, {level(overall['confidence'])} intervals"
    return intervals(known, label, width=520)


def _interval(name: str, of: dict[str, Any]) -> Interval | None:
    if None in (of["low"], of["gain"], of["high"]):  # too few rows to know a variance
        return None
    return Interval(name, of["low"], of["gain"], of["high"])
