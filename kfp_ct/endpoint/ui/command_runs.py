"""Runs that `ct run` made in the same folder of local state: not the API's, but the models' and the people's."""

import dataclasses
from pathlib import Path

from kfp_ct.endpoint.store import folders
from kfp_ct.endpoint.ui.run_summary import since
from kfp_ct.project.workspace import Workspace
from kfp_ct.report.report import PAGE
from kfp_ct.runs import record

_STATES = {
    record.RUNNING: "running", record.SUCCEEDED: "succeeded", record.FAILED: "failed", record.INTERRUPTED: "failed",
}  # fmt: skip
_MOST = 20


@dataclasses.dataclass(frozen=True)
class CommandRun:
    """What the list shows of a run.

    Attributes:
        id: Its id.
        project: Whose run it is: the project, or the package's file.
        state: Its state as a word.
        started: When it began.
        seconds: How long it took, or has been going on.
        cause: What started it.
        has_report: Whether its report is there: it is written as the run ends.
    """

    id: str
    project: str
    state: str
    started: str
    seconds: float | None
    cause: str
    has_report: bool


def newest(workspace: Workspace) -> list[CommandRun]:
    """Returns the newest runs, newest first."""
    found = sorted((path.parent for path in workspace.runs.glob(f"*/{record.RECORD}")), reverse=True)
    own = (folder for folder in found if not folders.is_ordered(folder))
    return [_summary(folder) for folder, _ in zip(own, range(_MOST), strict=False)]


def folder_of(workspace: Workspace, run: str) -> Path | None:
    """Returns the folder of a run of `ct run`; None if there is none of this id."""
    folder = folders.of(workspace, run)
    is_plain = folder.parent == workspace.runs and folder.name == run
    return folder if is_plain and (folder / record.RECORD).is_file() and not folders.is_ordered(folder) else None


def _summary(folder: Path) -> CommandRun:
    run = record.load(folder)
    return CommandRun(
        id=run.id,
        project=run.project,
        state=_STATES[run.state],
        started=run.started,
        seconds=since(run.started) if run.state == record.RUNNING else run.seconds,
        cause=run.cause,
        has_report=(folder / PAGE).is_file(),
    )
