"""One strategy through time: data arrives, triggers decide, the pipeline runs, the model answers, monitoring looks."""

import dataclasses
import datetime
from collections.abc import Callable
from typing import Any

from kfp_ct.base.errors import CtError
from kfp_ct.replay.plan import EVERY, Plan, Strategy, day, text
from kfp_ct.replay.plan import Span as Time
from kfp_ct.replay.results import Answered, Decided, Quality, Store, Trained, WindowResult
from kfp_ct.replay.stage import Stage
from kfp_ct.watch import decide, observations
from kfp_ct.watch.observations import Observations

_MINUTE = datetime.timedelta(minutes=1)
FIRST = "the first model"
_UNCHANGED = "no row is new since the run before"


@dataclasses.dataclass
class _Course:
    """A window as it goes on: what was decided, what was answered, and from when on rows have no answer yet."""

    begun: datetime.datetime
    decisions: list[Decided] = dataclasses.field(default_factory=list)
    answered: list[Answered] = dataclasses.field(default_factory=list)


class Timeline:
    """Replays one strategy, window by window; what is in the store is not done again."""

    def __init__(self, plan: Plan, strategy: Strategy, stage: Stage, store: Store) -> None:
        self._plan, self._strategy, self._stage, self._store = plan, strategy, stage, store
        self._results = store.read()

    def run(self, say: Callable[[WindowResult], None] = lambda _: None) -> list[WindowResult]:
        """Goes to the end; returns what came of each window."""
        for window in self._plan.windows[len(self._results) :]:
            result = self._window(window)
            self._store.add(self._results, result)
            self._results.append(result)
            say(result)
        return self._results

    def _window(self, window: Time) -> WindowResult:
        course = _Course(window.start)
        self._decide(window, course)
        self._answer(course, window, window.end)
        answered = tuple(each for each in course.answered if each.rows)
        if not answered:
            raise CtError(
                f"no row is in the window from {text(window.start)} to {text(window.end)}\n"
                "expected: rows in every window\nfix: choose other start, end and every in replay.yaml"
            )
        return WindowResult(
            *window.texts,
            rows=sum(each.rows for each in answered),
            decisions=tuple(course.decisions),
            answered=answered,
            quality=self._stage.measure(answered),
            previous=self._previous(answered),
            monitored=self._monitor(window, answered),
        )

    def _decide(self, window: Time, course: _Course) -> None:
        """Looks at the triggers from the window's start on, as often as they say that something may change."""
        if not self._results or self._strategy.policy is None:
            if not self._results or self._strategy.kind == EVERY:
                reason = FIRST if not self._results else "a window has ended"
                self._fire(course, window, Decided(window.start.isoformat(), True, ("replay",), (reason,), ()))
            return
        now = window.start
        while now < window.end:
            firings = [*(each.firing() for each in self._fired()), *(d.firing() for d in course.decisions if d.fire)]
            found = decide.decide(self._strategy.policy, self._observe(now), firings, now)
            decided = Decided(now.isoformat(), found.fire, found.triggers, found.reasons, found.holds, found.keys)
            if found.fire:
                self._fire(course, window, decided)
                now += _MINUTE
                continue
            if not course.decisions or found.triggers:
                course.decisions.append(decided)
            if found.recheck_at is None:
                return
            now = max(found.recheck_at, now + _MINUTE)

    def _fire(self, course: _Course, window: Time, decided: Decided) -> None:
        """Answers the rows of the days before, then trains: the model answers from this day on."""
        now = datetime.datetime.fromisoformat(decided.at)
        data = Time(self._plan.windows[0].start, self._plan.known_until(now))
        last = self._last_run(course)
        if last and last.state == observations.SUCCEEDED and last.data_until == text(data.end):
            trained = dataclasses.replace(last, run="", version="", seconds=0.0, train_seconds=0.0, reason=_UNCHANGED)
        else:
            self._answer(course, window, max(day(now), course.begun))
            trained = self._stage.train(data, decided)
        if not self._results and not trained.version:
            raise CtError(
                f"the first model, of rows up to {trained.data_until}, is not served: {trained.reason}\n"
                f"expected: a model that passes every gate\nfix: see the run {trained.run}, or begin later"
            )
        course.decisions.append(dataclasses.replace(decided, run=trained))

    def _last_run(self, course: _Course) -> Trained | None:
        found = [run for result in self._results for run in result.runs]
        found += [each.run for each in course.decisions if each.run]
        return found[-1] if found else None

    def _answer(self, course: _Course, window: Time, until: datetime.datetime) -> None:
        """Answers rows up to a time, those whose labels are not known at the window's end apart."""
        cut = self._plan.labelled_until(window.end)
        for start, end in ((course.begun, min(cut, until)), (max(cut, course.begun), until)):
            if start < end:
                course.answered.append(_checked(self._stage.answer(Time(start, end)), start))
        course.begun = max(until, course.begun)

    def _previous(self, answered: tuple[Answered, ...]) -> Quality | None:
        if not self._results or all(each.version == self._results[-1].version for each in answered):
            return None
        return self._stage.measure_version(answered, self._results[-1].version)

    def _monitor(self, window: Time, answered: tuple[Answered, ...]) -> dict[str, Any] | None:
        """Looks at the newest window of which labels are known; at this one where there are none yet."""
        until = text(self._plan.labelled_until(window.end))
        windows = self._plan.windows[: len(self._results) + 1]
        answers = [*(result.answered for result in self._results), answered]
        for each, rows in zip(reversed(windows), reversed(answers), strict=True):
            if labelled := tuple(part for part in rows if part.end <= until):
                return self._stage.monitor(each, labelled)
        return self._stage.monitor(window, ())

    def _fired(self) -> list[Decided]:
        return [each for result in self._results for each in result.decisions if each.fire]

    def _observe(self, now: datetime.datetime) -> Observations:
        """Returns what is known at a time: windows that have arrived, and what monitoring had found by then."""
        spans = tuple(
            observations.Span(f"{window.start:%Y-%m-%d}", window.end, result.rows)
            for window, result in zip(self._plan.windows, self._results, strict=False)
            if window.end <= now
        )
        periods = tuple(each for each in self._stage.periods() if each.end <= now)
        return Observations(spans=spans, periods=periods)


def _checked(answered: Answered, start: datetime.datetime) -> Answered:
    """Demands that a model has not seen what it is asked."""
    if answered.rows and answered.trained_until > text(start):
        raise CtError(
            f"version {answered.version} was trained on rows up to {answered.trained_until} and answers rows from "
            f"{text(start)} on\nexpected: a model that has not seen what it is asked\n"
            "fix: set window_end in no policy's parameters"
        )
    return answered
