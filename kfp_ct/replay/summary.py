"""What strategies came to: quality against what it cost, which are worth their cost, and what to do."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from kfp_ct.pages.formats import plural
from kfp_ct.replay.plan import EVERY, ONCE, POLICY
from kfp_ct.replay.results import REACH, WindowResult

LESS_IS_BETTER = ("log_loss", "hamming_loss", "rmse", "mse", "mae")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A strategy with what came of each window."""

    name: str
    kind: str
    windows: tuple[WindowResult, ...]

    @property
    def metric(self) -> str:
        """What quality is."""
        return self.windows[0].quality.metric

    @property
    def mean(self) -> float:
        """The metric's mean over the windows."""
        return sum(each.quality.value for each in self.windows) / len(self.windows)

    @property
    def error(self) -> float:
        """The standard error of that mean."""
        return float(sum(each.quality.error**2 for each in self.windows)) ** 0.5 / len(self.windows)

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of that mean (95 %)."""
        return self.mean - REACH * self.error, self.mean + REACH * self.error

    @property
    def retrains(self) -> int:
        """Models that were trained after the first."""
        return len({run.model for each in self.windows for run in each.runs if run.model}) - 1

    @property
    def runs(self) -> int:
        """Runs of the pipeline, the first among them."""
        return sum(bool(run.run) for each in self.windows for run in each.runs)

    @property
    def refused(self) -> int:
        """Runs whose model no gate let through, or that failed."""
        return sum(bool(run.run) and not run.version for each in self.windows for run in each.runs)

    @property
    def train_seconds(self) -> float:
        """Seconds of training, of all its models."""
        seconds = {run.model: run.train_seconds for each in self.windows for run in each.runs if run.run}
        return sum(seconds.values())

    @property
    def seconds(self) -> float:
        """Seconds of all steps of all runs, as long as they took when they ran."""
        return sum(run.seconds for each in self.windows for run in each.runs)

    @property
    def rows_read(self) -> int:
        """Rows that all runs read."""
        return sum(run.rows for each in self.windows for run in each.runs if run.run)

    @property
    def worse(self) -> tuple[WindowResult, ...]:
        """Windows in which a new model served that was worse there than the one before would have been."""
        sign = -1.0 if self.metric in LESS_IS_BETTER else 1.0
        replaced = (each for each in self.windows if each.previous)
        return tuple(
            each for each in replaced if each.previous and sign * (each.quality.value - each.previous.value) < 0
        )


@dataclasses.dataclass(frozen=True)
class Report:
    """A replay: its strategies, those that none is better than at fewer retrains, and what to do."""

    project: str
    settings: Mapping[str, Any]
    outcomes: tuple[Outcome, ...]
    frontier: tuple[str, ...]
    recommended: str
    recommendation: str


def report(project: str, settings: Mapping[str, Any], outcomes: Sequence[Outcome]) -> Report:
    """Compares strategies over the same rows."""
    chosen = _recommended(outcomes)
    frontier = tuple(each.name for each in outcomes if not any(_beats(other, each) for other in outcomes))
    return Report(project, settings, tuple(outcomes), frontier, chosen.name, _words(chosen, outcomes))


def machine(report: Report) -> dict[str, Any]:
    """Returns a report as JSON has it."""
    strategies = [
        {
            "name": each.name, "kind": each.kind, "metric": each.metric, "mean": each.mean, "interval": each.interval,
            "retrains": each.retrains, "runs": each.runs, "refused": each.refused, "train_seconds": each.train_seconds,
            "seconds": each.seconds, "rows_read": each.rows_read,
            "served_worse": [window.start for window in each.worse],
            "windows": [dataclasses.asdict(window) for window in each.windows],
        }
        for each in report.outcomes
    ]  # fmt: skip
    return {
        "project": report.project, "settings": dict(report.settings), "strategies": strategies,
        "frontier": report.frontier, "recommended": report.recommended, "recommendation": report.recommendation,
    }  # fmt: skip


def gain(better: Outcome, than: Outcome) -> tuple[float, float]:
    """Returns by how much a mean is better than another, and the reach of its interval.

    Both are of the same rows, so their errors go together: taken apart, as here, the interval is too wide, never too
    narrow.
    """
    sign = -1.0 if better.metric in LESS_IS_BETTER else 1.0
    return sign * (better.mean - than.mean), REACH * (better.error**2 + than.error**2) ** 0.5


def _beats(other: Outcome, each: Outcome) -> bool:
    better = gain(other, each)[0]
    as_good = better >= 0 and other.retrains <= each.retrains
    return as_good and (better > 0 or other.retrains < each.retrains)


def _recommended(outcomes: Sequence[Outcome]) -> Outcome:
    """The one with the fewest retrains of those that the best does not surpass beyond doubt."""
    best = max(outcomes, key=lambda each: gain(each, outcomes[0])[0])
    close = [each for each in outcomes if gain(best, each)[0] <= gain(best, each)[1]]
    return min(close, key=lambda each: (each.retrains, -gain(each, outcomes[0])[0]))


def _words(chosen: Outcome, outcomes: Sequence[Outcome]) -> str:
    once = next(each for each in outcomes if each.kind == ONCE)
    every = next(each for each in outcomes if each.kind == EVERY)
    if chosen.kind == ONCE:
        return f"Train once: no strategy is better beyond doubt ({once.metric} {once.mean:.4f} on average)."
    more, reach = gain(chosen, once)
    retrains = plural(chosen.retrains, "retrain")
    title = {EVERY: "Retrain at every window", POLICY: f"Retrain by {chosen.name}"}[chosen.kind]
    doubt = "beyond doubt" if more > reach else "which may be chance"
    text = f"{title}: {retrains} gain {more:.4f} {chosen.metric} over training once, {doubt} (± {reach:.4f})"
    if chosen.kind == EVERY:
        return f"{text}; no policy came close to it with fewer."
    less = gain(every, chosen)[0]
    beside = f"{less:.4f} less than" if less > 0 else f"{-less:.4f} more than"
    return f"{text}; that is {beside} what {plural(every.retrains, 'retrain')}, one a window, reach."
