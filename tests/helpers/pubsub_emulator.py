"""Google's Pub/Sub emulator on loopback, as gcloud brings it."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from ports import free_ports

PROJECT = "test"


def program() -> Path | None:
    """Returns the emulator's program; None where gcloud has not installed it."""
    gcloud = shutil.which("gcloud")
    roots = [Path(gcloud).resolve().parent.parent] if gcloud else []
    found = [root / "platform/pubsub-emulator/bin/cloud-pubsub-emulator" for root in roots]
    return next((path for path in found if path.is_file() and shutil.which("java")), None)


@contextlib.contextmanager
def running():
    """Starts the emulator, points PUBSUB_EMULATOR_HOST there, yields its address."""
    (port,) = free_ports()
    address = f"127.0.0.1:{port}"
    process = subprocess.Popen(
        [program(), "--host=127.0.0.1", f"--port={port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    os.environ["PUBSUB_EMULATOR_HOST"] = address
    try:
        until = time.monotonic() + 120
        while not _answers(port):
            assert process.poll() is None, "the emulator ended"
            assert time.monotonic() < until, "the emulator did not start"
            time.sleep(0.1)
        yield address
    finally:
        del os.environ["PUBSUB_EMULATOR_HOST"]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0
