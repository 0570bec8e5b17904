"""Every artifact with its place, and the logs; links are relative, so that the folder can be moved as a whole."""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_ct.report.content import Content

if TYPE_CHECKING:
    from kfp_ct.runs.record import Task


@dataclasses.dataclass(frozen=True)
class Artifact:
    """An artifact of a task; without a link it is elsewhere (a bucket), or swept away."""

    name: str
    type: str
    place: str
    href: str


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/artifacts.html` shows."""
    by_task = {task.name: _artifacts(task, content.folder) for task in content.run.tasks}
    kept = [(name, artifacts) for name, artifacts in by_task.items() if artifacts]
    logs = sorted(path.relative_to(content.folder) for path in content.folder.glob("logs/*.log"))
    if not kept and not logs:
        return {}
    return {"steps": kept, "logs": [(path.as_posix(), path.name) for path in logs]}


def near(path: str) -> str:
    """Returns a path relative to the working directory if it lies below it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _artifacts(task: "Task", folder: Path) -> list[Artifact]:
    return [
        Artifact(name, str(kept.get("type", "")).removeprefix("system."), *_place(str(kept["uri"]), folder))
        for name, kept in task.artifacts.items()
        if kept.get("uri")
    ]


def _place(uri: str, folder: Path) -> tuple[str, str]:
    return (near(uri), os.path.relpath(uri, folder)) if Path(uri).exists() else (uri, "")
