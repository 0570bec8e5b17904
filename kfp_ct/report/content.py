"""What a run left behind, read once: its record and the summaries its components wrote."""

import dataclasses
import datetime
import glob
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_ct.data import layouts
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import cache_misses
from kfp_ct.runs.cache_misses import StepAccount

if TYPE_CHECKING:
    from kfp_ct.runs.record import Run, Task


@dataclasses.dataclass(frozen=True)
class Content:
    """A run's record and its components' summaries; a summary is empty where its component did not get so far."""

    run: "Run"
    folder: Path  # of the record and the report
    manifest: dict[str, Any]  # of the examples
    statistics: dict[str, Any]
    anomalies: dict[str, Any]
    tuning: dict[str, Any]
    training: dict[str, Any]
    evaluation: dict[str, Any]
    infra: dict[str, Any]  # the trial of the prediction service
    deployment: dict[str, Any]
    predictions: dict[str, Any] = dataclasses.field(default_factory=dict)
    monitoring: dict[str, Any] = dataclasses.field(default_factory=dict)
    schema: dict[str, Any] = dataclasses.field(default_factory=dict)
    cache: tuple[StepAccount, ...] = ()  # why steps ran

    @property
    def checks(self) -> list[dict[str, Any]]:
        """Every gate of the model that was evaluated, in the order of the stages."""
        return [*self.evaluation.get("checks", ()), *self.infra.get("checks", ())]

    @property
    def blessed(self) -> bool:
        """Whether every stage that judged the model let it through."""
        return bool(self.evaluation.get("blessed") and self.infra.get("blessed", True))

    def task(self, component: str) -> "Task | None":
        """Returns the first task of a component; None if the pipeline has none."""
        return task_of(self.run, component)


def gather(run: "Run", folder: Path) -> Content:
    """Reads everything the report is made of; what is absent or unreadable is left empty.

    Args:
        run: The record.
        folder: The run's folder.
    """
    reader = _Reader(run, Workspace(folder, folder.parent.parent).artifacts)
    return Content(
        run=run,
        folder=folder,
        manifest=reader.read("ingest", "examples", layouts.MANIFEST),
        statistics=reader.read("statistics", "statistics"),
        anomalies=reader.read("validate_data", "anomalies"),
        tuning=reader.read("tune", "trials"),
        training=reader.read("train", "model_run"),
        evaluation=reader.read("evaluate", "evaluation"),
        infra=reader.read("validate_infra", "infra_validation"),
        deployment=reader.read("deploy", "deployment"),
        predictions=reader.read("predict_batch", "predictions"),
        monitoring=reader.read("monitor", "report"),
        schema=reader.read("schema", "schema"),
        cache=tuple(cache_misses.explain(run, folder.parent)),
    )


def task_of(run: "Run", component: str) -> "Task | None":
    """Returns the first task of a component; None if the pipeline has none."""
    return next((task for task in run.tasks if task.component == component), None)


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Finds what a component wrote beside its data."""

    run: "Run"
    written: Path  # by the tasks of all runs

    def read(self, component: str, artifact: str, file: str = layouts.SUMMARY) -> dict[str, Any]:
        task = task_of(self.run, component)
        if task is None:
            return {}
        recorded = task.artifacts.get(artifact, {}).get("uri", "")
        folders = [Path(recorded)] if recorded else self._of_failed(task, artifact)
        return next((found for folder in folders if (found := _read(folder / file))), {})

    def _of_failed(self, task: "Task", artifact: str) -> list[Path]:
        """Returns where a failed task left an artifact: kfp.local records no outputs of it, but its folder is there."""
        if not task.started:
            return []
        began = datetime.datetime.fromisoformat(task.started).timestamp()
        # Folders of earlier runs do not count.
        folders = sorted(self.written.glob(f"*/{glob.escape(task.name)}/{artifact}"))
        return [folder for folder in folders if folder.stat().st_mtime >= began - 1]


def _read(path: Path) -> dict[str, Any]:
    try:
        found = layouts.read_json(path)
    except (OSError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
