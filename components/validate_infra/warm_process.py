"""A module run as a fork of a process that has imported TensorFlow, where the task has such a process beside it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import IO

# Set for tasks that run as forks themselves: the socket of a process that has imported TensorFlow and nothing else.
SOCKET_VARIABLE = "CT_TENSORFLOW_FORKS"


def available() -> bool:
    """Whether there is a process to fork."""
    return Path(os.environ.get(SOCKET_VARIABLE, os.devnull)).is_socket()


class WarmProcess:
    """A running fork with pipes for standard input and output: the part of `subprocess.Popen` that is needed.

    Args:
        arguments: `-m`, the module and its arguments.
        log: Receives standard error.
    """

    def __init__(self, arguments: list[str], log: IO[str]) -> None:
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connection.connect(os.environ[SOCKET_VARIABLE])
        (input_end, held), (read, output_end) = os.pipe(), os.pipe()
        request = {"arguments": arguments, "environment": dict(os.environ), "cwd": str(Path.cwd()), "tell_pid": True}
        socket.send_fds(self._connection, [json.dumps(request).encode()], [input_end, output_end, log.fileno()])
        os.close(input_end)
        os.close(output_end)
        self.stdin, self.stdout = os.fdopen(held, "w"), os.fdopen(read)
        self._answers = self._connection.makefile()
        self.pid = int(json.loads(self._answers.readline())["pid"])

    def wait(self) -> int:
        """Waits for its end; returns the exit code, negative for a signal."""
        answer = self._answers.readline()
        return int(json.loads(answer)["code"]) if answer else -signal.SIGKILL

    def kill(self) -> None:
        """Ends it at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


Process = subprocess.Popen[str] | WarmProcess
