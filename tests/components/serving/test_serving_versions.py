"""Which version answers while folders come, go, break and are fixed."""

import shutil

import pytest

from kfp_ct.serving.errors import ModelNotFoundError
from kfp_ct.serving.versions import Versions


class Model:
    """A loaded version that answers with its folder's content."""

    def __init__(self, path):
        self.content = (path / "saved_model.pb").read_text()
        if self.content == "broken":
            raise ValueError("cannot parse saved_model.pb")

    def predict(self, body):
        return self.content.encode()

    def metadata(self):
        return {}

    def warm_up(self):
        if self.content == "picky":
            raise ValueError("no made-up rows, please")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "serving"


@pytest.fixture
def versions(root):
    return Versions(root, Model)


def publish(root, number, content="", name="flights"):
    folder = root / name / str(number)
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_text(content or f"v{number}")


def answers(versions, number=None):
    with versions.leased("flights", number) as (model, _):
        return model.predict(b"").decode()


def states(versions):
    return {int(status["version"]): status["state"] for status in versions.status("flights", None)}


def test_the_highest_version_answers(root, versions):
    for number in (9, 10, 2):
        publish(root, number)
    versions.poll()

    assert answers(versions) == "v10"
    assert answers(versions, 10) == "v10"
    with pytest.raises(ModelNotFoundError, match=r"Specific\(flights, 9\)"):
        answers(versions, 9)


def test_a_new_version_replaces_the_old_one(root, versions):
    publish(root, 1)
    versions.poll()
    publish(root, 2)
    versions.poll()

    assert answers(versions) == "v2"
    assert states(versions) == {2: "AVAILABLE", 1: "END"}


def test_a_version_in_use_is_not_unloaded(root, versions):
    publish(root, 1)
    versions.poll()
    with versions.leased("flights", None) as (model, number):
        publish(root, 2)
        versions.poll()
        assert (number, model.predict(b"")) == (1, b"v1")
        assert states(versions) == {2: "AVAILABLE", 1: "UNLOADING"}
        assert answers(versions) == "v2"
    versions.poll()
    assert states(versions) == {2: "AVAILABLE", 1: "END"}


def test_a_broken_version_is_reported_and_the_old_one_answers(root, versions):
    publish(root, 1)
    versions.poll()
    publish(root, 2, "broken")
    versions.poll()

    assert answers(versions) == "v1"
    assert versions.status("flights", 2) == [
        {
            "version": "2",
            "state": "END",
            "status": {"error_code": "UNKNOWN", "error_message": "ValueError: cannot parse saved_model.pb"},
        }
    ]
    assert versions.waiting() == []


def test_a_broken_version_is_tried_again_once_it_is_fixed(root, versions):
    publish(root, 1, "broken")
    versions.poll()
    assert versions.waiting() == ["flights"]
    (root / "flights" / "1" / "saved_model.pb").write_text("fixed")
    versions.poll()

    assert answers(versions) == "fixed"


def test_a_broken_version_at_the_start_leaves_the_one_before(root, versions):
    publish(root, 1)
    publish(root, 2, "broken")
    versions.poll()

    assert answers(versions) == "v1"


def test_a_failing_warm_up_does_not_keep_a_version_out(root, versions):
    publish(root, 1, "picky")
    versions.poll()

    assert answers(versions) == "picky"


@pytest.mark.parametrize("name", [".2.77.partial", "tmp", "2.bak", "-2"])
def test_folders_that_are_no_versions_are_ignored(name, root, versions):
    publish(root, 1)
    publish(root, name)
    versions.poll()

    assert answers(versions) == "v1"


def test_a_folder_without_a_saved_model_is_ignored(root, versions):
    publish(root, 1)
    (root / "flights" / "2" / "variables").mkdir(parents=True)
    (root / "flights.json").write_text("{}")
    versions.poll()

    assert answers(versions) == "v1"
    assert versions.serving() == {"flights": 1}


def test_leading_zeros_are_taken_as_tensorflow_serving_takes_them(root, versions):
    publish(root, "00000123")
    versions.poll()

    assert answers(versions, 123) == "v00000123"


def test_a_withdrawn_version_gives_way_to_the_one_before(root, versions):
    publish(root, 1)
    publish(root, 2)
    versions.poll()
    shutil.rmtree(root / "flights" / "2")
    versions.poll()

    assert answers(versions) == "v1"


def test_a_removed_model_is_unloaded(root, versions):
    publish(root, 1)
    publish(root, 1, name="taxi")
    versions.poll()
    shutil.rmtree(root / "flights")
    versions.poll()

    with pytest.raises(ModelNotFoundError, match=r"Latest\(flights\)"):
        answers(versions)
    assert versions.serving() == {"taxi": 1}


@pytest.mark.parametrize("gone", ["root", "versions"])
def test_it_goes_on_answering_while_the_folder_cannot_be_read(gone, root, versions):
    publish(root, 1)
    versions.poll()
    shutil.rmtree(root if gone == "root" else root / "flights" / "1")
    versions.poll()

    assert answers(versions) == "v1"


def test_nothing_deployed_is_not_found(versions):
    versions.poll()

    with pytest.raises(ModelNotFoundError, match=r"Servable not found for request: Latest\(flights\)"):
        answers(versions)
    with pytest.raises(ModelNotFoundError, match="Could not find any versions of model flights"):
        versions.status("flights", None)


def test_the_status_does_not_grow_for_ever(root, versions):
    for number in range(1, 40):
        publish(root, number)
        versions.poll()

    assert len(states(versions)) <= 21
    assert answers(versions) == "v39"


def test_broken_versions_are_tried_once_however_many_they_are(root):
    tried = []

    def load(path):
        tried.append(path.name)
        return Model(path)

    versions = Versions(root, load)
    publish(root, 1)
    for number in range(2, 60):
        publish(root, number, "broken")
    versions.poll()
    versions.poll()

    assert sorted(tried, key=int) == [str(number) for number in range(1, 60)]
    assert answers(versions) == "v1"
    shutil.rmtree(root / "flights")
    publish(root, 60)
    versions.poll()
    versions.poll()
    assert len(states(versions)) <= 21, "of folders that are gone, the last are remembered"
