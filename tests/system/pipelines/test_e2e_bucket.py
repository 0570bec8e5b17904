"""State and artifacts in an object store, steps and service in their images, no shared folder: served, switched."""

import contextlib
import dataclasses
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
import yaml

import container_engine
import repository_copy
import seaweedfs
from ct_command import SMALL, ct
from kfp_ct.storage import storage
from local_endpoint import until
from repository import ROOT

COMPONENTS = os.environ.get("CT_TEST_IMAGE", "kfp-ct-components:dev")
LIBRARY = os.environ.get("CT_TEST_LIBRARY_IMAGE", "kfp-ct-components-library:dev")
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


@dataclasses.dataclass
class World:
    """What the cases below share: an engine, an object store that holds the data, and a registry."""

    folder: Path
    host: str
    environment: dict[str, str]
    registry: str

    def settings(self) -> dict[str, str]:
        return {
            "registry_uri": self.registry, "serving_root": "s3://data/ct/serving", "checkpoints": "s3://data/ct/checkpoints",
            "sources.flights.uri": "s3://data/ct/flights.csv.zip", "sources.weather.uri": "s3://data/ct/weather.csv",
        }  # fmt: skip


@pytest.fixture
def world(tmp_path, monkeypatch):
    with contextlib.ExitStack() as stack:
        host = stack.enter_context(container_engine.engine(tmp_path))
        monkeypatch.setenv("DOCKER_HOST", host)
        container_engine.require_shared(host, tmp_path)
        container_engine.require_sources(host, COMPONENTS)
        store = stack.enter_context(seaweedfs.running())
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        for name in ("flights.csv.zip", "weather.csv"):
            storage.write(f"s3://data/ct/{name}", DATA / name)
        yield World(tmp_path, host, store.environment(), stack.enter_context(mlflow(tmp_path)))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_in_a_bucket_is_trained_served_switched_and_rolled_back_without_a_failed_answer(world):
    container_engine.require_sources(world.host, SERVING)
    root, places = "s3://data/ct/artifacts", world.settings()
    given = [part for name, value in places.items() for part in ("--set", f"{name}={value}")]

    def train(*more: str):
        where = ("--containers", "--image", COMPONENTS, "--pipeline-root", root)
        done = ct(world.folder / "home", "run", "flights", "--json", *where, *SMALL, *given, *more)
        assert done.code == 0, done.err
        assert done.states()["deploy"] == "SUCCEEDED", done.err
        model = Path(done.task("train")["artifacts"]["model"]["uri"]).relative_to(world.folder / "home/artifacts")
        assert storage.list_folder(f"{root}/{model}"), "what a step reads is what the store has"

    train()
    with service(world.host, world.environment):
        until(lambda: answers(f"http://127.0.0.1:{PORT}/readyz"), seconds=300, every=1)
        with Client().asking() as client:
            # Other weights, whatever the gates would say of so small a difference.
            train("--set", "hyperparameters.epochs=3", "--set", "gates.min_gain=-0.5")
            until(lambda: len(client.answers) == 2, seconds=300, every=1)
            served = ("--serving-root", places["serving_root"], "--registry", world.registry)
            back = ct(world.folder, "rollback", "flights", *served)
            assert back.code == 0, back.err
            until(lambda: len(client.answers) == 3, seconds=300, every=1)
            time.sleep(1)
    assert client.failures == []
    assert client.answers[0] == client.answers[2] != client.answers[1]
    assert client.asked > 100


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_clusters_package_runs_in_the_librarys_image_and_fetches_the_users_code(world):
    """As a cluster does it: `ct compile` uploads the code, tasks have the library alone and fetch it."""
    container_engine.require_sources(world.host, LIBRARY)
    root = repository_copy.make(world.folder / "repository")
    settings = {
        "extends": "base.yaml",
        "kfp": {"host": "http://127.0.0.1:8888", "code": "package", "code_location": "s3://data/ct/code"},
        "parameters": {
            "window_end": "2013-04-01", "hyperparameters": {"epochs": 2, "batch_size": 512},
            "registry_uri": world.registry, "serving_root": "s3://data/ct/serving",
            "sources": {
                "flights": {"uri": "s3://data/ct/flights.csv.zip"}, "weather": {"uri": "s3://data/ct/weather.csv"},
            },
        },
    }  # fmt: skip
    (root / "pipelines/flights/settings/cluster.yaml").write_text(yaml.safe_dump(settings))
    package, home = world.folder / "package.yaml", world.folder / "home"
    options = ("--settings", "cluster", "--target", "kfp", "--upload-code", "--output", str(package))
    compiled = ct(home, "compile", "flights", *options, "--image", f"components-library={LIBRARY}", root=root)
    assert compiled.code == 0, compiled.err
    assert storage.list_folder("s3://data/ct/code")

    done = ct(home, "run", str(package), "--json", "--containers", root=root)

    assert done.code == 0, done.err
    assert done.states()["deploy"] == "SUCCEEDED", done.err
    assert LIBRARY in package.read_text()
