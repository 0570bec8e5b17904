"""The prediction service as a process of its own, with one model, for as long as a step needs it."""

import contextlib
import json
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil

from kfp_ct.components.validate_infra import warm_process
from kfp_ct.components.validate_infra.client import MODEL, Client, Server, ServerError
from kfp_ct.components.validate_infra.warm_process import Process, WarmProcess
from kfp_ct.data import layouts

_LOG_LINES = 15
_MEGABYTE = 1 << 20


@contextlib.contextmanager
def serving(model_path: str, start_s: float, cold: bool = True) -> Iterator[Server]:
    """Runs the service with a model as TensorFlow Serving lays it out; it is gone afterwards, however this ends.

    Args:
        model_path: The model.
        start_s: What the start may take.
        cold: Whether a new interpreter imports TensorFlow, as on a server, even where a process that has done so can be
            forked: what is measured of its start and its memory is a server's only then.

    Raises:
        ServerError: It does not answer for the model within `start_s` seconds; its log is quoted.
    """
    with tempfile.TemporaryDirectory(prefix="validate-infra-") as scratch:
        version = Path(scratch) / "models" / MODEL / "1"
        version.parent.mkdir(parents=True)
        version.symlink_to((Path(model_path) / layouts.SERVING_MODEL).absolute(), target_is_directory=True)
        log_file = Path(scratch) / "server.log"
        with log_file.open("w") as log:
            begin = time.monotonic()
            process = _start(f"{scratch}/models", log, cold)
        warm = isinstance(process, WarmProcess)
        try:
            url = _wait(process, start_s, log_file)
            yield Server(url, lambda: _peak_memory_mb(process.pid), time.monotonic() - begin, warm=warm)
        finally:
            _end(process)


def _start(root: str, log: IO[str], cold: bool) -> Process:
    # Its input closes when this step ends, killed too.
    arguments = ["-m", "kfp_ct.serving", "--root", root, "--port", "0", "--until-stdin-closes"]
    if not cold and warm_process.available():
        return WarmProcess(arguments, log)
    command, pipe = [sys.executable, *arguments], subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True)


def _wait(process: Process, start_s: float, log_file: Path) -> str:
    assert process.stdout is not None  # noqa: S101 - for mypy: it was opened as a pipe
    ready, _, _ = select.select([process.stdout], [], [], start_s)
    if not ready:
        raise ServerError(f"the service did not start within {start_s:g} s{_log_tail(log_file)}")
    line = process.stdout.readline()
    if not line:
        raise ServerError(f"the service ended with exit code {process.wait()}{_log_tail(log_file)}")
    url = f"{json.loads(line)['url']}/v1/models/{MODEL}"
    client = Client(url, start_s)
    try:
        # The service loads what is there before it says where it answers.
        if not client.ready():
            raise ServerError(f"the service cannot load the model{_log_tail(log_file)}")
    finally:
        client.close()
    return url


def _peak_memory_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status")
        if status.is_file():
            return peak_mb(status.read_text())
        return float(psutil.Process(pid).memory_info().rss) / _MEGABYTE
    except (OSError, psutil.Error) as error:
        raise ServerError("the service ended before its memory was read") from error


def peak_mb(status: str) -> float:
    """Returns the sum of the largest resident sizes in the text of one or more /proc/PID/status."""
    lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return sum(int(line.split()[1]) for line in lines) / 1024


def _log_tail(log_file: Path) -> str:
    lines = log_file.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return "; its log ends:\n" + "\n".join(lines) if lines else "; its log is empty"


def _end(process: Process) -> None:
    process.kill()  # it holds nothing worth a graceful end
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
