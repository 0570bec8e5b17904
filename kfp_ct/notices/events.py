"""What is worth telling: read from the reports that runs leave behind, so that no kill can lose it."""

import dataclasses
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kfp_ct.notices import settings
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import record

_REPORT = "report.json"
_KINDS = {
    "failed": settings.RUN_FAILED,
    "interrupted": settings.RUN_FAILED,
    "refused": settings.MODEL_REFUSED,
    "blessed": settings.MODEL_PROMOTED,
}
_MOST = 20  # lines of details


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened once.

    Attributes:
        key: Names it; told twice, it is the same.
        kind: One of settings.KINDS.
        project: Whose.
        at: When, as ISO 8601 in UTC.
        headline: In one line.
        details: Further lines.
        subject: What it is about: events of one kind and subject are alike.
        run: The run's id.
        report: Path of its report.
    """

    key: str
    kind: str
    project: str
    at: str
    headline: str
    details: tuple[str, ...] = ()
    subject: str = ""
    run: str = ""
    report: str = ""

    @property
    def text(self) -> str:
        """All of it, for people."""
        where = f"run {self.run}, report {self.report}" if self.run else ""
        return "\n".join(filter(None, [f"{self.project}: {self.headline}", *self.details, where]))


def of_runs(workspace: Workspace, project: str, since: datetime.datetime) -> Iterator[Event]:
    """Yields an event for each run of a project that ended after a time and came to something worth telling."""
    folders = sorted(path.parent for path in workspace.runs.glob(f"*/{record.RECORD}"))
    for folder in folders:
        if folder.stat().st_mtime < since.timestamp():
            continue
        run = record.load(folder)
        ended = datetime.datetime.fromisoformat(run.ended or run.started)
        if run.project == project and run.state != record.RUNNING and ended >= since:
            yield from _of_run(run, folder)


def _of_run(run: record.Run, folder: Path) -> Iterator[Event]:
    decision = _decision(folder) or _without_report(run)
    kind = _KINDS.get(decision["outcome"])
    if decision["outcome"] == "refused" and run.pipeline.endswith(".monitoring"):
        kind = settings.MONITORING_ALARM
    if kind is None:
        return
    refused = [f"{check['gate']}: {check['reason']}" for check in decision["checks"] if not check["passed"]]
    details = (decision["consequence"], *refused, *decision["details"])
    yield Event(
        key=f"run/{run.id}/{run.attempt}/{kind}",
        kind=kind,
        project=run.project,
        at=run.ended or run.started,
        headline=decision["headline"],
        details=tuple(filter(None, details))[:_MOST],
        subject=decision["step"],
        run=run.id,
        report=str(folder / "report.html"),
    )


def _decision(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / _REPORT).read_text())["decision"]
    except (OSError, ValueError, KeyError):
        return None
    return found if found["outcome"] != "running" else None


def _without_report(run: record.Run) -> dict[str, Any]:
    """What is said of a run whose process was killed before it wrote one."""
    headline = f"The process of the run ended without a report; its record says {run.state}"
    outcome = "finished" if run.state == record.SUCCEEDED else "interrupted"
    return {"outcome": outcome, "headline": headline, "consequence": "", "step": "", "details": (), "checks": ()}
