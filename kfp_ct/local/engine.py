"""Runs a compiled package with kfp.local, in the component environment, and tells listeners what happens.

kfp.local has no hooks. This module is the one place that reaches into it, at two points, both module
attributes that kfp looks up at each call: the task executor (to hear of starts, cache hits and ends) and the
task handlers (to start the component environment's Python instead of this one, or a container that is waited for,
and to keep logs apart).
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from google.protobuf import json_format
from kfp import dsl, local
from kfp.local import docker_task_handler, pipeline_orchestrator, status, subprocess_task_handler, task_dispatcher
from kfp.local.orchestrator import task_executor
from kfp.pipeline_spec import pipeline_spec_pb2

from kfp_ct.base import redaction, secrets
from kfp_ct.base import task_log as protocol
from kfp_ct.base.errors import CtError, RunFailedError
from kfp_ct.caching.package_versions import PackageVersions
from kfp_ct.local.containers import Containers
from kfp_ct.local.task_call import TaskCall, forget
from kfp_ct.local.task_servers import TaskServers
from kfp_ct.package import package
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs.events import Listener, Outcome, State


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
        self._workspace = workspace
        self._listeners = listeners
        self._made_of = made_of
        self._use_cache = use_cache
        self._current = ""
        self._cacheable = self._executed = False
        self._output = TaskOutput()
        self._tasks: TaskServers | Containers | None = None
        self._child: subprocess.Popen[str] | None = None
        self._referred: dict[str, str] = {}  # environment variables that arguments refer to

    def run(
        self, compiled: package.Package, arguments: dict[str, Any], tasks: TaskServers | Containers, log: Path
    ) -> bool:
        """Runs a package; returns whether it succeeded.

        Args:
            compiled: A checked package.
            arguments: Values of its inputs.
            tasks: What runs them: task servers in the component environment, or containers.
            log: File that receives what kfp itself has to say.
        """
        self._tasks = tasks
        self._referred = {name: os.environ[name] for name in secrets.references(arguments) if name in os.environ}
        for name, value in self._referred.items():
            redaction.remember(name, value)
        in_containers = isinstance(tasks, Containers)
        local.init(
            local.DockerRunner() if in_containers else local.SubprocessRunner(use_venv=False),
            pipeline_root=str(self._workspace.artifacts),
            # kfp deletes this folder after every run: it must be nothing else's, no other run's either.
            workspace_root=str(self._workspace.home / "kfp-workspace" / str(os.getpid())),
            raise_on_error=True,
            enable_caching=self._use_cache,
            cache_root=str(self._workspace.cache),
        )
        # Not loaded as a component, as kfp.local's own front door does: a pipeline that has the name of one of its
        # components would run as that component alone, past the hooks.
        spec = json_format.ParseDict(compiled, pipeline_spec_pb2.PipelineSpec())
        succeeded = False
        with self._hooks(), log.open("a") as file, _redirected(file):
            try:
                pipeline_orchestrator.run_local_pipeline(spec, arguments)
                succeeded = True
            except RuntimeError as error:
                # kfp says so that a task failed; anything else of that type is a failure all the same.
                print(error)
            except BaseException:
                self._kill_child()
                raise
        return succeeded and not self._output.failed

    @contextlib.contextmanager
    def _hooks(self) -> Iterator[None]:
        execute, handler = task_executor.execute_single_task, subprocess_task_handler.SubprocessTaskHandler
        container_handler = docker_task_handler.DockerTaskHandler
        dispatch = task_dispatcher.run_single_task_implementation
        engine = self

        class ComponentTaskHandler(handler):  # type: ignore[valid-type, misc]
            """Runs a task in the component environment instead of this one."""

            def run(self) -> status.Status:
                return engine._run_task(self.full_command, self.env_vars)

        class ContainerTaskHandler(container_handler):  # type: ignore[valid-type, misc]
            """Runs a task in a container whose end is seen."""

            def run(self) -> status.Status:
                return engine._run_container(self.full_command, self.env_vars)

        def execute_observed(**call: Any) -> Any:
            return engine._observe(execute, call)

        def dispatch_observed(**call: Any) -> Any:
            engine._executed = True
            return dispatch(**call)

        task_executor.execute_single_task = execute_observed
        task_dispatcher.run_single_task_implementation = dispatch_observed
        subprocess_task_handler.SubprocessTaskHandler = ComponentTaskHandler
        docker_task_handler.DockerTaskHandler = ContainerTaskHandler
        try:
            yield
        finally:
            task_executor.execute_single_task = execute
            task_dispatcher.run_single_task_implementation = dispatch
            subprocess_task_handler.SubprocessTaskHandler = handler
            docker_task_handler.DockerTaskHandler = container_handler

    def _observe(self, execute: Any, arguments: dict[str, Any]) -> Any:
        """Announces a task before and after kfp executes it."""
        call = TaskCall(arguments)
        self._current, self._executed, self._cacheable = call.task, False, call.cacheable
        self._output.begin()
        for listener in self._listeners:
            listener.started(call.task, call.component)
        started = time.monotonic()
        try:
            outputs, task_status = self._execute(execute, call)
        except CtError as error:
            self._output.refuse(str(error))
            outputs, task_status = {}, status.Status.FAILURE
        outcome = self._outcome(outputs, task_status == status.Status.SUCCESS, time.monotonic() - started)
        for listener in self._listeners:
            listener.ended(call.task, outcome)
        return outputs, task_status

    def _execute(self, execute: Any, call: TaskCall) -> Any:
        """Executes a task under its version; what its sources changed under is not kept for another time."""
        version = call.version(self._made_of)
        call = call.with_version(version)
        inputs = call.inputs(version)
        for listener in self._listeners:
            listener.resolved(call.task, inputs)
        result = execute(**call.arguments)
        if self._executed and inputs.key:
            try:
                call.version(self._made_of)
            except RunFailedError:
                forget(inputs.key)
        return result

    def _outcome(self, outputs: dict[str, Any], succeeded: bool, seconds: float) -> Outcome:
        artifacts = {name: value for name, value in outputs.items() if isinstance(value, dsl.Artifact)}
        if not succeeded:
            self._output.failed = True
            state = State.FAILED
        else:
            state = State.SUCCEEDED if self._executed else State.CACHED
        summary = _cached_summary(artifacts, self._output.summary)
        return Outcome(
            state=state,
            seconds=seconds,
            parameters=redaction.redact_tree({name: value for name, value in outputs.items() if name not in artifacts}),
            artifacts={
                name: {"uri": value.uri, "type": value.schema_title, "metadata": value.metadata}
                for name, value in artifacts.items()
            },
            summary=summary,
            error="" if succeeded else self._output.reason(),
        )

    def _run_task(self, command: list[str], variables: Mapping[str, str]) -> status.Status:
        servers = self._tasks
        assert isinstance(servers, TaskServers)  # noqa: S101 - set by run, which installs the handler
        if self._cacheable:
            # The cache has missed: what follows will need TensorFlow.
            servers.warm_up()
        python = servers.python_for(command)
        self._child = subprocess.Popen(
            subprocess_task_handler.replace_python_executable(command, python),
            cwd=self._workspace.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **servers.environment, **variables},
            start_new_session=True,
        )
        assert self._child.stdout is not None  # noqa: S101
        for line in self._child.stdout:
            self._say(line.rstrip("\n"))
        self._output.exit_code = self._child.wait()
        self._child = None
        return status.Status.SUCCESS if self._output.exit_code == 0 else status.Status.FAILURE

    def _run_container(self, command: list[str], variables: Mapping[str, str]) -> status.Status:
        assert isinstance(self._tasks, Containers)  # noqa: S101 - set by run, which installs the handler
        self._output.exit_code = self._tasks.run(command, {**self._referred, **variables}, self._say)
        return status.Status.SUCCESS if self._output.exit_code == 0 else status.Status.FAILURE

    def _say(self, line: str) -> None:
        line = redaction.redact(line)
        self._output.add(line)
        for listener in self._listeners:
            listener.line(self._current, line)

    def _kill_child(self) -> None:
        if isinstance(self._tasks, Containers):
            self._tasks.kill()
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)


@contextlib.contextmanager
def _redirected(file: TextIO) -> Iterator[None]:
    """Has a file receive what is printed, without secrets."""
    kept = redaction.redacted(file)
    with contextlib.redirect_stdout(kept), contextlib.redirect_stderr(kept):
        yield


def _cached_summary(artifacts: dict[str, dsl.Artifact], summary: str) -> str:
    """Keeps a task's summary beside its artifacts, so that a cache hit has it too."""
    folders = {Path(artifact.uri).parent for artifact in artifacts.values()}
    for folder in sorted(folders):
        path = folder / "summary.txt"
        if summary and folder.is_dir():
            path.write_text(summary)
        elif path.is_file():
            return path.read_text()
    return summary


class TaskOutput:
    """What the current task said, in the protocol of kfp_ct/base/task_log.py."""

    def __init__(self) -> None:
        self.failed = False
        self.begin()

    def begin(self) -> None:
        """Forgets the task before."""
        self.summary = ""
        self.exit_code = 0
        self._error: list[str] = []
        self._last: list[str] = []

    def refuse(self, message: str) -> None:
        """Takes a message of what did not let the task begin."""
        self._error = message.splitlines()

    def add(self, line: str) -> None:
        """Takes one line."""
        if line.startswith(protocol.SUMMARY):
            self.summary = line.removeprefix(protocol.SUMMARY)
        if line.startswith(protocol.ERROR):
            self._error = [line.removeprefix(protocol.ERROR)]
        elif self._error and line.startswith("  "):
            self._error.append(line.strip())
        self._last = [*self._last[-4:], line]

    def reason(self) -> str:
        """Says why the task failed: its own message, else how it ended and its last words."""
        if self._error:
            return "\n".join(self._error)
        how = f"killed by signal {self.exit_code - 128}" if self.exit_code > 128 else f"exit code {self.exit_code}"
        return "\n".join([f"stopped unexpectedly ({how})", *(line for line in self._last if line.strip())])
