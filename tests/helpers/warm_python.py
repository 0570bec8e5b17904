"""A Python whose imports are done: processes that tests start are forks of one that has imported what they need.

Importing TensorFlow and what stands on it costs ten seconds of CPU, kfp and MLflow three, and tests start hundreds of
processes. `interpreter` makes a stand-in for a Python executable: it takes the same arguments (`-m MODULE`, `-c CODE`,
`FILE`), and what runs is a process of its own, with the caller's environment, folder and open files, in which only
third-party modules are imported already. Signals reach it; if the stand-in is killed, so is what it stands for. Other
options, and variables that Python reads at its start, run the real interpreter.

Standard library only: it is run by the Python that it warms.
"""

import contextlib
import fcntl
import gc
import importlib
import json
import os
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
import warnings
from pathlib import Path

# Python and TensorFlow read these when they start: a process that is asked for with others starts from nothing.
READ_AT_START = (
    "PYTHONHASHSEED",
    "PYTHONWARNINGS",
    "PYTHONOPTIMIZE",
    "PYTHONINSPECT",
    "PYTHONMALLOC",
    "PYTHONTRACEMALLOC",
)
KERAS = "TF_USE_LEGACY_KERAS"
# An option of pytest's that lets its plugins be as they are: their own assertions then fail without an explanation.
AS_IMPORTED = "-Wignore::pytest.PytestAssertRewriteWarning"
HANDED_OVER = 100  # file descriptors below it are the client's
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
# Names a file for the CPU seconds of every process, which are nobody's children when getrusage is asked.
USAGE = "WARM_PYTHON_USAGE"
LAUNCHER = """#!/bin/sh
exec {python} -I -S {module} --client {socket} {python} {keras} "$0" "$@"
"""


def interpreter(folder: Path, python: Path, modules: tuple[str, ...], keras: str = "0") -> Path:
    """Returns the stand-in for `python`, with `modules` imported; all who share `folder` share its server.

    The server is started by the first who asks, and ends when the last process that asked has ended. It has TensorFlow
    with the Keras that the value of `KERAS` says, and serves those who ask for that one.
    """
    launcher, users = folder / "bin" / "python", folder / "users"
    launcher.parent.mkdir(parents=True, exist_ok=True)
    if not launcher.exists():
        _look_like(folder, python)
        paths = {"python": python, "module": __file__, "socket": folder / "socket", "keras": keras}
        text = LAUNCHER.format(**{name: shlex.quote(str(path)) for name, path in paths.items()})
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
    environment = {**os.environ, KERAS: keras, "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2")}
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
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        while True:
            if selector.select(timeout=1.0):
                _accept(server, users)
            elif _is_alone(users):
                return


def _is_alone(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _accept(server: socket.socket, users: int) -> None:
    connection, _ = server.accept()
    if os.fork() == 0:
        server.close()
        os.close(users)
        os._exit(_keep(connection))
    connection.close()


def _keep(connection: socket.socket) -> int:
    """Keeps one process: forks it, hands it the signals of its client, tells its end; kills it if the client goes."""
    size = int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "big")
    message, descriptors, _, _ = socket.recv_fds(connection, 1, 250)
    while len(message) < size:
        message += connection.recv(size - len(message))
    request = json.loads(message)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        connection.close()
        _become(request, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    threading.Thread(target=_hand_on, args=(connection, child), daemon=True).start()
    _, status, usage = os.wait4(child, 0)
    if record := request["environment"].get(USAGE):
        test = request["environment"].get("PYTEST_CURRENT_TEST", "")
        seconds = usage.ru_utime + usage.ru_stime
        with open(record, "a") as file:
            file.write(json.dumps({"test": test, "arguments": request["arguments"][:4], "seconds": seconds}) + "\n")
    with contextlib.suppress(OSError):
        connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
    return 0


def _hand_on(connection: socket.socket, child: int) -> None:
    with contextlib.suppress(OSError):
        while number := connection.recv(1):
            os.kill(child, number[0])
        os.kill(child, signal.SIGKILL)


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
    for number in FORWARDED:
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
    filters, (option, *rest) = _without_warnings(arguments)
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
        _die_by(-code)
    os._exit(code & 0xFF)


# The client


def client(path: str, python: str, keras: str, executable: str, arguments: list[str]) -> int:
    """Stands in for `python ARGUMENTS`: has the server run it, hands on signals, ends as it ended."""
    for number in FORWARDED:
        signal.signal(number, signal.SIG_DFL)
    connection = _connect(path) if _can_be_warm(arguments, keras) else None
    if connection is None:
        os.execv(python, [python, *arguments])
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    for number in FORWARDED:
        signal.signal(number, lambda each, _: connection.send(bytes([each])))
    _request(connection, executable, arguments)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    answer = connection.recv(4, socket.MSG_WAITALL)
    if not answer:
        return 1
    code = int.from_bytes(answer, "big", signed=True)
    if code < 0:
        _die_by(-code)
    return code


def _die_by(number: int) -> None:
    with contextlib.suppress(OSError):  # those that cannot be caught
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _can_be_warm(arguments: list[str], keras: str) -> bool:
    first, *rest = _without_warnings(arguments)[1] or ["-"]
    if first == "-m" and rest[:1] == ["pytest"]:
        return AS_IMPORTED in rest  # it rewrites its plugins as they are imported
    started_so = first in ("-m", "-c") or not first.startswith("-")
    as_told = not any(os.environ.get(name) for name in READ_AT_START) and os.environ.get(KERAS, "0") == keras
    return started_so and as_told


def _without_warnings(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Splits leading `-W FILTER` off; returns the filters and the other arguments."""
    filters = []
    while len(arguments) > 1 and arguments[0] == "-W":
        filters.append(arguments[1])
        arguments = arguments[2:]
    return filters, arguments


def _connect(path: str) -> socket.socket | None:
    """Connects as soon as the server has imported everything; None if there is none any more."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    end = time.monotonic() + 300
    while time.monotonic() < end:
        try:
            connection.connect(path)
        except FileNotFoundError:
            time.sleep(0.05)
        except ConnectionRefusedError:
            return None
        else:
            return connection
    return None


def _request(connection: socket.socket, executable: str, arguments: list[str]) -> None:
    listed = [int(each.name) for each in Path("/proc/self/fd").iterdir()]
    files = [each for each in listed if each != connection.fileno() and _is_handed_over(each)]
    request = {
        "arguments": arguments, "environment": dict(os.environ), "cwd": str(Path.cwd()), "files": files,
        "umask": _umask(), "executable": executable,
    }  # fmt: skip
    text = json.dumps(request).encode()
    connection.sendall(len(text).to_bytes(4, "big"))
    socket.send_fds(connection, [text[:1]], files)
    connection.sendall(text[1:])


def _is_handed_over(number: int) -> bool:
    try:
        return number < 3 or os.get_inheritable(number)
    except OSError:  # what listed the folder
        return False


def _umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(Path(sys.argv[2]), sys.argv[3:])
    else:
        sys.exit(client(*sys.argv[2:6], sys.argv[6:]))
