"""Runs a compiled package on this machine and tells listeners what happens.

The order of tasks and their values are KFP's (`dag_run`); what a task is given and leaves is kfp's executor's
(`executor_io`), its cache is kfp.local's. Tasks run as processes of the component environment or in containers.
"""

import contextlib
import datetime
import os
import secrets
import shutil
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from kfp import dsl
from kfp.local.cache import LocalCache

from kfp_ct.base import redaction
from kfp_ct.base import secrets as references
from kfp_ct.base.errors import CtError, RunFailedError
from kfp_ct.caching import file_index
from kfp_ct.caching.package_versions import PackageVersions
from kfp_ct.local import executor_io, importer, placeholders
from kfp_ct.local.dag_run import DagRun, Place
from kfp_ct.local.dag_scope import Ended
from kfp_ct.local.task_call import TaskCall, forget, take
from kfp_ct.local.task_command import TaskCommand
from kfp_ct.local.task_output import TaskOutput
from kfp_ct.local.task_servers import TaskServers, needs_tensorflow
from kfp_ct.package import package
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import leases
from kfp_ct.runs.events import Listener, Outcome, State
from kfp_ct.runs.task_inputs import TaskInputs

if TYPE_CHECKING:
    from kfp_ct.local.containers import Containers

# Tasks at once, over all loops of a run.
_AT_ONCE = 4
_MOST_BACKOFF = 3600.0


class Engine:
    """Runs one package once."""

    def __init__(
        self, workspace: Workspace, listeners: Sequence[Listener], made_of: PackageVersions, use_cache: bool = True
    ) -> None:
        """Prepares.

        Args:
            workspace: Where artifacts and cache are, and where tasks run.
            listeners: Hear what happens.
            made_of: What the package's tasks are made of, which their cache keys hold.
            use_cache: Reuse the results of tasks whose inputs and versions are the same.
        """
        self.ended: Ended = Ended(State.PENDING)
        self._workspace = workspace
        self._listeners = listeners
        self._made_of = made_of
        self._cache = LocalCache(str(workspace.cache)) if use_cache else None
        self._lock = threading.RLock()
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        self._stopped = False
        self._warm = False
        self._root = workspace.artifacts
        self._facts: dict[str, str] = {}
        self._referred: dict[str, str] = {}  # environment variables that arguments refer to
        self._compiled: package.Package = {}
        self._tasks: TaskServers | Containers | None = None
        self._uses = leases.Lease(workspace.home)

    def run(
        self, compiled: package.Package, arguments: Mapping[str, Any], tasks: "TaskServers | Containers", log: Path
    ) -> bool:
        """Runs a package; returns whether it succeeded. What came of it stands in `ended`.

        Args:
            compiled: A checked package.
            arguments: Values of its inputs.
            tasks: What runs them: task servers in the component environment, or containers.
            log: File that receives what there is to say of the run itself.
        """
        self._compiled, self._tasks = compiled, tasks
        self._referred = {name: os.environ[name] for name in references.references(arguments) if name in os.environ}
        for variable, value in self._referred.items():
            redaction.remember(variable, value)
        name = compiled["pipelineInfo"]["name"]
        now = datetime.datetime.now()
        self._root = self._workspace.artifacts / f"{name}-{now:%Y-%m-%d-%H-%M-%S-%f}"
        self._warm = any(needs_tensorflow(each, self._workspace.root) for each in package.commands(compiled))
        with log.open("a") as plain, self._pipeline_workspace() as folder, self._uses.holding(self._root):
            file = redaction.redacted(plain)
            self._facts = _facts(name, self._root, folder)
            if self._warm and isinstance(tasks, TaskServers) and not self._has_kept_anything():
                tasks.warm_up()  # every task will run
            try:
                self.ended = DagRun(compiled, self, self._facts).run(arguments)
            except CtError as error:
                self.ended = Ended(State.FAILED, error=str(error))
            except BaseException:
                self._stop(file)
                raise
            print(f"{self.ended.state} {self.ended.error}".rstrip(), file=file)
        return self.ended.state is State.SUCCEEDED

    def execute(self, place: Place, task: Mapping[str, Any], inputs: Mapping[str, Any]) -> Ended:
        """Runs a task to its end, and tells listeners before and after."""
        component = self._compiled["components"][task["componentRef"]["name"]]
        executor = self._compiled["deploymentSpec"]["executors"][component["executorLabel"]]
        call = TaskCall(place, task, component, executor, inputs)
        output = TaskOutput()
        with self._slots:
            self._tell("started", place.name, call.component_name)
            started = time.monotonic()
            state, outputs = State.FAILED, dict[str, Any]()
            try:
                if self._stopped:
                    raise RunFailedError("the run was stopped before it began")
                state, outputs = self._answer(call, output)
            except CtError as error:
                output.refuse(str(error))
            except Exception as error:  # whatever it is, the task did not go well, and the run goes to its end
                output.refuse(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
            outcome = _outcome(state, outputs, output, time.monotonic() - started)
            self._tell("ended", place.name, outcome)
        return Ended(state, outputs, outcome.error)

    def refused(self, name: str, error: str) -> None:
        """A task failed before it began."""
        self._tell("ended", name, Outcome(State.FAILED, 0.0, {}, {}, error=error))

    def skipped(self, name: str) -> None:
        """A task will not run."""
        self._tell("ended", name, Outcome(State.SKIPPED, 0.0, {}, {}))

    def repeated(self, names: Sequence[str], count: int) -> None:
        """Tasks of a loop are about to run so many times."""
        self._tell("repeated", names, count)

    def _answer(self, call: TaskCall, output: TaskOutput) -> tuple[State, dict[str, Any]]:
        """Answers a task from the cache, or runs it; what its sources changed under is not kept for another time."""
        version = call.version(self._made_of)
        key = call.key(version, self._cache)
        inputs: TaskInputs = call.described(version, key, self._cache)
        self._tell("resolved", call.place.name, inputs)
        kept = take(key, self._cache, self._uses) if self._cache and key else None
        if kept is not None:
            output.summary = _cached_summary(kept, "")
            return State.CACHED, kept
        outputs = self._attempts(call, output)
        if outputs is None:
            return State.FAILED, {}
        _cached_summary(outputs, output.summary)
        if self._cache and key:
            self._cache.put(key, outputs)
            try:
                call.version(self._made_of)
            except RunFailedError:
                forget(key, self._cache)
        return State.SUCCEEDED, outputs

    def _attempts(self, call: TaskCall, output: TaskOutput) -> dict[str, Any] | None:
        """Runs a task as often as its retry policy says; returns its outputs, None if it failed."""
        policy = call.task.get("retryPolicy", {})
        attempts = 1 + int(policy.get("maxRetryCount", 0))
        for attempt in range(attempts):
            if attempt:
                wait = _backoff(policy, attempt - 1)
                self._say(call.place.name, output, f"attempt {attempt} failed; the next begins in {wait:g} s")
                time.sleep(wait)
            outputs = self._attempt(call, output)
            if outputs is not None or self._stopped:
                return outputs
        return None

    def _attempt(self, call: TaskCall, output: TaskOutput) -> dict[str, Any] | None:
        if "importer" in call.executor:
            return {"artifact": importer.imported(call.executor["importer"], call.inputs, self._facts)}
        if not call.container:
            raise RunFailedError(f"its executor is none that runs here: {', '.join(call.executor) or 'empty'}")
        folder = self._root.joinpath(*call.place.position, *map(str, call.place.iterations))
        folder.mkdir(parents=True, exist_ok=True)
        facts = placeholders.task_facts(self._facts, call.place.position, call.place.iterations)
        given = executor_io.executor_input(call.component, call.inputs, folder)
        command = TaskCommand(
            executor_io.command(call.container, given, facts),
            {**self._referred, **executor_io.variables(call.container, given, facts)},
            str(call.container.get("image", "")),
            folder,
            has_program=bool(call.container.get("command")),
            imminent=call.cacheable and self._warm,
            inputs=executor_io.input_uris(given),
        )
        assert self._tasks is not None  # noqa: S101 - set by run
        output.exit_code = self._tasks.run(command, lambda line: self._say(call.place.name, output, line))
        return executor_io.outputs_of(call.component, given) if output.exit_code == 0 else None

    @contextlib.contextmanager
    def _pipeline_workspace(self) -> Iterator[Path]:
        """Gives a run the folder that its tasks share as KFP's workspace, and removes it."""
        folder = self._workspace.home / "workspaces" / secrets.token_hex(8)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _say(self, task: str, output: TaskOutput, line: str) -> None:
        line = redaction.redact(line)
        output.add(line)
        self._tell("line", task, line)

    def _tell(self, what: str, *arguments: Any) -> None:
        with self._lock:
            for listener in self._listeners:
                getattr(listener, what)(*arguments)

    def _has_kept_anything(self) -> bool:
        entries = Path(self._cache.cache_root).glob("*.json") if self._cache else ()
        return any(each.name != file_index.FILE for each in entries)

    def _stop(self, file: TextIO) -> None:
        self._stopped = True
        print("stopped", file=file)
        if self._tasks is not None:
            self._tasks.kill()


def _facts(name: str, root: Path, workspace: Path) -> dict[str, str]:
    """Returns what the placeholders of a run stand for."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        ".pipeline_job_name": root.name,
        ".pipeline_job_resource_name": root.name,
        ".pipeline_job_uuid": secrets.token_hex(8),
        ".pipeline_job_create_time_utc": now,
        ".pipeline_job_schedule_time_utc": now,
        ".pipeline_root": str(root.parent),
        ".workspace_path": str(workspace),
    }


def _backoff(policy: Mapping[str, Any], attempt: int) -> float:
    """Returns the seconds before a further attempt: as long again, by the policy's factor, up to its limit."""
    first, longest = (float(str(policy.get(key, default)).removesuffix("s"))
                      for key, default in (("backoffDuration", 0), ("backoffMaxDuration", _MOST_BACKOFF)))  # fmt: skip
    factor = float(policy.get("backoffFactor") or 2.0)
    return min(first * factor**attempt, longest)


def described(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns outputs as JSON has them: of an artifact where it is and what it says of itself."""
    return {name: _described(value) for name, value in outputs.items()}


def _described(value: Any) -> Any:
    if isinstance(value, list):
        return [_described(each) for each in value]
    if isinstance(value, dsl.Artifact):
        return {"uri": value.uri, "type": value.schema_title, "metadata": value.metadata}
    return value


def _outcome(state: State, outputs: Mapping[str, Any], output: TaskOutput, seconds: float) -> Outcome:
    artifacts = {name: value for name, value in outputs.items() if isinstance(value, dsl.Artifact)}
    return Outcome(
        state=state,
        seconds=seconds,
        parameters=redaction.redact_tree({name: value for name, value in outputs.items() if name not in artifacts}),
        artifacts=described(artifacts),
        summary=output.summary,
        error=output.reason() if state is State.FAILED else "",
    )


def _cached_summary(outputs: Mapping[str, Any], summary: str) -> str:
    """Keeps a task's summary beside its artifacts, so that a cache hit has it too."""
    folders = {Path(value.uri).parent for value in outputs.values() if isinstance(value, dsl.Artifact)}
    for folder in sorted(folders):
        path = folder / "summary.txt"
        if summary and folder.is_dir():
            path.write_text(summary)
        elif path.is_file():
            return path.read_text()
    return summary
