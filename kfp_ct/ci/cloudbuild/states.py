"""What a build and its steps come to, in Cloud Build's words where it has one."""

import dataclasses
import enum
from typing import Protocol

from kfp_ct.ci.cloudbuild.config import Step


class Status(enum.StrEnum):
    """Status of a step or a build.

    NOT_RUN (this machine cannot run the step), SKIPPED (the user left it out) and INCOMPLETE (a build in which
    something was not run) exist only here.
    """

    PENDING = "PENDING"  # waits for a person's approval
    QUEUED = "QUEUED"
    WORKING = "WORKING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    TIMEOUT = "TIMEOUT"
    CANCELLED = "CANCELLED"
    NOT_RUN = "NOT_RUN"
    SKIPPED = "SKIPPED"
    INCOMPLETE = "INCOMPLETE"


@dataclasses.dataclass
class StepState:
    """How one step stands; `forgiven` means it failed and was allowed to."""

    label: str
    image: str
    waits_for: list[str]
    status: Status = Status.QUEUED
    seconds: float = 0.0
    exit_code: int | None = None
    detail: str = ""
    forgiven: bool = False
    log: str = ""

    @property
    def satisfied(self) -> bool:
        """Whether the steps after it may go on."""
        return self.status in (Status.SUCCESS, Status.SKIPPED) or self.forgiven


class Listener(Protocol):
    """Hears of steps as they run."""

    def started(self, state: StepState) -> None:
        """A step begins."""

    def line(self, state: StepState, text: str) -> None:
        """A step wrote a line."""

    def ended(self, state: StepState) -> None:
        """A step ended, or it is known that it will not run."""


def initial(steps: list[Step]) -> list[StepState]:
    """Returns the states of steps that have not begun."""
    return [StepState(step.label, step.image, [steps[each].label for each in step.waits_for]) for step in steps]
