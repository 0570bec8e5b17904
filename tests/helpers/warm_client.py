"""Stands in for `python ARGUMENTS`: has the server of warm_python.py run it, hands on signals, ends as it ended.

It starts whenever a test starts a Python, so it imports nothing that is not in the interpreter already.
"""

import _signal
import _socket
import marshal
import os
import sys
import time

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
FORWARDED = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGUSR1, _signal.SIGUSR2)


def main(path: str, python: str, keras: str, executable: str, *arguments: str) -> int:
    """Runs `python ARGUMENTS`; returns its exit code."""
    for number in FORWARDED:
        _signal.signal(number, _signal.SIG_DFL)
    connection = _connect(path) if _can_be_warm(arguments, keras) else None
    if connection is None:
        os.execv(python, [python, *arguments])
    _signal.pthread_sigmask(_signal.SIG_BLOCK, FORWARDED)
    for number in FORWARDED:
        _signal.signal(number, lambda each, _: connection.send(bytes([each])))
    _request(connection, executable, arguments)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, FORWARDED)
    answer = connection.recv(4, _socket.MSG_WAITALL)
    if not answer:
        return 1
    code = int.from_bytes(answer, "big", signed=True)
    if code < 0:
        die_by(-code)
    return code


def die_by(number: int) -> None:
    """Ends this process by a signal."""
    if number not in (_signal.SIGKILL, _signal.SIGSTOP):
        _signal.signal(number, _signal.SIG_DFL)
    os.kill(os.getpid(), number)


def without_warnings(arguments: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    """Splits leading `-W FILTER` off; returns the filters and the other arguments."""
    filters = []
    while len(arguments) > 1 and arguments[0] == "-W":
        filters.append(arguments[1])
        arguments = arguments[2:]
    return filters, arguments


def _can_be_warm(arguments: tuple[str, ...], keras: str) -> bool:
    first, *rest = without_warnings(arguments)[1] or ("-",)
    if first == "-m" and rest[:1] == ["pytest"]:
        return AS_IMPORTED in rest  # it rewrites its plugins as they are imported
    started_so = first in ("-m", "-c") or not first.startswith("-")
    as_told = not any(os.environ.get(name) for name in READ_AT_START) and os.environ.get(KERAS, "0") == keras
    return started_so and as_told


def _connect(path: str) -> "_socket.socket | None":
    """Connects as soon as the server has imported everything; None if there is none any more."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
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


def _request(connection: "_socket.socket", executable: str, arguments: tuple[str, ...]) -> None:
    listed = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - pathlib takes as long as all else
    files = [each for each in listed if each != connection.fileno() and _is_handed_over(each)]
    request = {
        "arguments": list(arguments), "environment": dict(os.environ), "cwd": os.getcwd(), "files": files,  # noqa: PTH109
        "umask": _umask(), "executable": executable,
    }  # fmt: skip
    content = marshal.dumps(request)
    connection.sendall(len(content).to_bytes(4, "big"))
    numbers = b"".join(each.to_bytes(4, sys.byteorder) for each in files)
    connection.sendmsg([content[:1]], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)])
    connection.sendall(content[1:])


def _is_handed_over(number: int) -> bool:
    try:
        return number < 3 or os.get_inheritable(number)
    except OSError:  # what listed the folder
        return False


def _umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found
