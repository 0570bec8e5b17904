"""A replay as a page: what to do, quality by window, quality against retrains, every decision with its reasons."""

import dataclasses
from collections.abc import Sequence

from markupsafe import Markup

from kfp_ct.pages.charts import Frame, LineChart, lines
from kfp_ct.pages.markup import render
from kfp_ct.replay.results import Decided, Trained
from kfp_ct.replay.summary import Outcome, Report

_WIDE = Frame("Quality by window", markers=True, width=760, height=320)
_FRONTIER = Frame("Quality against retrains", markers=True, width=760, height=300)


@dataclasses.dataclass(frozen=True)
class Row:
    """A decision as shown: when, by what, why, and what came of it."""

    at: str
    sign: str
    why: str
    result: str


def draw(report: Report) -> Markup:
    """Draws the page."""
    return render(
        "report/replay.html",
        report=report,
        by_window=_by_window(report.outcomes),
        frontier=_frontier(report.outcomes),
        headers=["window", *((each.name, "number") for each in report.outcomes)],
        starts=[each.start[:10] for each in report.outcomes[0].windows],
        decisions={each.name: _rows(each) for each in report.outcomes},
    )


def _by_window(outcomes: Sequence[Outcome]) -> LineChart:
    series = {
        each.name: [(float(number), window.quality.value) for number, window in enumerate(each.windows, 1)]
        for each in outcomes
    }
    return lines(series, "window", outcomes[0].metric, _WIDE)


def _frontier(outcomes: Sequence[Outcome]) -> LineChart:
    series = {f"{each.name} ({each.retrains})": [(float(each.retrains), each.mean)] for each in outcomes}
    return lines(series, "retrains", f"mean {outcomes[0].metric}", _FRONTIER)


def _rows(outcome: Outcome) -> list[Row]:
    return [_row(each) for window in outcome.windows for each in window.decisions]


def _row(decided: Decided) -> Row:
    at = decided.at[:16].replace("T", " ")
    if not decided.fire:
        return Row(at, "hold", "; ".join(decided.holds), "")
    why = "; ".join(f"{name}: {reason}" for name, reason in zip(decided.triggers, decided.reasons, strict=True))
    return Row(at, "run", why, _result(decided.run) if decided.run else "")


def _result(run: Trained) -> str:
    if not run.run:
        return run.reason
    read = f"{run.rows:,} rows up to {run.data_until[:10]}, {run.train_seconds:.1f} s of training"
    return f"v{run.version} is served; {read}" if run.version else f"not served: {run.reason}; {read}"
