"""Another run of the same model that was faster, and what a killed one left, are seen: nothing is double or damaged."""

from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException

from kfp_ct.components.register import publish, publish_mlflow, work
from kfp_ct.components.register.entry import Registered
from kfp_ct.data import layouts
from kfp_ct.models import blessing, model_version, registry, registry_mlflow
from release_artifacts import make_run

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow", "ignore::sqlalchemy.exc.SAWarning")


@pytest.fixture
def uri(tmp_path):
    (tmp_path / "registry").mkdir()
    return f"sqlite:///{tmp_path / 'registry' / 'registry.db'}"


def entry_of(run):
    candidate = run.candidate()
    verdict = blessing.require(candidate.blessing_path, candidate.model_path)
    return work.describe(candidate, verdict, ("flights", run.root))


def test_a_model_that_another_run_made_champion_meanwhile_is_no_second_version(uri, tmp_path):
    entry = entry_of(make_run(tmp_path / "run", "one"))
    assert publish.publish(entry, uri) == publish.publish(entry, uri) == Registered("1", "")
    assert registry.open_reader(uri).champion("flights").number == "1"


def test_a_damaged_copy_of_the_model_is_replaced(uri, tmp_path):
    entry = entry_of(make_run(tmp_path / "run", "one"))
    folder = model_version.models_root(model_version.database_path(uri)) / "flights" / entry.fingerprint[:16]
    folder.mkdir(parents=True)
    (folder / "half").write_text("of a model")
    publish.publish(entry, uri)
    source = registry.open_reader(uri).champion("flights").source
    assert layouts.tree_fingerprint(source, leave_out=layouts.REGISTERED) == entry.fingerprint


def test_a_run_that_was_begun_is_gone_on_with(uri, tmp_path):
    entry = entry_of(make_run(tmp_path / "run", "one"))
    client, database = registry_mlflow.open_client(uri), model_version.database_path(uri)
    begun = publish_mlflow._run(client, entry, database).info.run_id
    publish_mlflow._record(client, begun, entry)
    assert publish_mlflow._run(client, entry, database).info.run_id == begun


class Slower:
    """A client whose experiment is made by another run between its look and its own attempt."""

    def __init__(self, made):
        self.answers = [None, made]

    def get_experiment_by_name(self, name):
        return self.answers.pop(0)

    def create_experiment(self, name, artifact_location):
        raise MlflowException(f"experiment {name} already exists")


def test_an_experiment_that_another_run_made_meanwhile_is_used():
    assert publish_mlflow._experiment(Slower(SimpleNamespace(experiment_id=7)), "flights", None) == "7"


def test_an_experiment_that_cannot_be_made_is_an_error():
    with pytest.raises(MlflowException, match="already exists"):
        publish_mlflow._experiment(Slower(None), "flights", None)
