"""A run compares with the champion, an unchanged rerun with what it was compared with before."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.register import work as register_work
from kfp_ct.components.resolve_champion import work
from kfp_ct.data import layouts
from release_artifacts import make_run

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow", "ignore::sqlalchemy.exc.SAWarning")


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """A registry in which model one was champion, then two, then three; the last two from one training."""
    root = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{root}/registry.db"
    for name, key in (("one", "A"), ("two", "B"), ("three", "B")):
        register_work.register(make_run(root / "runs" / name, name).candidate(key), uri, "flights")
    return uri


@pytest.fixture
def examples(tmp_path):
    return make_run(tmp_path / "run", "one").examples


def test_compares_with_the_champion(registered):
    found = work.resolve(registered, "flights", "a new training")

    assert found.version == "3"
    assert (Path(found.uri) / layouts.SERVING_MODEL / "saved_model.pb").read_text() == "graph three"


def test_an_unchanged_rerun_compares_with_what_it_was_compared_with_before(registered):
    found = work.resolve(registered, "flights", "B")

    assert found.version == "1", "versions 3 and 2 are of this very training"
    assert (Path(found.uri) / layouts.SERVING_MODEL / "saved_model.pb").read_text() == "graph one"


def test_the_first_training_repeated_still_has_no_champion(tmp_path):
    uri = f"sqlite:///{tmp_path}/registry.db"
    before = work.resolve(uri, "flights", "A")
    register_work.register(make_run(tmp_path / "run", "one").candidate("A"), uri, "flights")

    assert work.resolve(uri, "flights", "A") == before


def test_champions_that_replaced_each_other_are_walked_once(tmp_path):
    uri = f"sqlite:///{tmp_path}/registry.db"
    one, two = (make_run(tmp_path / name, name).candidate("A") for name in ("one", "two"))
    for candidate in (one, two, one):
        register_work.register(candidate, uri, "flights")

    assert work.resolve(uri, "flights", "A").version == ""


def test_without_a_registry_there_is_no_champion_and_a_stable_folder(tmp_path):
    uri = f"sqlite:///{tmp_path}/registry/registry.db"

    found = work.resolve(uri, "flights", "A")

    assert (found.version, found.uri) == ("", found.no_model_uri)
    assert Path(found.uri).is_dir()
    assert not (Path(found.uri) / layouts.SERVING_MODEL).exists()
    assert work.resolve(uri, "flights", "another") == found
    assert not (tmp_path / "registry" / "registry.db").exists(), "asking makes no database"


def test_another_model_of_the_registry_is_no_champion(registered):
    assert work.resolve(registered, "taxi", "A").version == ""


def test_finds_the_models_of_a_registry_that_was_moved(registered, tmp_path):
    root = Path(registered.removeprefix("sqlite:///")).parent
    shutil.copytree(root, tmp_path / "moved")
    hidden = root.rename(root.with_name("elsewhere"))
    try:
        found = work.resolve(f"sqlite:///{tmp_path}/moved/registry.db", "flights", "new")
    finally:
        hidden.rename(root)

    assert Path(found.uri).parent == tmp_path / "moved" / "models" / "flights"


def test_a_champion_without_files_stops_the_run(registered, tmp_path):
    root = Path(registered.removeprefix("sqlite:///")).parent
    (tmp_path / "moved").mkdir()
    shutil.copy(root / "registry.db", tmp_path / "moved")
    hidden = (root / "models").rename(root / "hidden")
    try:
        with pytest.raises(DataError, match="champion flights v3 are gone"):
            work.resolve(f"sqlite:///{tmp_path}/moved/registry.db", "flights", "new")
    finally:
        hidden.rename(root / "models")


def test_says_that_a_file_is_not_a_registry(tmp_path):
    (tmp_path / "registry.db").write_text("no database " * 500)

    with pytest.raises(ConfigurationError, match="cannot be read"):
        work.resolve(f"sqlite:///{tmp_path}/registry.db", "flights", "A")


def test_the_training_key_is_of_data_hyperparameters_and_code(examples, tmp_path):
    key = work.training_key(examples, {"epochs": 5, "layers": [64, 32]}, "commit")

    assert key == work.training_key(examples, {"layers": [64.0, 32.0], "epochs": 5.0}, "commit")
    others = [
        work.training_key(make_run(tmp_path / "other", "two").examples, {"epochs": 5, "layers": [64, 32]}, "commit"),
        work.training_key(examples, {"epochs": 6, "layers": [64, 32]}, "commit"),
        work.training_key(examples, {"epochs": 5, "layers": [32, 64]}, "commit"),
        work.training_key(examples, {"epochs": 5, "layers": [64, 32]}, "commit", {"trials": 8}),
        work.training_key(examples, {"epochs": 5, "layers": [64, 32]}, "commit", {"trials": 9.0}),
        work.training_key(examples, {"epochs": 5, "layers": [64, 32]}, "another"),
    ]
    assert len({key, *others}) == 7


def test_hands_on_the_shared_folder_where_there_is_one(registered):
    found = work.resolve(registered, "flights", "new")

    assert work.materialize(found, "/task/champion", "/task/champion") == found.uri
    assert work.materialize(found.no_model, "/task/base_model", "/task/base_model") == found.no_model_uri


def test_fills_the_tasks_own_output_where_there_is_no_shared_disk(tmp_path):
    nothing = work.ResolvedChampion("", "", "")

    assert work.materialize(nothing, "gs://bucket/champion", str(tmp_path / "champion")) == "gs://bucket/champion"
    assert [path.name for path in (tmp_path / "champion").iterdir()] == [work.NO_MODEL]


@pytest.mark.usefixtures("real_interpreter")
def test_resolving_does_not_import_mlflow(registered):
    script = (
        "import sys; from kfp_ct.components.resolve_champion import work;"
        f"print(work.resolve({registered!r}, 'flights', 'new').version);"
        "print([name for name in ('mlflow', 'pandas', 'sqlalchemy') if name in sys.modules])"
    )

    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert said.splitlines()[-2:] == ["3", "[]"]
