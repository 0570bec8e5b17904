"""The prediction service in a container of its own: this project's image, or TensorFlow Serving's."""

import contextlib
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.validate_infra.client import MODEL, Client, Server, ServerError
from kfp_ct.components.validate_infra.server import peak_mb
from kfp_ct.data import layouts

_PORT = 8501  # of the REST API in both images
_LOG_LINES = 15
_POLL_S = 0.2
# Removes the container when its input closes: when this step ends, killed too.
_REMOVER = 'read -r _; exec "$0" rm --force "$1" >/dev/null 2>&1'


@contextlib.contextmanager
def serving(model_path: str, image: str, start_s: float) -> Iterator[Server]:
    """Runs a container that has the model mounted read-only and answers on a port of this machine only.

    Raises:
        ConfigurationError: No container engine answers, or it cannot start the image.
        ServerError: The container does not answer for the model within `start_s` seconds; its log is quoted.
    """
    engine = _engine()
    name = f"validate-infra-{uuid.uuid4().hex[:12]}"
    remover = subprocess.Popen(["sh", "-c", _REMOVER, engine, name], stdin=subprocess.PIPE, start_new_session=True)
    try:
        begin = time.monotonic()
        _start(engine, name, image, (Path(model_path) / layouts.SERVING_MODEL).absolute())
        url = f"http://{_address(engine, name)}/v1/models/{MODEL}"
        nulls = _wait(engine, name, url, begin + start_s)
        yield Server(url, lambda: _peak_memory_mb(engine, name), time.monotonic() - begin, nulls)
    finally:
        remover.communicate()


def _engine() -> str:
    """Returns the command of the engine that answers."""
    message = "neither docker nor podman is installed"
    for command in ("docker", "podman"):
        if found := shutil.which(command):
            result = _run(found, "info")
            if result.returncode == 0:
                return found
            message = _last_line(result.stderr)
    raise ConfigurationError(
        f"infra.server asks for a container, and no container engine answers: {message}\n"
        "expected: the docker or podman command, and its engine running\n"
        "fix: start it, name the address of a service that has the model, or leave infra.server out"
    )


def _start(engine: str, name: str, image: str, model: Path) -> None:
    mount = f"type=bind,source={model},target=/models/{MODEL}/1,readonly"
    options = ["--detach", "--name", name, "--publish", f"127.0.0.1::{_PORT}", "--mount", mount]
    result = _run(engine, "run", *options, "--env", f"MODEL_NAME={MODEL}", image)
    if result.returncode:
        raise ConfigurationError(
            f"infra.server: the image {image} cannot be run: {_last_line(result.stderr)}\n"
            "expected: a serving image of this project, or tensorflow/serving:TAG, that the engine has or can pull"
        )


def _address(engine: str, name: str) -> str:
    result = _run(engine, "port", name, f"{_PORT}/tcp")
    if result.returncode or not result.stdout.strip():
        raise ServerError(f"the container does not answer on port {_PORT}{_log_tail(engine, name)}")
    return result.stdout.split()[0]


def _wait(engine: str, name: str, url: str, deadline: float) -> bool:
    """Waits for the model; returns whether the service takes null for a missing value."""
    while True:
        client = Client(url, max(_POLL_S, deadline - time.monotonic()))
        try:
            if client.state() == "AVAILABLE":
                return client.ready()
        except ServerError:  # it is not there yet
            pass
        finally:
            client.close()
        running = _run(engine, "inspect", "--format", "{{.State.Running}}", name).stdout.strip()
        if running != "true":
            raise ServerError(f"the container ended{_log_tail(engine, name)}")
        if time.monotonic() > deadline:
            raise ServerError(f"the container did not answer for the model in time{_log_tail(engine, name)}")
        time.sleep(_POLL_S)


def _peak_memory_mb(engine: str, name: str) -> float | None:
    """The processes' largest resident sizes: a container's own counters hold the file cache as well."""
    result = _run(engine, "exec", name, "sh", "-c", "cat /proc/[0-9]*/status")
    if "VmHWM:" in result.stdout:  # the status of a process that has ended meanwhile fails
        return peak_mb(result.stdout)
    if _run(engine, "inspect", "--format", "{{.State.Running}}", name).stdout.strip() != "true":
        raise ServerError(f"the container ended before its memory was read{_log_tail(engine, name)}")
    return None


def _log_tail(engine: str, name: str) -> str:
    result = _run(engine, "logs", "--tail", str(_LOG_LINES), name)
    lines = [*result.stdout.splitlines(), *result.stderr.splitlines()][-_LOG_LINES:]
    return "; its log ends:\n" + "\n".join(lines) if lines else "; its log is empty"


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no word from it")[:300]
