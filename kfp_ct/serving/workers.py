"""Several processes that answer at one port: Python runs one thread of a process at a time, a busy machine has more.

Each worker is the whole service: it loads the models, follows them, and writes files of its own to the request log.
The kernel gives each its share of the connections (SO_REUSEPORT), and only to those that have loaded their models. This
process answers nothing: it reserves the ports, starts the workers, replaces one that died, and passes on the end.
TensorFlow does not survive a fork, so every worker is a process of its own from the start.
"""

import argparse
import json
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kfp_ct.serving import listeners, options

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_AGAIN_SECONDS = 1.0
_LOOK_SECONDS = 0.2
_log = logging.getLogger("serving")


class Workers:
    """The workers of one service."""

    def __init__(self, given: argparse.Namespace, arguments: Sequence[str]) -> None:
        """Reserves the ports; what a worker needs beyond the command line is in its environment.

        Raises:
            UsageError: A port is taken.
        """
        self._count = given.workers
        self._reserved = [listeners.reserve(given.host, given.port)]
        if given.grpc_port is not None:
            self._reserved.append(listeners.reserve(given.host, given.grpc_port))
        ports = [reserved.getsockname()[1] for reserved in self._reserved]
        self._arguments = [*arguments, "--port", str(ports[0]), "--until-stdin-closes"]
        self._arguments += ["--grpc-port", str(ports[1])] if len(ports) > 1 else []
        self._metrics = tempfile.mkdtemp(prefix="ct-metrics-")
        given_here = {name: value for name, value in os.environ.items() if value}
        self._environment = {**_shared(self._count), **given_here, METRICS_VARIABLE: self._metrics}
        self._processes: dict[int, subprocess.Popen[str]] = {}
        self._stopping = threading.Event()

    def run(self, until_stdin_closes: bool) -> int:
        """Serves until it is told to stop; returns the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._tell())
        if until_stdin_closes:
            threading.Thread(target=self._stop_at_end_of_input, name="stdin", daemon=True).start()
        try:
            return self._run()
        finally:
            self._end()

    def _run(self) -> int:
        for index in range(self._count):
            self._start(index)
        for place in self._places():
            if place is None:
                return max((process.poll() or 0 for process in self._processes.values()), default=0)
        print(json.dumps(place), flush=True)
        while not self._stopping.wait(_LOOK_SECONDS):
            for index, process in list(self._processes.items()):
                if process.poll() is not None:
                    self._replace(index, process)
        return 0

    def _places(self) -> Iterator[dict[str, Any] | None]:
        """Yields where each worker answers, once it does; None for one that ended before, or was told to."""
        for process in self._processes.values():
            assert process.stdout is not None  # noqa: S101 - for mypy: it was opened as a pipe
            line = process.stdout.readline()
            yield json.loads(line) if line and not self._stopping.is_set() else None

    def _start(self, index: int) -> None:
        self._processes[index] = subprocess.Popen(
            [sys.executable, "-m", "kfp_ct.serving", *self._arguments, options.WORKER, str(index)],
            env=self._environment,
            stdin=subprocess.PIPE,  # closes when this process ends, however it ends
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C reaches it once, from here
        )

    def _replace(self, index: int, process: subprocess.Popen[str]) -> None:
        _log.error("worker %d ended with exit code %d; another is started", index, process.returncode)
        _forget(process.pid, self._metrics)
        _close(process)
        if not self._stopping.wait(_AGAIN_SECONDS):
            self._start(index)

    def _end(self) -> None:
        if not self._stopping.is_set():
            self._tell()
        for process in self._processes.values():
            process.wait()
            _close(process)
        for reserved in self._reserved:
            reserved.close()
        shutil.rmtree(self._metrics, ignore_errors=True)

    def _stop_at_end_of_input(self) -> None:
        sys.stdin.buffer.read()
        self._tell()

    def _tell(self) -> None:
        """Passes the end on; told once more while they drain, the workers end at once."""
        self._stopping.set()
        for process in list(self._processes.values()):
            process.terminate()


def _shared(count: int) -> dict[str, str]:
    """Returns what all workers need alike: their share of the processors, and one key for what the log hashes."""
    threads = str(max(1, (os.cpu_count() or 1) // count))
    return {
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        options.HASH_KEY_VARIABLE: secrets.token_hex(),
    }


def _forget(pid: int, folder: str) -> None:
    """Removes the gauges of a process that ended; what it counted stays counted."""
    for path in Path(folder).glob(f"gauge_live*_{pid}.db"):
        path.unlink(missing_ok=True)


def _close(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def worker_folder(cache: Path | None, index: int | None) -> Path | None:
    """Returns the folder for models of a bucket: each worker fetches its own, that none changes another's."""
    return cache if cache is None or index is None else cache / f"worker-{index}"
