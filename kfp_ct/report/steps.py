"""Every step on the run's time line, with its summary line."""

import dataclasses
import datetime
from typing import TYPE_CHECKING, Any

from kfp_ct.pages.formats import duration
from kfp_ct.report import states
from kfp_ct.report.content import Content

if TYPE_CHECKING:
    from kfp_ct.runs.record import Task

_WIDTH = 240  # pixels of the time line


@dataclasses.dataclass(frozen=True)
class Bar:
    """A step on the time line, in pixels."""

    left: float
    width: float
    about: str


@dataclasses.dataclass(frozen=True)
class Step:
    """A row of the table; a step that did not run has no time and no bar."""

    name: str
    look: states.Look
    seconds: float | None
    bar: Bar | None
    summary: str


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/steps.html` shows."""
    run = content.run
    if not run.tasks:
        return {}
    begins = {task.name: _seconds_between(run.started, task.started) for task in run.tasks}
    span = max([run.seconds, *(begins[task.name] + task.seconds for task in run.tasks), 0.001])
    return {
        "total": run.seconds,
        "between": max(run.seconds - sum(task.seconds for task in run.tasks), 0.0),
        "span": span,
        "width": _WIDTH,
        "steps": [_step(task, begins[task.name], span) for task in run.tasks],
    }


def _step(task: "Task", begin: float, span: float) -> Step:
    summary = task.error.partition("\n")[0] if task.error else task.summary
    ran = states.ran(task.state)
    seconds, bar = (task.seconds, _bar(task, begin, span)) if ran else (None, None)
    return Step(task.name, states.look(task.state), seconds, bar, summary)


def _bar(task: "Task", begin: float, span: float) -> Bar:
    width = max(task.seconds / span * _WIDTH, 2)
    about = f"{duration(begin)} to {duration(begin + task.seconds)} after the start"
    return Bar(min(begin / span * _WIDTH, _WIDTH - width), width, about)


def _seconds_between(start: str, end: str) -> float:
    """Returns the seconds from one time to another; 0 for a task that never began."""
    try:
        elapsed = datetime.datetime.fromisoformat(end) - datetime.datetime.fromisoformat(start)
    except (ValueError, TypeError):
        return 0.0
    return max(elapsed.total_seconds(), 0.0)
