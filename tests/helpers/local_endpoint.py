"""Starts the real endpoint (`ct up`) on a free port, and what small pipelines it can run."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import kfp
import pytest
import yaml
from kfp import compiler, dsl

from repository import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NEEDS_CHROMIUM = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine: apt-get install chromium")
IMAGE = "kfp-ct-components-python:local"


class Endpoint:
    """One `ct up`; may be killed and started again over the same state."""

    def __init__(self, home: Path, *options: str, root: Path = ROOT) -> None:
        self.root = root
        self.home = home
        self.options = options
        self.process: subprocess.Popen | None = None

    def start(self) -> "Endpoint":
        address = self.home / "endpoint" / "address.json"
        address.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kfp_ct.cli.main", "up", "--port", "0", *self.options],
            cwd=self.root, env={**os.environ, "CT_HOME": str(self.home)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        until = time.monotonic() + 180
        while not address.exists():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < until, "the endpoint did not start"
            time.sleep(0.05)
        self.url = json.loads(address.read_text())["url"]
        return self

    def kill(self) -> None:
        """As when the machine's power fails, for the endpoint alone."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> str:
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=60)[0]

    def client(self, **options) -> kfp.Client:
        return kfp.Client(host=self.url, verify_ssl=False, **options)


@contextlib.contextmanager
def running(home: Path, *options: str, root: Path = ROOT):
    endpoint = Endpoint(home, *options, root=root).start()
    try:
        yield endpoint
    finally:
        if endpoint.process.poll() is None:
            endpoint.stop()


def until(what, seconds: float = 120.0, every: float = 0.1):
    """Waits until something is true; returns it."""
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < end, f"it did not come true in {seconds} s"
        time.sleep(every)


def ended(client: kfp.Client, run_id: str):
    return until(lambda: (run := client.get_run(run_id)).state in ("SUCCEEDED", "FAILED") and run)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def double(number: int, note: str = "") -> int:
    print(f"doubling {number} {note}")
    return number * 2


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def touch_and_wait(folder: str, seconds: float, after: int) -> int:
    """Leaves a file a start; waits; fails where a file says so."""
    import pathlib
    import time

    place = pathlib.Path(folder)
    with (place / "starts").open("a") as file:
        file.write("x")
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (place / "go").exists():
        time.sleep(0.05)
    if (place / "fail").exists():
        raise RuntimeError("asked to fail")
    return after


@dsl.pipeline(name="doubling")
def doubling(number: int, note: str = "none") -> int:
    first = double(number=number, note=note)
    return double(number=first.output, note=note).output


@dsl.pipeline(name="waiting")
def waiting(folder: str, seconds: float = 60.0, number: int = 1):
    first = double(number=number)
    touch_and_wait(folder=folder, seconds=seconds, after=first.output).set_caching_options(False)


def compiled(pipeline, path: Path, change=None) -> str:
    compiler.Compiler().compile(pipeline, str(path))
    if change:
        document = yaml.safe_load(path.read_text())
        change(document)
        path.write_text(yaml.safe_dump(document))
    return str(path)
