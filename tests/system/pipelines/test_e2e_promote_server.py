"""Promote and rollback where the registry is an MLflow server, which hands its files out by HTTP."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from kfp_ct.base.errors import ModelNotBlessedError
from kfp_ct.champions import listing, promotion
from kfp_ct.champions.locations import open_location
from kfp_ct.champions.promotion import Person
from kfp_ct.components.deploy import work as deploying
from kfp_ct.components.register import work as registering
from kfp_ct.models import champion_history, registry_mlflow, serving_folder
from kfp_ct.project.workspace import Workspace
from ports import free_ports
from release_artifacts import make_run
from repository import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow", "ignore::sqlalchemy.exc.SAWarning"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real MLflow server with its files behind it; yields its address."""
    folder = tmp_path_factory.mktemp("server")
    (port,) = free_ports()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")],
            stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 180
        while not healthy(url):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.3)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def healthy(url):
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def test_alias_and_service_move_together_by_the_blessing_the_server_keeps(server, tmp_path):
    place = open_location(Workspace(ROOT, tmp_path / "home"), server, tmp_path / "serving")
    for content in ("one", "two"):
        run = make_run(tmp_path / content, content)
        version = registering.register(run.candidate(f"key {content}"), server, "flights").version
        release = serving_folder.Release(run.model, run.blessing, "flights", version)
        deploying.deploy(
            release, deploying.Destination(str(place.serving_root)), 1, str(tmp_path / content / "deployment")
        )

    assert promotion.rollback(place, "flights", Person("ada", "it lost")).move.version == "1"

    assert place.reader.champion("flights").number == serving_folder.served(place.serving_root, "flights") == "1"
    assert (place.serving_root / "flights" / "1" / "saved_model.pb").read_text() == "graph one"
    assert place.reader.models() == ["flights"]
    kept = [(each.kind, each.version, each.state) for each in listing.history(place, "flights")]
    assert kept == [
        (champion_history.ROLLBACK, "1", champion_history.DONE),
        (champion_history.REGISTER, "2", champion_history.DONE),
        (champion_history.REGISTER, "1", champion_history.DONE),
    ]

    listed = {each.version: each for each in listing.versions(place, "flights")}
    assert [(listed[number].blessed, listed[number].metric, listed[number].value) for number in ("1", "2")] == [
        (True, "auc", 0.7),
        (True, "auc", 0.7),
    ]
    client = registry_mlflow.open_client(server)
    first = client.get_model_version("flights", "1")
    client.create_model_version("flights", f"{first.source}/Training", first.run_id)
    with pytest.raises(ModelNotBlessedError):
        promotion.promote(place, "flights", "3", Person("ada"))
    assert place.reader.champion("flights").number == "1"
    assert {each.version: each.blessed for each in listing.versions(place, "flights")}["3"] is False
