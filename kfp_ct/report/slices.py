"""The metric that decides, slice by slice."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from kfp_ct.report import dumbbell
from kfp_ct.report.content import Content
from kfp_ct.report.metrics import Metric, direction, pick

_MOST_SLICES = 40


@dataclasses.dataclass(frozen=True)
class Slice:
    """A slice with the metric that decides."""

    name: str
    rows: int
    metric: Metric


@dataclasses.dataclass(frozen=True)
class Slices:
    """Slices with both models on a scale of their own."""

    scale: dumbbell.Scale
    rows: Sequence[tuple[Slice, dumbbell.Dumbbell]]


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/slices.html` shows: the greatest losses first, or the worst where there is no champion.

    Slices too small for a gate to judge are folded away: a metric of a few rows says little, and spoils the scale.
    """
    evaluation = content.evaluation
    found = [
        Slice(entry["slice"], entry["rows"], metric)
        for entry in evaluation.get("slices", [])
        if (metric := pick(evaluation, entry))
    ]
    if not found:
        return {}
    found.sort(key=_rank)
    least = int((evaluation.get("gates") or {}).get("min_slice_rows", 0))
    large, small = ([each for each in found if (each.rows >= least) is judged] for judged in (True, False))
    whole = pick(evaluation, evaluation["metrics"])
    middle = whole.challenger if whole else None
    return {
        "metric": found[0].metric.title,
        "compared": bool(evaluation.get("compared_with")),
        "least": least,
        "first": _drawn(large[:_MOST_SLICES], middle),
        "more": _drawn(large[_MOST_SLICES:], middle),
        "small": _drawn(small, middle),
    }


def _rank(each: Slice) -> tuple[int, float]:
    metric = each.metric
    if metric.gain is not None:
        return (0, metric.gain)
    value, sense = metric.challenger, direction(metric.name) or 1
    return (1, value * sense) if value is not None else (2, 0.0)


def _drawn(found: Sequence[Slice], middle: float | None) -> Slices | None:
    if not found:
        return None
    pairs = [(each.metric.challenger, each.metric.champion) for each in found]
    scale = dumbbell.scale([value for pair in pairs for value in pair if value is not None])
    drawn = [dumbbell.place(pair, scale, middle) for pair in pairs]
    return Slices(scale, list(zip(found, drawn, strict=True)))
