"""What happens in a run, as its listeners (the live view, the run record) hear of it."""

import dataclasses
import enum
from collections.abc import Sequence
from typing import Any, Protocol

from kfp_ct.runs.task_inputs import TaskInputs


class State(enum.StrEnum):
    """State of a task, in KFP's words where KFP has one."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    CACHED = "CACHED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        state: SUCCEEDED, CACHED, FAILED or SKIPPED.
        seconds: Wall time.
        parameters: Output parameters.
        artifacts: Output artifacts: name to {uri, type, metadata}.
        summary: The last summary line of its log.
        error: Why it failed, for a person.
    """

    state: State
    seconds: float
    parameters: dict[str, Any]
    artifacts: dict[str, dict[str, Any]]
    summary: str = ""
    error: str = ""


class Listener(Protocol):
    """Hears of tasks as they run."""

    def started(self, task: str, component: str) -> None:
        """A task begins, or is about to be answered from the cache."""

    def resolved(self, task: str, inputs: TaskInputs) -> None:
        """A task's inputs are known, and what the cache has for them."""

    def repeated(self, tasks: Sequence[str], count: int) -> None:
        """Tasks of a loop are about to run so many times, under their names with the iteration after a dot."""

    def line(self, task: str, text: str) -> None:
        """A task wrote a line."""

    def ended(self, task: str, outcome: Outcome) -> None:
        """A task ended, or will not run."""
