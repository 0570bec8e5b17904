"""The prediction service as a process of its own, with one model, for as long as a step needs it."""

import contextlib
import http.client
import json
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from components import artifacts

_MODEL = "model"
_ROOT = Path(__file__).parents[2]
_LOG_LINES = 15
_MEGABYTE = 1 << 20


class ServerError(Exception):
    """The service does not start or does not answer; the message says why."""


class Server:
    """A running service.

    Attributes:
        address: Host and port.
        load_s: Seconds from the start of the process until it answered for the model.
    """

    def __init__(self, address: str, process: "subprocess.Popen[str]", load_s: float) -> None:
        self.address = address
        self.load_s = load_s
        self._process = process

    def peak_memory_mb(self) -> float:
        """Returns the largest resident memory so far.

        Raises:
            ServerError: The process is gone.
        """
        try:
            status = Path(f"/proc/{self._process.pid}/status")
            if status.is_file():
                for line in status.read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        return int(line.split()[1]) / 1024
            return float(psutil.Process(self._process.pid).memory_info().rss) / _MEGABYTE
        except (OSError, psutil.Error) as error:
            raise ServerError("the service ended before its memory was read") from error


class Client:
    """One kept connection to a service."""

    def __init__(self, address: str, seconds: float) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=seconds)

    def predict(self, instances: list[Any], signature: str) -> list[Any]:
        """Returns one prediction a row.

        Raises:
            ServerError: The service gives no answer, an error, or another number of predictions.
        """
        body = json.dumps({"signature_name": signature, "instances": instances})
        status, answer = self._ask("POST", f"/v1/models/{_MODEL}:predict", body)
        predictions = answer.get("predictions")
        if status != http.client.OK or not isinstance(predictions, list):
            raise ServerError(f"HTTP {status}: {str(answer.get('error', answer))[:500]}")
        if len(predictions) != len(instances):
            raise ServerError(f"{len(instances)} rows were sent, {len(predictions)} predictions came back")
        return predictions

    def ready(self) -> bool:
        """Whether the model can be asked."""
        return self._ask("GET", "/readyz", None)[0] == http.client.OK

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: str | None) -> tuple[int, dict[str, Any]]:
        try:
            self._connection.request(method, path, body)
            response = self._connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            raise ServerError(f"no answer: {error or type(error).__name__}") from error
        return response.status, answer if isinstance(answer, dict) else {}


@contextlib.contextmanager
def serving(model_path: str, start_s: float) -> Iterator[Server]:
    """Runs the service with a model as TensorFlow Serving lays it out; it is gone afterwards, however this ends.

    Raises:
        ServerError: It does not answer for the model within `start_s` seconds; its log is quoted.
    """
    with tempfile.TemporaryDirectory(prefix="validate-infra-") as scratch:
        version = Path(scratch) / "models" / _MODEL / "1"
        version.parent.mkdir(parents=True)
        version.symlink_to((Path(model_path) / artifacts.SERVING_MODEL).absolute(), target_is_directory=True)
        log_file = Path(scratch) / "server.log"
        with log_file.open("w") as log:
            begin = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-m", "serving", "--root", f"{scratch}/models", "--port", "0", "--until-stdin-closes"],
                cwd=_ROOT,
                stdin=subprocess.PIPE,  # closes when this step ends, killed too
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            address = _wait(process, start_s, log_file)
            yield Server(address, process, time.monotonic() - begin)
        finally:
            _end(process)


def _wait(process: "subprocess.Popen[str]", start_s: float, log_file: Path) -> str:
    assert process.stdout is not None  # noqa: S101 - for mypy: it was opened as a pipe
    ready, _, _ = select.select([process.stdout], [], [], start_s)
    if not ready:
        raise ServerError(f"the service did not start within {start_s:g} s{_quoted(log_file)}")
    line = process.stdout.readline()
    if not line:
        raise ServerError(f"the service ended with exit code {process.wait()}{_quoted(log_file)}")
    address = urlsplit(json.loads(line)["url"]).netloc
    client = Client(address, start_s)
    try:
        # The service loads what is there before it says where it answers.
        if not client.ready():
            raise ServerError(f"the service cannot load the model{_quoted(log_file)}")
    finally:
        client.close()
    return address


def _quoted(log_file: Path) -> str:
    lines = log_file.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return "; its log ends:\n" + "\n".join(lines) if lines else "; its log is empty"


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()  # it holds nothing worth a graceful end
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
