"""`ct promote`, `ct rollback` and `ct models` where models are served from an S3 store."""

import json
import shutil
from pathlib import Path

import pytest

import seaweedfs
from cli_runner import ct
from kfp_ct.models import serving_folder
from kfp_ct.storage import releases, storage
from registered_models import place_in, three_versions

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow", "ignore::sqlalchemy.exc.SAWarning")
ROOT = "s3://data/serving"


@pytest.fixture
def store(monkeypatch):
    with seaweedfs.running() as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        yield store


def test_champion_and_pointer_move_together_and_back(store, tmp_path):
    home = Path(shutil.copytree(three_versions(tmp_path), tmp_path / "home"))

    def state():
        listed = json.loads(ct(home, "models", "flights", "--serving-root", ROOT, "--json").out)
        by_mark = {mark: [each["version"] for each in listed if each[mark]] for mark in ("champion", "served")}
        return by_mark["champion"], by_mark["served"]

    assert state() == (["3"], []), "nothing is in the bucket yet"
    for command, expected in (
        (("promote", "flights", "1"), "1"), (("promote", "flights", "2"), "2"), (("rollback", "flights"), "1"),
    ):  # fmt: skip
        done = ct(home, *command, "--serving-root", ROOT)
        assert done.code == 0, done.err
        assert state() == ([expected], [expected])
        assert place_in(home).reader.champion("flights").number == expected
    assert releases.read_pointer(ROOT, "flights").state["previous"] == "2"
    word = storage.read(f"{ROOT}/flights/1/saved_model.pb").data
    assert word == b"graph one"


def test_a_bucket_that_may_not_be_written_leaves_the_champion(store, tmp_path, monkeypatch):
    home = Path(shutil.copytree(three_versions(tmp_path), tmp_path / "home"))
    assert ct(home, "promote", "flights", "2", "--serving-root", ROOT).code == 0
    for name, value in store.environment(seaweedfs.READER).items():
        monkeypatch.setenv(name, value)
    refused = ct(home, "promote", "flights", "1", "--serving-root", ROOT)
    assert refused.code == 2
    assert "may not be written: AccessDenied" in refused.err
    assert place_in(home).reader.champion("flights").number == serving_folder.served(ROOT, "flights") == "2"
