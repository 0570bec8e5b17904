"""A registered model is found by alias or number, and handed on from where it lies."""

import subprocess
import sys
from pathlib import Path

import pytest

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.register import work as register_work
from kfp_ct.components.resolve_model import work
from kfp_ct.data import layouts
from kfp_ct.models import model_version, registered_model, registry, registry_mlflow
from release_artifacts import make_run

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow", "ignore::sqlalchemy.exc.SAWarning")


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """A registry with two versions; the second is the champion."""
    root = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{root}/registry.db"
    for name in ("one", "two"):
        register_work.register(make_run(root / "runs" / name, name).candidate(name), uri, "flights")
    return uri


def graph(found):
    return (
        Path(work.materialize(found, "/task/model", "/task/model")) / layouts.SERVING_MODEL / "saved_model.pb"
    ).read_text()


@pytest.mark.parametrize(
    ("wanted", "version", "content"),
    [("champion", "2", "graph two"), ("1", "1", "graph one"), (" 2 ", "2", "graph two")],
)
def test_finds_the_champion_or_a_version_and_hands_on_its_own_folder(registered, wanted, version, content, capsys):
    found = work.resolve(registered, "flights", wanted)

    assert (found.version, graph(found)) == (version, content)
    said = capsys.readouterr().out
    assert said == f"summary: flights v{version}{', the champion' if wanted == 'champion' else ''}\n"


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("flights", "3", r"has no version 3 of flights\n.*\nfix: correct version"),
        ("taxi", "champion", r"has no champion of taxi\n.*\nfix: run the training pipeline first"),
        ("flights", "newest", 'version is "newest": expected champion, or the number'),
        ("flights", "", 'version is ""'),
        ("../flights", "champion", 'model_name is "../flights": expected letters'),
    ],
)
def test_says_what_there_is_not(registered, name, version, message):
    with pytest.raises(ConfigurationError, match=message):
        work.resolve(registered, name, version)


def test_a_registry_that_does_not_exist_has_no_champion_and_is_not_made(tmp_path):
    with pytest.raises(ConfigurationError, match="has no champion"):
        work.resolve(f"sqlite:///{tmp_path}/registry.db", "flights", "champion")
    assert not list(tmp_path.iterdir())


def test_a_model_in_a_bucket_is_handed_on_by_its_uri():
    version = model_version.ModelVersion("4", "gs://bucket/run/model", {})

    located = registered_model.locate(version, "http://mlflow", "flights")

    assert registered_model.materialize(located, "gs://task/model", "/gcs/task/model") == "gs://bucket/run/model"


def test_a_model_behind_a_server_is_downloaded_into_the_tasks_own_output(registered, tmp_path):
    version = registry.open_reader(registered).champion("flights")
    located = registered_model.Located("", (registered, version.source))

    uri = registered_model.materialize(located, "gs://task/model", str(tmp_path / "model"))

    assert uri == "gs://task/model"
    assert (tmp_path / "model" / layouts.SERVING_MODEL / "saved_model.pb").read_text() == "graph two"
    assert (tmp_path / "model" / layouts.REGISTERED).is_dir()


def test_mlflows_client_finds_the_same(registered):
    assert registry_mlflow.MlflowReader(registered).champion("flights").number == "2"


@pytest.mark.usefixtures("real_interpreter")
def test_resolving_imports_neither_mlflow_nor_tensorflow(registered):
    script = (
        "import sys; from kfp_ct.components.resolve_model import work;"
        f"print(work.resolve({registered!r}, 'flights', 'champion').version);"
        "print([name for name in ('mlflow', 'pandas', 'tensorflow') if name in sys.modules])"
    )

    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert said.splitlines()[-2:] == ["2", "[]"]


def test_a_registry_that_a_variable_names_is_read_and_only_the_reference_is_said(registered, monkeypatch, tmp_path):
    monkeypatch.setenv("REGISTRY", registered)
    monkeypatch.setenv("SERVER", "http://trainer:S3cretPw@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    found = work.resolve("${REGISTRY}", "flights", "champion")
    assert (found.version, graph(found)) == ("2", "graph two")

    with pytest.raises(ConfigurationError, match=r"has no version 3 of flights") as refused:
        work.resolve("${REGISTRY}", "flights", "3")
    assert "the registry ${REGISTRY} has" in str(refused.value)
    with pytest.raises(ConfigurationError, match="the registry") as unanswered:
        work.resolve("${SERVER}", "flights", "champion")
    assert "S3cretPw" not in str(unanswered.value)
    assert str(unanswered.value).startswith("the registry ${SERVER} did not do what was asked")
    with pytest.raises(ConfigurationError, match="variable NOWHERE, which is not set"):
        work.resolve("${NOWHERE}", "flights", "champion")
