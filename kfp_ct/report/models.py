"""The challenger against the champion: metrics, differences with their intervals, slices."""

from collections.abc import Sequence
from typing import Any

from kfp_ct.pages import charts
from kfp_ct.pages.html import Html, badge, columns, details, join, muted, paragraph, percent, table
from kfp_ct.report import dumbbell, words
from kfp_ct.report.content import Content
from kfp_ct.report.metrics import Metric, every, pick
from kfp_ct.report.parts import remark

_MOST_INTERVALS = 20
_MOST_SLICES = 40
_POSITIVE_RATE = "the train split's positive rate"


def comparison(content: Content) -> list[Html]:
    """Metrics of both models on the same rows, and the difference with its interval, on every judged slice too."""
    evaluation = content.evaluation
    if not evaluation:
        return []
    parts = [_said(evaluation)]
    metrics = _metrics_table(every(evaluation["metrics"]), bool(evaluation.get("compared_with")))
    intervals = _intervals(evaluation)
    if intervals is None:
        return [*parts, metrics]
    return [*parts, columns(join([metrics, remark(_reading(evaluation))]), intervals)]


def slices(content: Content) -> list[Html]:
    """The metric that decides, slice by slice; the greatest losses first, or the worst where there is no champion.

    Slices too small for a gate to judge are folded away: a metric of a few rows says little, and spoils the scale.
    """
    evaluation = content.evaluation
    found = [(entry, metric) for entry in evaluation.get("slices", []) if (metric := pick(evaluation, entry))]
    if not found:
        return []
    found.sort(key=lambda pair: _rank(pair[1]))
    least = int((evaluation.get("gates") or {}).get("min_slice_rows", 0))
    large, small = ([pair for pair in found if (pair[0]["rows"] >= least) is judged] for judged in (True, False))
    order = "greatest losses against the champion" if evaluation.get("compared_with") else "the worst"
    folds = {
        words.count(len(large) - _MOST_SLICES, "more slice"): large[_MOST_SLICES:],
        f"{words.count(len(small), 'slice')} of fewer than {least:,} rows, too few to be judged": small,
    }
    return [
        paragraph(f"{found[0][1].title} by slice, {order} first."),
        *([_slice_table(evaluation, large[:_MOST_SLICES])] if large else []),
        *(details(said, _slice_table(evaluation, pairs)) for said, pairs in folds.items() if pairs),
    ]


def _said(evaluation: dict[str, Any]) -> Html:
    against = evaluation.get("compared_with")
    who = f"champion {words.version(against)}, scored anew on the same rows" if against else "no champion yet"
    rate = evaluation.get("positive_rate")
    label = f", {percent(rate)} of them positive" if rate is not None else ""
    baseline = evaluation.get("baseline")
    trivial = (
        f" Always predicting {baseline.get('predicts') or _POSITIVE_RATE} gives {words.title(baseline['metric'])} "
        f"{words.metric(baseline['value'])}."
        if baseline
        else ""
    )
    return paragraph(f"{evaluation['rows']:,} held-out rows{label}; {who}.{trivial}")


def _metrics_table(metrics: Sequence[Metric], against: bool) -> Html:
    if not against:
        return table(["metric", "challenger"], [[metric.title, words.metric(metric.challenger)] for metric in metrics])
    rows = [
        [m.title, words.metric(m.challenger), words.metric(m.champion), words.change(m.difference), _better(m)]
        for m in metrics
    ]
    return table(["metric", "challenger", "champion", "difference", ""], rows)


def _better(metric: Metric) -> Html:
    if metric.gain is None or abs(metric.gain) < 5e-5:
        return muted("")
    return badge("ok", "better") if metric.gain > 0 else badge("warn", "worse")


def _intervals(evaluation: dict[str, Any]) -> Html | None:
    overall = evaluation.get("comparison")
    if not overall:
        return None
    judged = evaluation.get("slice_comparison") or []
    rows = [_interval("all rows", overall), *(_interval(item["slice"], item) for item in judged[:_MOST_INTERVALS])]
    known = [row for row in rows if row]
    metric, level = words.title(overall["metric"]), words.level(overall["confidence"])
    return charts.intervals(known, f"gain in {metric} over the champion, {level} intervals", width=520)


def _reading(evaluation: dict[str, Any]) -> str:
    judged = len(evaluation.get("slice_comparison") or [])
    said = words.verdict(evaluation)
    verdict = f"{said[:1].upper()}{said[1:]} on all rows. " if said else ""
    if not judged:
        return f"{verdict}Right of the dashed line the challenger is better."
    which = f"the {_MOST_INTERVALS} least of {judged}" if judged > _MOST_INTERVALS else f"all {judged}"
    return f"{verdict}Right of the dashed line the challenger is better. Shown are {which} slices that a gate judged."


def _interval(name: str, of: dict[str, Any]) -> charts.Interval | None:
    if None in (of["low"], of["gain"], of["high"]):  # too few rows to know a variance
        return None
    return charts.Interval(name, of["low"], of["gain"], of["high"])


def _rank(metric: Metric) -> tuple[int, float]:
    if metric.gain is not None:
        return (0, metric.gain)
    value, sense = metric.challenger, words.direction(metric.name) or 1
    return (1, value * sense) if value is not None else (2, 0.0)


def _slice_table(evaluation: dict[str, Any], found: Sequence[tuple[dict[str, Any], Metric]]) -> Html:
    whole = pick(evaluation, evaluation["metrics"])
    scale = dumbbell.scale([value for _, m in found for value in (m.challenger, m.champion) if value is not None])
    middle = whole.challenger if whole else None
    against = bool(evaluation.get("compared_with"))
    rows = []
    for entry, metric in found:
        numbers = [words.metric(metric.challenger)]
        if against:
            numbers += [words.metric(metric.champion), words.change(metric.difference)]
        drawn = dumbbell.draw((metric.challenger, metric.champion), scale, middle)
        rows.append([entry["slice"], entry["rows"], *numbers, drawn])
    low, high = (words.metric(end, 3) for end in scale)
    headers = ["slice", "rows", "challenger", *(["champion", "difference"] if against else []), f"{low} to {high}"]
    key = "● challenger, ○ champion; " if against else "● challenger; "
    return join([table(headers, rows), remark(f"{key}the dashed line is the challenger on all rows.")])
