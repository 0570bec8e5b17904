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

import psutil

from kfp_ct.components.validate_infra.client import MODEL, Client, Server, ServerError
from kfp_ct.data import layouts

_LOG_LINES = 15
_MEGABYTE = 1 << 20


@contextlib.contextmanager
def serving(model_path: str, start_s: float) -> Iterator[Server]:
    """Runs the service with a model as TensorFlow Serving lays it out; it is gone afterwards, however this ends.

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
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "kfp_ct.serving",
                    "--root",
                    f"{scratch}/models",
                    "--port",
                    "0",
                    "--until-stdin-closes",
                ],
                stdin=subprocess.PIPE,  # closes when this step ends, killed too
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            url = _wait(process, start_s, log_file)
            yield Server(url, lambda: _peak_memory_mb(process.pid), time.monotonic() - begin)
        finally:
            _end(process)


def _wait(process: "subprocess.Popen[str]", start_s: float, log_file: Path) -> str:
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


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()  # it holds nothing worth a graceful end
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
