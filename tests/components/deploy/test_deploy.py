"""Only a blessed model is published, whole and at once, in TensorFlow Serving's layout; the last ones stay."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from kfp_ct.base.errors import ConfigurationError, ModelNotBlessedError
from kfp_ct.components.deploy import work
from kfp_ct.data import layouts
from kfp_ct.models import serving_folder
from kfp_ct.storage import releases
from release_artifacts import make_run


def deploy(run, root, version="1", name="flights", keep=3):
    release = serving_folder.Release(run.model, run.blessing, name, version)
    return work.deploy(release, work.Destination(str(root)), keep, str(run.root / "deployment"))


@pytest.fixture
def root(tmp_path):
    return tmp_path / "serving"


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run", "one")


def versions(root, name="flights"):
    folders = sorted(path.name for path in (root / name).iterdir() if path.suffix != ".json")
    assert {each for each in folders if each.isdigit()} <= manifests(root, name)
    return folders


def manifests(root, name="flights"):
    return {path.stem for path in (root / name).glob("*.json")}


def deploy_many(tmp_path, root, numbers, keep=3):
    for number in numbers:
        deploy(make_run(tmp_path / f"run{number}", f"model {number}"), root, str(number), keep=keep)


def test_publishes_in_tensorflow_servings_layout(run, root):
    metadata = deploy(run, root)

    assert metadata == {"model": "flights", "version": "1", "previous": ""}
    assert (root / "flights" / "1" / "saved_model.pb").read_text() == "graph one"
    assert (root / "flights" / "1" / "variables" / "variables.index").is_file()
    assert versions(root) == ["1"]


def test_the_manifest_says_what_was_published(run, root):
    deploy(run, root)

    manifest = releases.read_manifest(str(root), "flights", "1")
    assert set(manifest.files) == {"saved_model.pb", "variables/variables.index"}
    assert releases.changed_files(root / "flights" / "1", manifest) == []
    (root / "flights" / "1" / "saved_model.pb").write_text("graph two")
    (root / "flights" / "1" / "variables" / "variables.index").unlink()
    assert releases.changed_files(root / "flights" / "1", manifest) == ["saved_model.pb", "variables/variables.index"]


def test_a_version_from_before_manifests_gets_one_when_it_is_deployed_again(run, root):
    deploy(run, root)
    (root / "flights" / "1.json").unlink()

    deploy(run, root)

    assert versions(root) == ["1"]


def test_versions_that_go_take_their_manifests_along(tmp_path, root):
    deploy_many(tmp_path, root, [1, 2, 3], keep=1)

    assert (versions(root), manifests(root)) == (["3"], {"3"})


def test_records_what_is_served_and_what_was(tmp_path, root):
    deploy_many(tmp_path, root, [1, 2])

    summary = layouts.read_json(tmp_path / "run2" / "deployment" / "summary.json")
    assert summary["version"] == "2"
    assert summary["previous"] == "1"
    assert summary["kept"] == ["1"]
    assert summary["path"] == str(root / "flights")
    assert json.loads((root / "flights.json").read_text())["previous"] == "1"


def test_a_repeated_deployment_changes_nothing(tmp_path, root):
    deploy_many(tmp_path, root, [1, 2])
    before = (root / "flights" / "2").stat().st_ino

    deploy_many(tmp_path, root, [2])

    assert (root / "flights" / "2").stat().st_ino == before
    assert json.loads((root / "flights.json").read_text())["previous"] == "1"


def test_keeps_the_newest_versions(tmp_path, root):
    deploy_many(tmp_path, root, [1, 2, 9, 10, 11])

    assert versions(root) == ["10", "11", "9"]


def test_an_older_version_that_won_again_is_the_one_served(tmp_path, root):
    deploy_many(tmp_path, root, [1, 2, 3, 2])

    assert versions(root) == ["1", "2"], "services serve the highest version"
    assert json.loads((root / "flights.json").read_text())["version"] == "2"


def test_models_do_not_touch_each_other(run, root, tmp_path):
    deploy(run, root, name="flights")
    deploy(make_run(tmp_path / "other", "two"), root, "7", name="taxi", keep=1)

    assert versions(root, "flights") == ["1"]
    assert versions(root, "taxi") == ["7"]


def test_refuses_a_model_without_the_blessing(tmp_path, root):
    with pytest.raises(ModelNotBlessedError):
        deploy(make_run(tmp_path / "run", "one", blessed=False), root)
    assert not root.exists()


def test_refuses_the_blessing_of_another_model(run, root):
    layouts.write_text(Path(run.model) / layouts.SERVING_MODEL / "saved_model.pb", "swapped after evaluation")

    with pytest.raises(ModelNotBlessedError, match="another model"):
        deploy(run, root)
    assert not root.exists()


def test_refuses_to_change_a_published_version(run, root, tmp_path):
    deploy(run, root)

    with pytest.raises(ConfigurationError, match="holds another model"):
        deploy(make_run(tmp_path / "other", "two"), root)
    assert (root / "flights" / "1" / "saved_model.pb").read_text() == "graph one"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": "../flights"}, "model name"),
        ({"name": ""}, "model name"),
        ({"version": ""}, "as a version"),
        ({"version": "v2"}, "as a version"),
        ({"version": "0"}, "as a version"),
        ({"version": "../1"}, "as a version"),
        ({"keep": 0}, "keep_versions"),
        ({"root": "ftp://host/serving"}, "ftp is not supported"),
        ({"root": "s3://"}, "names no bucket"),
        ({"root": ""}, "a folder, s3://bucket/folder or gs://bucket/folder"),
    ],
    ids=str,
)
def test_refuses_what_cannot_be_served(change, complaint, run, root):
    with pytest.raises(ConfigurationError, match=complaint):
        deploy(**{"run": run, "root": root, **change})
    assert not root.exists()


def test_names_a_folder_that_cannot_be_written(run, tmp_path):
    (tmp_path / "serving").write_text("a file in the way")

    with pytest.raises(ConfigurationError, match=r"serving.flights cannot be written"):
        deploy(run, tmp_path / "serving")


@pytest.mark.parametrize("function", ["_flush", "_prune", "write_json"])
def test_killed_at_any_point_nothing_half_written_is_served(function, tmp_path, root):
    deploy_many(tmp_path, root, [1])
    second = make_run(tmp_path / "run2", "model 2")

    pid = os.fork()
    if pid == 0:
        sys.setprofile(
            lambda frame, event, _: (
                event == "call" and frame.f_code.co_name == function and os.kill(os.getpid(), signal.SIGKILL)
            )
        )
        deploy(second, root, "2")
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL

    expected = layouts.tree_fingerprint(Path(second.model) / layouts.SERVING_MODEL)
    visible = [name for name in versions(root) if not name.startswith(".")]
    assert visible == ["1"] or layouts.tree_fingerprint(root / "flights" / "2") == expected
    deploy(second, root, "2")
    assert versions(root) == ["1", "2"]
    assert json.loads((root / "flights.json").read_text())["previous"] == "1"
