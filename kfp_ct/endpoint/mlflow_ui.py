"""MLflow's own UI over the local registry, started when somebody first asks for it."""

import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

from kfp_ct.endpoint.store.faults import precondition

_HOST = "127.0.0.1"
# Jobs judge what language models say: they are seven processes of a quarter gigabyte beside the one that shows models.
_VARIABLES = {
    "MLFLOW_ENABLE_TELEMETRY": "false",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


class MlflowUi:
    """One server over a registry file, for as long as the endpoint is there."""

    def __init__(self, registry: Path, log: Path) -> None:
        """Prepares; nothing is started.

        Args:
            registry: The SQLite file.
            log: File for what the server says.
        """
        self._registry = registry
        self._log = log
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def address(self) -> str:
        """Returns where it answers; empty while it is starting.

        Raises:
            Fault: There is nothing to show, or it does not start.
        """
        if not self._registry.exists():
            raise precondition("no model has been registered yet, so there is nothing for MLflow to show")
        with self._lock:
            if self._process is None:
                self._start()
            elif (code := self._process.poll()) is not None:
                self._process = None
                raise precondition(f"MLflow's UI ended with exit code {code}; {self._log} says why")
        url = f"http://{_HOST}:{self._port}"
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:  # noqa: S310 - our own process
                return url if answer.status == 200 else ""
        except (urllib.error.URLError, OSError):
            return ""

    def stop(self) -> None:
        """Ends it, if it was started."""
        with self._lock:
            if self._process is not None:
                self._process.terminate()
                try:
                    self._process.wait(10)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()

    def _start(self) -> None:
        with socket.socket() as free:
            free.bind((_HOST, 0))
            self._port = free.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            _HOST,
            "--port",
            str(self._port),
            "--workers",
            "1",
        ]
        command += [
            "--backend-store-uri",
            f"sqlite:///{self._registry}",
            "--registry-store-uri",
            f"sqlite:///{self._registry}",
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._log.parent, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **_VARIABLES},
            )  # fmt: skip
