"""The record of a run: what ran, on what, with which result; written as it happens, so that a crash leaves it whole."""

import dataclasses
import datetime
import getpass
import importlib.metadata
import json
import os
import platform
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_ct.base import redaction
from kfp_ct.data import layouts
from kfp_ct.package import task_names
from kfp_ct.project import workspace as project
from kfp_ct.project.environments import component_set
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import task_inputs
from kfp_ct.runs.events import Outcome, State

if TYPE_CHECKING:
    from kfp_ct.package.package import Package

RECORD = "run.json"
RUNNING, SUCCEEDED, FAILED, INTERRUPTED = "RUNNING", "SUCCEEDED", "FAILED", "INTERRUPTED"


@dataclasses.dataclass
class Task:
    """One step of a run."""

    name: str
    component: str
    upstream: list[str]
    state: str = State.PENDING
    started: str = ""
    seconds: float = 0.0
    summary: str = ""
    error: str = ""
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    artifacts: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Run:
    """One run of a pipeline."""

    id: str
    project: str
    environment: str
    pipeline: str
    parameters: dict[str, Any]
    cause: str
    commit: str
    versions: dict[str, str]
    user: str
    process: int
    started: str
    code_version: str = ""  # of all its tasks
    image: str = ""
    state: str = RUNNING
    ended: str = ""
    seconds: float = 0.0
    tasks: list[Task] = dataclasses.field(default_factory=list)
    attempt: int = 1
    decision: dict[str, Any] = dataclasses.field(default_factory=dict)  # of the trigger that began it
    outputs: dict[str, Any] = dataclasses.field(default_factory=dict)  # of the pipeline
    pipeline_root: str = ""  # object store that containers handed artifacts on through

    def task(self, name: str) -> Task | None:
        """Returns a task by name; None if the pipeline has none of that name."""
        return next((task for task in self.tasks if task.name == name), None)

    @property
    def evaluated(self) -> bool | None:
        """What evaluate said of the model; None if the run came to nothing."""
        return self._said("evaluate")

    @property
    def blessed(self) -> bool | None:
        """The final verdict on the model; None if the run came to none."""
        served = self.task("validate-infra")
        return self._said("validate-infra") if served and self.evaluated else self.evaluated

    def summary(self, task: str, artifact: str) -> dict[str, Any]:
        """Returns the summary.json that a task left beside an artifact; empty if there is none."""
        found = self.task(task)
        path = Path(found.artifacts.get(artifact, {}).get("uri", "")) / layouts.SUMMARY if found else Path()
        return dict(layouts.read_json(path)) if path.is_file() else {}

    def _said(self, name: str) -> bool | None:
        found = self.task(name)
        return found.parameters.get("Output") if found else None


class Recorder:
    """Listens to a run and keeps its record on disk."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run = run
        self.folder = folder
        self.save()

    def save(self) -> None:
        """Writes the record; indented once it is complete: to write it so, some thirty times a run, takes tenfold."""
        # Not `dataclasses.asdict`: what is redacted is a copy already, and to copy it took half of the time.
        known = redaction.redact_tree({**vars(self.run), "tasks": [vars(task) for task in self.run.tasks]})
        indent = None if self.run.state == RUNNING else 1
        layouts.write_text(self.folder / RECORD, json.dumps(known, indent=indent, default=str))

    def started(self, task: str, component: str) -> None:
        """A task begins."""
        found = self._task(task)
        found.state, found.started = State.RUNNING, now()
        self.save()

    def resolved(self, task: str, inputs: task_inputs.TaskInputs) -> None:
        """Keeps what a task was given and made of."""
        task_inputs.write(inputs, self.folder, task)

    def repeated(self, tasks: Sequence[str], count: int) -> None:
        """Tasks of a loop take the place of the one that stood for them."""
        self.run.tasks = [each for task in self.run.tasks for each in _repeated(task, tasks, count)]
        self.save()

    def line(self, task: str, text: str) -> None:
        """Keeps what the task writes in its own log."""
        with (self.folder / "logs" / f"{task}.log").open("a") as file:
            file.write(f"{redaction.redact(text)}\n")

    def ended(self, task: str, outcome: Outcome) -> None:
        """A task ended, or will not run."""
        found = self._task(task)
        found.state, found.seconds = outcome.state, round(outcome.seconds, 3)
        found.summary, found.error = outcome.summary, outcome.error
        found.parameters, found.artifacts = outcome.parameters, outcome.artifacts
        self.save()

    def finish(self, state: str) -> None:
        """Closes the record; what never ran is marked as skipped."""
        _end_tasks(self.run)
        self.run.state, self.run.ended = state, now()
        started = datetime.datetime.fromisoformat(self.run.started)
        self.run.seconds = round((datetime.datetime.fromisoformat(self.run.ended) - started).total_seconds(), 3)
        self.save()

    def _task(self, name: str) -> Task:
        task = self.run.task(name)
        if task is None:
            raise KeyError(f"task {name} is not in the package")
        return task


def _repeated(task: Task, repeated: Sequence[str], count: int) -> list[Task]:
    """Returns the iterations of a task that is repeated; each depends on its own iteration of the others."""
    if task.name not in repeated:
        inside = [f"{name}.{number}" for name in task.upstream if name in repeated for number in range(count)]
        outside = [name for name in task.upstream if name not in repeated]
        return [dataclasses.replace(task, upstream=[*outside, *inside])]
    return [
        Task(
            f"{task.name}.{number}",
            task.component,
            [f"{name}.{number}" if name in repeated else name for name in task.upstream],
        )
        for number in range(count)
    ]


def _end_tasks(run: Run) -> None:
    """Gives every task an end: nothing goes on once the run's process is gone."""
    for task in run.tasks:
        if task.state == State.PENDING:
            task.state = State.SKIPPED
        elif task.state == State.RUNNING:
            task.state, task.error = State.FAILED, task.error or "interrupted"


def now() -> str:
    """Returns the time as ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def new_run(workspace: Workspace, **fields: Any) -> Run:
    """Returns a run that begins now, in this process.

    Args:
        workspace: The repository.
        **fields: What else there is to say of it.
    """
    return Run(
        id=new_id(),
        parameters={},
        commit=project.commit(workspace.root),
        versions={**versions(), "components": component_set()[0].removesuffix(".txt")},
        user=user(),
        process=os.getpid(),
        started=now(),
        **fields,
    )


def new_id() -> str:
    """Returns a run id that sorts by time."""
    return f"{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def user() -> str:
    """Returns who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in a container
        return str(os.getuid())


def versions() -> dict[str, str]:
    """Returns what the author side of the run is made of."""
    return {
        "python": platform.python_version(),
        "kfp": importlib.metadata.version("kfp"),
        "platform": platform.platform(),
    }


def tasks(compiled: "Package") -> list[Task]:
    """Lists a package's tasks in the order they can run, those in conditions included."""
    names = task_names.names(compiled)
    return _ordered([_task_at(compiled, position, names) for position in names])


def _task_at(compiled: "Package", position: task_names.Position, names: Mapping[task_names.Position, str]) -> Task:
    """Returns the task at a position; it depends on what the DAGs around it depend on, too."""
    dag, upstream, component = compiled["root"]["dag"], set[str](), ""
    for depth, name in enumerate(position):
        spec = dag["tasks"][name]
        for each in spec.get("dependentTasks", []):
            upstream |= set(task_names.below((*position[:depth], each), names))
        component = spec["componentRef"]["name"]
        dag = compiled["components"][component].get("dag", {})
    label = component.removeprefix("comp-").replace("-", "_")
    return Task(names[position], label, sorted(upstream))


def _ordered(found: list[Task]) -> list[Task]:
    names = {task.name for task in found}
    placed: list[Task] = []
    while len(placed) < len(found):
        done = {task.name for task in placed}
        placed += [t for t in found if t.name not in done and done.issuperset(names.intersection(t.upstream))]
    return placed


def load(path: Path) -> Run:
    """Reads a record; a run whose process is gone is interrupted, whatever it last said."""
    run = of_fields(json.loads((path / RECORD).read_text()))
    if run.state == RUNNING and not alive(run.process):
        run.state = INTERRUPTED
        _end_tasks(run)
    return run


def of_fields(fields: Mapping[str, Any]) -> Run:
    """Returns the run of a record."""
    return Run(**{**fields, "tasks": [_task(task) for task in fields["tasks"]]})


def _task(fields: dict[str, Any]) -> Task:
    # Older records call the summary "finding".
    return Task(**{"summary" if name == "finding" else name: value for name, value in fields.items()})


def load_all(workspace: Workspace) -> list[Run]:
    """Reads all records, newest first."""
    folders = sorted((path.parent for path in workspace.runs.glob(f"*/{RECORD}")), reverse=True)
    return [load(folder) for folder in folders]


def alive(process: int) -> bool:
    """Whether a process of this machine goes on."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def after(started: str, seconds: float) -> str:
    """Returns the time some seconds after a time of the record."""
    ended = datetime.datetime.fromisoformat(started) + datetime.timedelta(seconds=seconds)
    return ended.isoformat(timespec="milliseconds")


def between(start: str, end: str) -> float:
    """Returns the seconds from one time to another."""
    return (datetime.datetime.fromisoformat(end) - datetime.datetime.fromisoformat(start)).total_seconds()
