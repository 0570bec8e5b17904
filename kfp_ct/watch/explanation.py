"""Why a run started: the person who asked for it, or the trigger with what it saw."""

import dataclasses
import datetime

from kfp_ct.base.errors import UsageError
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import record
from kfp_ct.watch import history


@dataclasses.dataclass(frozen=True)
class Reason:
    """Why a trigger asked for a run; `trigger` is empty where a person asked."""

    trigger: str
    text: str


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Who or what started a run.

    Attributes:
        run: The run.
        by: Who started it: a person, or `ct watch`.
        at: When `ct watch` decided; None where a person started it.
        reasons: Why: of each trigger, or the cause that the person gave.
        answers: What the run answers, so that it is not answered twice.
        messages: Messages that told of it.
    """

    run: str
    by: str
    at: datetime.datetime | None
    reasons: tuple[Reason, ...]
    answers: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()

    def text(self) -> str:
        """Returns it for a person."""
        if self.at is None:
            return f"{self.run} was started by {self.by}: {'; '.join(reason.text for reason in self.reasons)}"
        lines = [f"{self.run} was started by {self.by} at {self.at:%Y-%m-%d %H:%M:%S} UTC"]
        lines += [f"  {reason.trigger}: {reason.text}" for reason in self.reasons]
        lines += [f"  answers {key}" for key in self.answers]
        return "\n".join([*lines, *(f"  from the message {message}" for message in self.messages)])


def explain(workspace: Workspace, run: str) -> Explanation:
    """Returns why a run started.

    Raises:
        UsageError: There is no such run.
    """
    entry = history.of_run(workspace.home, run)
    if entry is not None:
        reasons = tuple(map(Reason, entry.firing.triggers, entry.reasons))
        return Explanation(run, "ct watch", entry.firing.at, reasons, entry.firing.keys, entry.messages)
    folder = workspace.runs / run
    if not (folder / record.RECORD).is_file():
        raise UsageError(f"there is no run {run} in {workspace.runs}\nexpected: one of `ct runs`")
    found = record.load(folder)
    return Explanation(run, found.user, None, (Reason("", found.cause),))
