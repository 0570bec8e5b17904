"""Following a run to its end, over errors that pass: a line for every change, why a task failed or does not start."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from kfp_ct.base import redaction, task_log
from kfp_ct.base.errors import RequestRefusedError, RunFailedError, RunTimeoutError, TargetError
from kfp_ct.deploy.run_nodes import FAILED, TaskView

SUCCEEDED = "SUCCEEDED"
ENDED = (SUCCEEDED, "SKIPPED", "FAILED", "CANCELED", "ERROR")
UNFINISHED = ("", "PENDING", "RUNNING")
_LONGEST_ABSENCE = 150.0  # seconds; a service's pod that is deleted is away for about 50
_LONGEST_PAUSE = 15.0
_STALLED_AFTER = 60.0
_LAST_LINES = 10


@dataclasses.dataclass(frozen=True)
class RunView:
    """Where a run stands: its state, its tasks by name, and what went wrong."""

    state: str
    tasks: Mapping[str, TaskView] = dataclasses.field(default_factory=dict)
    error: str = ""


class Service(Protocol):
    """Where a run is."""

    def look(self, run_id: str) -> RunView:
        """Returns where a run stands."""

    def log(self, run_id: str, pod: str, task: str = "") -> str:
        """Returns what a container logged, of a task that is named also what was kept; empty where nothing says it."""

    def stalled(self, run_id: str, tasks: Sequence[str]) -> list[str]:
        """Says why tasks may not go on, and where to look."""


@dataclasses.dataclass(frozen=True)
class Waiting:
    """How long a run's end is waited for at most, and how many seconds are between looks."""

    timeout: float | None = None
    every: float = 2.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


def follow(service: Service, run_id: str, say: Callable[[str], None], waiting: Waiting | None = None) -> RunView:
    """Waits for a run's end and says what changes.

    Args:
        service: Where it is.
        run_id: Its id.
        say: Takes a line.
        waiting: How long, and how often it is looked at.

    Raises:
        RunFailedError: It ended otherwise than well.
        RunTimeoutError: It had no end in time; it goes on.
        TargetError: The service refuses, or is away for longer than a restart takes.
    """
    return _Following(service, run_id, say, waiting or Waiting()).to_the_end()


def for_target(name: str, timeout: float | None) -> Waiting:
    """Returns how a run of a target is waited for: on a cluster, tasks begin and end seldom."""
    return Waiting(timeout, 1.0 if name == "local" else 5.0)


class _Following:
    """What is known of a run that is followed."""

    def __init__(self, service: Service, run_id: str, say: Callable[[str], None], waiting: Waiting) -> None:
        self._service = service
        self._run_id = run_id
        self._say = say
        self._waiting = waiting
        self._known: dict[str, tuple[str, int]] = {}
        self._away = 0.0
        self._changed = waiting.clock()
        self._stalled: set[str] = set()

    def to_the_end(self) -> RunView:
        started, view = self._waiting.clock(), None
        while True:
            view = self._look()
            if view and view.state.upper() in ENDED:
                return self._ended(view)
            timeout = self._waiting.timeout
            if timeout is not None and self._waiting.clock() - started >= timeout:
                raise RunTimeoutError(
                    f"the run had no end within {timeout:g} seconds\nit goes on; nothing was stopped\n"
                    f"fix: wait on with `ct wait {self._run_id}`, with the same --target, --settings or --host"
                )
            self._waiting.sleep(self._pause())

    def _look(self) -> RunView | None:
        """Asks the service; None while it is away."""
        try:
            view = self._service.look(self._run_id)
        except RequestRefusedError:
            raise
        except TargetError as error:
            if self._away >= _LONGEST_ABSENCE:
                raise
            if not self._away:
                self._say(f"waiting: {str(error).splitlines()[0]}")
            self._away += self._pause()
            return None
        if self._away:
            self._say("the service is back")
            self._away, self._changed = 0.0, self._waiting.clock()
        self._tell_changes(view)
        return view

    def _pause(self) -> float:
        """Returns the seconds until the next look: longer the longer the service is away."""
        return min(max(self._waiting.every, self._away), _LONGEST_PAUSE) if self._away else self._waiting.every

    def _tell_changes(self, view: RunView) -> None:
        now = {"run": TaskView(view.state), **view.tasks}
        changed = {name: task for name, task in now.items() if self._known.get(name) != (task.state, task.tries)}
        for name, task in changed.items():
            if task.state:
                self._say(self._line(name, task))
        self._known = {name: (task.state, task.tries) for name, task in now.items()}
        if changed:
            self._changed, self._stalled = self._waiting.clock(), set()
        elif self._waiting.clock() - self._changed >= _STALLED_AFTER:
            self._tell_stalled(view)

    def _line(self, name: str, task: TaskView) -> str:
        tried = f" (try {task.tries})" if task.tries > 1 else ""
        found = _last_summary(self._log(task)) if task.state.upper() == SUCCEEDED else ""
        return f"{name}: {task.state}{tried}{found and f': {found}'}"

    def _tell_stalled(self, view: RunView) -> None:
        going = [name for name, task in view.tasks.items() if task.state in UNFINISHED and name not in self._stalled]
        if going or not view.tasks:
            for line in self._service.stalled(self._run_id, going) if not self._stalled else ():
                self._say(line)
            self._stalled |= {*going, ""}

    def _log(self, task: TaskView, name: str = "") -> str:
        try:
            return redaction.redact(self._service.log(self._run_id, task.pods[-1], name)) if task.pods else ""
        except TargetError:
            return ""  # a log is no reason not to wait

    def _ended(self, view: RunView) -> RunView:
        if view.state.upper() == SUCCEEDED:
            return view
        failed = {name: task for name, task in view.tasks.items() if task.state.upper() in FAILED}
        said = [line for name, task in failed.items() for line in self._why(name, task)]
        steps = f": {', '.join(failed)} failed" if failed else ""
        lines = [f"the run ended as {view.state}{steps}", *said, view.error]
        raise RunFailedError("\n".join(line for line in lines if line))

    def _why(self, name: str, task: TaskView) -> list[str]:
        """Returns a failed task's own message, or the last lines of its log."""
        log = self._log(task, name).rstrip().splitlines()
        if own := _own_message(log):
            return [f"{name}: {own[0]}", *(f"  {line}" for line in own[1:])]
        last = [f"  {line}" for line in log if line.strip()][-_LAST_LINES:]
        error = task.error.splitlines()[:1] or (["the last lines of its log:"] if last else [])
        return [*(f"{name}: {line}" for line in error), *last]


def _last_summary(log: str) -> str:
    found = [line for line in log.splitlines() if line.startswith(task_log.SUMMARY)]
    return found[-1].removeprefix(task_log.SUMMARY) if found else ""


def _own_message(log: Sequence[str]) -> list[str]:
    """Returns the message with which one of our components stopped, whose further lines are indented."""
    starts = [number for number, line in enumerate(log) if line.startswith(task_log.ERROR)]
    if not starts:
        return []
    first, *rest = log[starts[-1] :]
    inside = next((number for number, line in enumerate(rest) if not line.startswith("  ")), len(rest))
    return [first.removeprefix(task_log.ERROR), *(line.strip() for line in rest[:inside])]
