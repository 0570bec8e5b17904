"""A process that runs trials for a search: `python -m kfp_ct.components.tune.worker RESULTS_FD`.

A line of JSON on standard input is a request; the answer is a line of JSON on the file descriptor, since standard
output is for what the user's code prints. The process ends with its standard input, also in the middle of a trial:
a search that was killed leaves nobody behind.
"""

import contextlib
import dataclasses
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from typing import Any, TextIO

from kfp_ct.components.tune.trials import Job, Outcome


class Worker:
    """A worker process as the search sees it.

    Args:
        job: What to build the user's tuner from.
    """

    def __init__(self, job: Job) -> None:
        results, theirs = os.pipe()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "kfp_ct.components.tune.worker", str(theirs)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(theirs,), env=environment, text=True)
        os.close(theirs)
        self._results = os.fdopen(results)
        self._send(dataclasses.asdict(job))

    def run(self, project: tuple[str, str], trial: Any) -> Outcome | None:
        """Runs a trial; None if the process is no more."""
        self._send({"project": project, "trial": trial.get_state()})
        answer = self._results.readline()
        return Outcome(**json.loads(answer)) if answer else None

    def close(self) -> int:
        """Ends the process; returns its exit code."""
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        self._results.close()
        return self._process.wait()

    def _send(self, message: Any) -> None:
        # A process that died is noticed where its answer is awaited.
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.write(json.dumps(message) + "\n")
                self._process.stdin.flush()


def serve(requests: TextIO, results: TextIO) -> None:
    """Answers requests until there are no more."""
    from kfp_ct.components.tune import trials

    lines = _lines(requests)
    job = Job(**json.loads(lines.get()))
    with tempfile.TemporaryDirectory() as scratch:
        made: tuple[Any, dict[str, Any]] | None = None
        while True:
            request = json.loads(lines.get())
            try:
                made = made or trials.make_tuner(job, scratch)
                trial = trials.adopt(made[0], tuple(request["project"]), request["trial"])
                outcome = trials.run(*made, trial)
            except Exception as error:
                outcome = Outcome(error=f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")
            results.write(json.dumps(dataclasses.asdict(outcome)) + "\n")
            results.flush()


def _lines(requests: TextIO) -> "queue.Queue[str]":
    """Reads requests aside; the end of them is the end of the process."""
    waiting: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in requests:
            waiting.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return waiting


if __name__ == "__main__":
    serve(sys.stdin, os.fdopen(int(sys.argv[1]), "w"))
