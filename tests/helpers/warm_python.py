"""A Python whose imports are done: processes that tests start are forks of one that has imported what they need.

Importing TensorFlow and what stands on it costs ten seconds of CPU, kfp and MLflow three, and tests start hundreds of
processes. `interpreter` makes a stand-in for a Python executable: it takes the same arguments (`-m MODULE`, `-c CODE`,
`FILE`), and what runs is a process of its own, with the caller's environment, folder and open files, in which only
third-party modules are imported already. Signals reach it; if the stand-in is killed, so is what it stands for. Other
options, and variables that Python reads at its start, run the real interpreter.

Standard library only: it is run by the Python that it warms.
"""

import contextlib
import dataclasses
import fcntl
import gc
import importlib
import json
import marshal
import os
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
import warnings
from pathlib import Path

import warm_client

AS_IMPORTED = warm_client.AS_IMPORTED
HANDED_OVER = 100  # file descriptors below it are the client's
# jsonschema takes it for the format "iri", which nothing here checks: it makes 38 parsers as it is imported, which is
# seven tenths of what `import kfp` takes beside kubernetes-validate.
UNUSED = "rfc3987_syntax"
# Names a file for the CPU seconds of every process, which are nobody's children when getrusage is asked.
USAGE = "WARM_PYTHON_USAGE"
LAUNCHER = """#!/bin/sh
exec {python} -I -S -c {client} {helpers} {socket} {python} {keras} "$0" "$@"
"""
CLIENT = "import sys; sys.path.insert(0, sys.argv[1]); import warm_client; sys.exit(warm_client.main(*sys.argv[2:]))"


def interpreter(folder: Path, python: Path, modules: tuple[str, ...], keras: str = "0") -> Path:
    """Returns the stand-in for `python`, with `modules` imported; all who share `folder` share its server.

    The server is started by the first who asks, and ends when the last process that asked has ended. It has TensorFlow
    with the Keras that the value of `KERAS` says, and serves those who ask for that one.
    """
    launcher, users = folder / "bin" / "python", folder / "users"
    launcher.parent.mkdir(parents=True, exist_ok=True)
    if not launcher.exists():
        _look_like(folder, python)
        paths = {"python": python, "client": CLIENT, "helpers": Path(__file__).parent, "socket": folder / "socket"}
        text = LAUNCHER.format(**{name: shlex.quote(str(path)) for name, path in {**paths, "keras": keras}.items()})
        partial = folder / f"python-{os.getpid()}"
        partial.write_text(text)
        partial.chmod(0o755)
        partial.rename(launcher)
    # Held to this process's end, however it ends: who cannot have it for himself knows that somebody is left.
    held = os.open(users, os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_SH)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(folder / "started", os.O_CREAT | os.O_EXCL))
        _start(folder, python, modules, keras)
    return launcher


def _look_like(folder: Path, python: Path) -> None:
    """Gives who looks around a Python what is around this one: the environment's configuration and its packages."""
    for name in ("pyvenv.cfg", "lib"):
        if (python.parent.parent / name).exists():
            with contextlib.suppress(FileExistsError):
                (folder / name).symlink_to(python.parent.parent / name)


def _start(folder: Path, python: Path, modules: tuple[str, ...], keras: str) -> None:
    environment = {
        **os.environ,
        warm_client.KERAS: keras,
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
    }
    environment.pop("PYTHONPATH", None)
    with (folder / "log").open("ab") as log:
        subprocess.Popen(
            [python, __file__, "--serve", str(folder), *modules],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment, cwd="/",
        )  # fmt: skip


# The server


def serve(folder: Path, modules: list[str]) -> None:
    """Imports `modules`, then serves as long as somebody holds the lock on `users`."""
    sys.path.remove(str(Path(__file__).parent))
    # What modules open as they are imported stays open, above the numbers that clients hand over.
    reserved = [os.open(os.devnull, os.O_RDONLY) for _ in range(HANDED_OVER)]
    leave_out_unused()
    for module in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    for each in reserved:
        os.close(each)
    gc.freeze()  # what was imported stays: no process's garbage collector need walk it
    users = os.open(folder / "users", os.O_RDWR)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(folder / "socket.partial"))
    server.listen(128)
    (folder / "socket.partial").rename(folder / "socket")
    with selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ, _Server(server, selector).accept)
        while True:
            ready = selector.select(timeout=1.0)
            for key, _ in ready:
                key.data()
            if not ready and len(selector.get_map()) == 1 and _is_alone(users):
                return


def leave_out_unused() -> None:
    """Lets jsonschema do without what is dear to import and used by nothing here."""
    sys.modules.setdefault(UNUSED, None)  # type: ignore[arg-type]


def _is_alone(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Server:
    """Forks the processes that are asked for."""

    def __init__(self, listening: socket.socket, selector: selectors.BaseSelector) -> None:
        self._listening = listening
        self._selector = selector

    def accept(self) -> None:
        """Starts the process that the next client asks for."""
        connection, _ = self._listening.accept()
        try:
            request, descriptors = _read_request(connection)
        except (OSError, ValueError, EOFError):  # the client is gone
            connection.close()
            return
        child = os.fork()
        if child == 0:
            for key in list(self._selector.get_map().values()):
                os.close(key.fd)
            self._selector.close()
            connection.close()
            _become(request, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        kept = _Kept(child, connection, request["environment"], request["arguments"], self._selector)
        self._selector.register(connection, selectors.EVENT_READ, kept.hand_on)
        self._selector.register(kept.ending, selectors.EVENT_READ, kept.end)


@dataclasses.dataclass
class _Kept:
    """One process: it is handed its client's signals, killed if the client goes, and its end is told."""

    process: int
    connection: socket.socket
    environment: dict[str, str]
    arguments: list[str]
    selector: selectors.BaseSelector

    def __post_init__(self) -> None:
        self.ending = os.pidfd_open(self.process)

    def hand_on(self) -> None:
        """Hands on a signal; without a client there is none that the process could be for."""
        if self.ending < 0:  # it ended while the client went
            return
        number = b""
        with contextlib.suppress(OSError):
            number = self.connection.recv(1)
        if not number:
            self.selector.unregister(self.connection)
        os.kill(self.process, number[0] if number else signal.SIGKILL)

    def end(self) -> None:
        """Tells the client how the process ended."""
        _, status, usage = os.wait4(self.process, 0)
        self.selector.unregister(self.ending)
        os.close(self.ending)
        self.ending = -1
        with contextlib.suppress(KeyError):  # the client went before it
            self.selector.unregister(self.connection)
        if record := self.environment.get(USAGE):
            test = self.environment.get("PYTEST_CURRENT_TEST", "")
            seconds = usage.ru_utime + usage.ru_stime
            with open(record, "a") as file:
                file.write(json.dumps({"test": test, "arguments": self.arguments[:4], "seconds": seconds}) + "\n")
        with contextlib.suppress(OSError):
            self.connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
        self.connection.close()


def _read_request(connection: socket.socket) -> tuple[dict, list[int]]:
    size = int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "big")
    message, descriptors, _, _ = socket.recv_fds(connection, 1, 250)
    while len(message) < size:
        message += (part := connection.recv(size - len(message)))
        if not part:
            raise EOFError
    return marshal.loads(message), descriptors


def _become(request: dict, descriptors: list[int]) -> None:
    """Turns this process into the one that was asked for, and ends with it."""
    os.setsid()
    _take_files(request["files"], descriptors)
    os.chdir(request["cwd"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if os.environ.get("PYTHONUNBUFFERED"):
        sys.stdout.reconfigure(write_through=True)
    sys.executable = request["executable"]
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    tempfile.tempdir = None
    importlib.invalidate_caches()
    for number in warm_client.FORWARDED:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 1
    try:
        code = _run(request["arguments"])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else _said(stop.code)
    except BaseException as error:
        error.__traceback__ = _without_ours(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    _finish(code)


def _without_ours(trace: types.TracebackType | None) -> types.TracebackType | None:
    while trace and trace.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>"):
        trace = trace.tb_next
    return trace


def _take_files(wanted: list[int], given: list[int]) -> None:
    """Puts what was sent where the client had it."""
    high = [fcntl.fcntl(each, fcntl.F_DUPFD, HANDED_OVER) for each in given]
    os.closerange(0, HANDED_OVER)
    for number, each in zip(wanted, high, strict=True):
        os.dup2(each, number)
        os.close(each)
    sys.stdin = open(0, closefd=False) if 0 in wanted else None
    sys.stdout = open(1, "w", closefd=False)
    sys.stderr = open(2, "w", closefd=False, buffering=1, errors="backslashreplace")


def _said(code: object) -> int:
    if code is not None:
        print(code, file=sys.stderr)
    return int(code is not None)


def _run(arguments: list[str]) -> int:
    filters, (option, *rest) = warm_client.without_warnings(tuple(arguments))
    sys.warnoptions += filters
    warnings._processoptions(filters)
    main = types.ModuleType("__main__")
    main.__builtins__ = __builtins__
    first = str(Path.cwd())
    if option == "-m":
        import runpy

        sys.modules["__main__"] = main
        sys.argv = ["-m", *rest[1:]]
        sys.path[:0] = [first, *_python_path()]
        runpy._run_module_as_main(rest[0])
        return 0
    if option == "-c":
        text, name, sys.argv, first = rest[0], "<string>", ["-c", *rest[1:]], ""
    else:
        text, name, sys.argv, first = Path(option).read_text(), option, [option, *rest], _folder_of(option)
        main.__file__ = option
    sys.modules["__main__"] = main
    sys.path[:0] = [first, *_python_path()]
    exec(compile(text, name, "exec"), main.__dict__)
    return 0


def _folder_of(script: str) -> str:
    return str(Path(script).resolve().parent)


def _python_path() -> list[str]:
    return [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]


def _finish(code: int) -> None:
    """Ends as Python does: threads are waited for, exit handlers run, streams are flushed."""
    import atexit

    with contextlib.suppress(BaseException):
        threading._shutdown()
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    if code < 0:
        warm_client.die_by(-code)
    os._exit(code & 0xFF)


if __name__ == "__main__":
    serve(Path(sys.argv[2]), sys.argv[3:])
