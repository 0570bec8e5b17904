"""Runs tasks as processes, by servers in the component environment: a light one at once, one with TensorFlow later."""

import contextlib
import dataclasses
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import kfp_ct
from kfp_ct.base.errors import RunFailedError
from kfp_ct.components.validate_infra import warm_process
from kfp_ct.local import zygote
from kfp_ct.local.task_command import TaskCommand, is_python_component, with_python, with_short_arguments
from kfp_ct.package import processes
from kfp_ct.package.processes import Installation

LIGHT = ("kfp.dsl.executor_main",)
# The prediction service of validate_infra is forked from what has imported TensorFlow only, as a server has. Statistics
# can begin before what later steps need is imported.
HEAVY = ("tensorflow", zygote.EARLY, *LIGHT, "tensorflow_data_validation")
HEAVY_LATER = ("tensorflow_transform.beam", "tensorflow_model_analysis")
SERVICE = ("kfp_ct.serving.app",)
# TensorFlow Transform turns tf.keras into Keras 2 if it is imported before tf.keras is used; then which Keras a model
# is made of would hang on the order of imports.
KERAS_3 = {"TF_USE_LEGACY_KERAS": "0"}
# What the commands of components set too: kfp then leaves out its compiler and client, which no task needs.
RUNTIME = {"_KFP_RUNTIME": "true"}
_PREFIX = "ct-tasks-"
# Sockets take a path of 107 bytes, on macOS of 103; their names here have up to 25. Below a longer TMPDIR they go to
# _SHORT.
_LONGEST, _SHORT = 78, "/tmp"  # noqa: S108 - mkdtemp makes a folder there that is this user's alone
_HEAVY_IMPORT = re.compile(r"^\s*(import|from) (tensorflow|apache_beam|keras|tfx)", re.MULTILINE)
# Modules of this name are for tasks that read or write TFRecord, which ingest does only where its arguments say so.
_TFRECORD, _ARGUMENTS = "tfrecord", "--executor_input"
# What only the author environment's kfp knows, where the component environment has an older one.
_NEW_KFP = re.compile(r"__KFP_EMBEDDED_|\bEmbeddedInput\b|\bTaskConfig\b")
_IMPORT = re.compile(r"^\s*(?:from|import) +([\w.]+)", re.MULTILINE)
# The work of a component of the library, as its interface imports it.
_WORK = re.compile(r"^\s*from (kfp_ct\.components\.\w+) import work$", re.MULTILINE)


class TaskServers:
    """Starts task servers and says how to reach them; leaving the context ends them and everything they started."""

    def __init__(
        self, python: Path, root: Path, log: Path, environments: Mapping[Installation, Path] | None = None
    ) -> None:
        """Prepares.

        Args:
            python: The component environment's interpreter.
            root: The folder that tasks start in.
            log: File that receives what the servers say.
            environments: The interpreters of tasks that install packages.
        """
        self._python = python
        self._root = root
        self._log = log
        self._environments = dict(environments or {})
        self._later = expected_modules((), root)
        _remove_leftovers()
        self._folder = _temporary(tempfile.gettempdir())
        self._sockets = self._folder if len(str(self._folder)) <= _LONGEST else _temporary(_SHORT)
        self._lifeline, self._held = os.pipe()
        self._servers: dict[str, subprocess.Popen[bytes]] = {}
        self._children: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()

    def expect(self, commands: Iterable[Sequence[str]]) -> Self:
        """Has servers that are yet to start import once what tasks of these commands will import of the library."""
        self._later = expected_modules(commands, self._root)
        return self

    def __enter__(self) -> Self:
        self._start("light", [*LIGHT, zygote.LATER, *self._later["light"]], {})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._held)
        os.close(self._lifeline)
        for name, server in self._servers.items():
            self._begin_imports(name)
            # Its lifeline may already have ended it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(server.pid, 9)
            server.wait()
        for folder in {self._folder, self._sockets}:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of tasks: temporary files go where leaving the context removes them."""
        return {
            "TMPDIR": str(self._folder),
            "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
            **{name: os.environ.get(name, value) for name, value in KERAS_3.items()},
        }

    def run(self, task: TaskCommand, say: Callable[[str], None]) -> int:
        """Runs one task to its end; returns its exit code.

        Args:
            task: What it runs.
            say: Receives the lines it writes.

        Raises:
            RunFailedError: It cannot run as a process.
        """
        if not is_python_component(task.elements):
            raise RunFailedError(
                f"it runs a program of the image {task.image}, and tasks run as processes here, without one\n"
                "fix: run with --containers, where an engine is"
            )
        if task.imminent and not processes.installation(task.elements):
            # The cache has missed: what follows will need TensorFlow.
            self.warm_up()
        child = self._start_task(task)
        assert child.stdout is not None  # noqa: S101 - for mypy: it was opened as a pipe
        for line in child.stdout:
            say(line.rstrip("\n"))
        code = child.wait()
        with self._lock:
            self._children.discard(child)  # what is interrupted stays, for `kill`
        return 128 - code if code < 0 else code

    def kill(self) -> None:
        """Ends the tasks that run."""
        with self._lock:
            children = list(self._children)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

    def _start_task(self, task: TaskCommand) -> subprocess.Popen[str]:
        python, read_files = self._pythons(task.elements, task.variables)
        task = dataclasses.replace(task, elements=processes.without_installation(task.elements))
        short = with_short_arguments(task, read_files)
        child = subprocess.Popen(
            with_python(short.elements, python),
            cwd=self._root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **self.environment, **short.variables},
            start_new_session=True,
        )
        with self._lock:
            self._children.add(child)
        return child

    def _pythons(self, elements: Sequence[str], variables: Mapping[str, str]) -> tuple[str, str]:
        """Returns what stands in for `python3` in a task's command, and where long arguments are read from files."""
        installed = processes.installation(elements)
        own = (
            str(self._environments[installed])
            if installed
            else sys.executable
            if _NEW_KFP.search(str(elements))
            else ""
        )
        if own:
            return shlex.quote(own), "python3 {script} --run"
        return self.python_for(list(elements), variables), "python3"

    def warm_up(self) -> None:
        """Begins to import in the background: the heavy libraries, and what the tasks to come import of this one."""
        self._begin_imports("light")
        self._start_heavy("heavy", {})

    def _start_heavy(self, kind: str, variables: Mapping[str, str]) -> None:
        later = [zygote.LATER, *HEAVY_LATER, *self._later["heavy"], zygote.EARLY_LATER, *SERVICE]
        self._start(kind, [*HEAVY, *later], variables)
        self._begin_imports(kind)

    def _begin_imports(self, kind: str) -> None:
        """Ends a server's standard input, which is when it imports what can wait."""
        stream = self._servers[kind].stdin
        if stream is not None and not stream.closed:
            stream.close()

    def python_for(self, command: list[str], variables: Mapping[str, str] | None = None) -> str:
        """Returns what stands in for `python3` in a component's shell command.

        Args:
            command: What the task runs.
            variables: Its environment; which Keras TensorFlow has is decided as it is imported.
        """
        kind = "light"
        if needs_tensorflow(command, self._root):
            chosen = {name: value for name, value in (variables or {}).items() if name in KERAS_3}
            chosen = {name: value for name, value in chosen.items() if value != self.environment[name]}
            kind = f"heavy{''.join(chosen.values())}"
            self._start_heavy(kind, chosen)
        self._await_start(kind)
        client = [str(self._python), "-I", "-S", zygote.__file__]
        # kfp pastes this into a shell script in front of its arguments.
        path = str(self._sockets / kind)
        early = f"{warm_process.SOCKET_VARIABLE}={shlex.quote(path + zygote.EARLY_SUFFIX)}"
        return f"{zygote.SOCKET_VARIABLE}={shlex.quote(path)} {early} {shlex.join(client)}"

    def _start(self, kind: str, modules: Sequence[str], variables: Mapping[str, str]) -> None:
        with self._lock:
            if kind not in self._servers:
                self._servers[kind] = self._server(kind, modules, variables)

    def _server(self, kind: str, modules: Sequence[str], variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
        command = [str(self._python), zygote.__file__, "--serve", str(self._sockets / kind), str(self._lifeline)]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*command, *modules],
                cwd=self._root,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[self._lifeline],
                start_new_session=True,
                env={**os.environ, **self.environment, **RUNTIME, **variables},
            )

    def _await_start(self, kind: str) -> None:
        while not (self._sockets / kind).exists():
            if self._servers[kind].poll() is not None:
                raise RuntimeError(f"the {kind} task server ended while starting; see {self._log}")
            time.sleep(0.01)


def expected_modules(commands: Iterable[Sequence[str]], root: Path) -> dict[str, list[str]]:
    """Returns the modules of the library that tasks of some commands will import, for each kind of server.

    Those of a repository are not among them: they are its tasks' alone.
    """
    modules: dict[str, list[str]] = {"light": [], "heavy": []}
    for command in commands:
        kind = "heavy" if needs_tensorflow(list(command), root) else "light"
        found = (f"{each}.work" for text in command for each in _WORK.findall(text))
        modules[kind] += [each for each in found if each not in modules[kind]]
    return modules


def needs_tensorflow(command: list[str], root: Path) -> bool:
    """Tells from the code a task runs, and the component it imports, whether TensorFlow will be imported.

    Args:
        command: What the task runs; the source of its component is part of it, and its arguments if it has any yet.
        root: The repository; components are in its packages and in the library's.
    """
    modules = {module for text in command for module in _IMPORT.findall(text)}
    sources = {path for module in modules for path in _sources(module, root)}
    if not _has_tfrecord(command):
        sources = {path for path in sources if not path.stem.startswith(_TFRECORD)}
    return any(_HEAVY_IMPORT.search(text) for text in [*command, *(path.read_text() for path in sources)])


def _has_tfrecord(command: list[str]) -> bool:
    given = command[command.index(_ARGUMENTS) + 1 :] if _ARGUMENTS in command else []
    return any(_TFRECORD in each.lower() for each in given)


def _sources(module: str, root: Path) -> list[Path]:
    """Returns the files of a package of the repository or the library, or of the one that a module lies in."""
    base = Path(kfp_ct.__path__[0]).parent if module.startswith("kfp_ct.") else root
    path = base.joinpath(*module.split("."))
    folder = path if path.is_dir() else path.parent if path.with_suffix(".py").is_file() else base
    # A repository itself is no package.
    return [] if folder == base else list(folder.glob("*.py"))


def _temporary(parent: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))


def _remove_leftovers() -> None:
    """Removes the folders of runs that were killed; a folder's name says whose it is."""
    for folder in (path for parent in {tempfile.gettempdir(), _SHORT} for path in Path(parent).glob(f"{_PREFIX}*-*")):
        if not Path(f"/proc/{folder.name.split('-')[2]}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)
