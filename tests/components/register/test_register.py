"""Only a blessed model becomes a version and the champion; killed or repeated, nothing is half or double."""

import dataclasses
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from kfp_ct.base.errors import ConfigurationError, DataError, ModelNotBlessedError
from kfp_ct.components.register import entry, work
from kfp_ct.data import layouts
from kfp_ct.models import (
    blessing,
    model_version,
    registry,
    registry_mlflow,
    registry_sqlite,
    registry_sqlite_writer,
)
from killed import exit_code, in_child, kill_me_at
from release_artifacts import make_run

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow", "ignore::sqlalchemy.exc.SAWarning")


@pytest.fixture(scope="module")
def new_database(tmp_path_factory):
    """One freshly made registry, to be copied: making one takes a second or two."""
    path = tmp_path_factory.mktemp("new") / "registry.db"
    registry_mlflow.open_client(f"sqlite:///{path}")
    return path


@pytest.fixture
def uri(new_database, tmp_path):
    path = tmp_path / "registry" / "registry.db"
    path.parent.mkdir()
    shutil.copy(new_database, path)
    return f"sqlite:///{path}"


def client(uri):
    return registry_mlflow.open_client(uri)


def through_mlflow():
    """Has this process write as it does where tables are not known, and as on a server."""
    registry_sqlite_writer.fits = lambda _: False


def champion(uri):
    return registry.open_reader(uri).champion("flights")


def test_registers_a_blessed_model_as_champion(uri, tmp_path):
    run = make_run(tmp_path / "run", "one")

    assert work.register(run.candidate(), uri, "flights") == entry.Registered("1", "")

    version = champion(uri)
    assert version.number == "1"
    assert layouts.tree_fingerprint(version.source, leave_out=layouts.REGISTERED) == layouts.tree_fingerprint(run.model)


def test_keeps_statistics_evaluation_and_blessing_with_the_version(uri, tmp_path):
    run = make_run(tmp_path / "run", "one")

    work.register(run.candidate(), uri, "flights")

    files = Path(champion(uri).source) / layouts.REGISTERED
    assert (files / "statistics" / "Split-train" / layouts.STATISTICS_FILE).read_text() == "statistics of train"
    assert layouts.read_json(files / "evaluation" / layouts.SUMMARY)["metrics"]["challenger"]["auc"] == 0.7
    assert blessing.require(files / "blessing", champion(uri).source).blessed


def test_training_statistics_that_are_missing_stop_it(uri, tmp_path):
    run = make_run(tmp_path / "run", "one")
    shutil.rmtree(run.statistics)

    with pytest.raises(DataError, match=r"FeatureStats\.pb is not there"):
        work.register(run.candidate(), uri, "flights")
    assert champion(uri) is None


def test_records_lineage_metrics_and_parameters(uri, tmp_path):
    work.register(make_run(tmp_path / "run", "one").candidate("the key"), uri, "flights")

    version = client(uri).get_model_version("flights", "1")
    assert {name: value for name, value in version.tags.items() if not name.startswith("moved.")} == {
        "training_key": "the key",
        "model_fingerprint": layouts.tree_fingerprint(version.source, leave_out=layouts.REGISTERED),
        "data_fingerprint": "rows of one",
        "window": "2013-01-01/2013-06-01",
        "previous_champion": "",
        "compared_with": "",
        "commit": "abc123",
        "image": "components@sha256:1",
        "parameters": '{"epochs": 3}',
    }
    recorded = client(uri).get_run(version.run_id)
    assert recorded.info.status == "FINISHED"
    assert recorded.data.metrics == {"auc": 0.7, "rows": 100.0, "interval.low": 0.68}
    assert recorded.data.params["rows.train"] == "300"


def test_the_next_model_names_the_champion_it_replaced(uri, tmp_path):
    work.register(make_run(tmp_path / "1", "one").candidate(), uri, "flights")

    assert work.register(make_run(tmp_path / "2", "two").candidate(), uri, "flights") == entry.Registered("2", "1")
    assert champion(uri).tags["previous_champion"] == "1"


def test_the_same_model_keeps_its_version(uri, tmp_path):
    candidate = make_run(tmp_path / "run", "one").candidate()
    first = work.register(candidate, uri, "flights")

    assert work.register(candidate, uri, "flights") == first
    assert len(client(uri).search_model_versions("name='flights'")) == 1


def test_a_former_champion_that_wins_again_keeps_its_version(uri, tmp_path):
    one, two = (make_run(tmp_path / name, name).candidate(f"key {name}") for name in ("one", "two"))
    work.register(one, uri, "flights")
    work.register(two, uri, "flights")

    assert work.register(one, uri, "flights") == entry.Registered("1", "2")
    assert champion(uri).number == "1"
    assert work.register(one, uri, "flights") == entry.Registered("1", "2")


def refused(root):
    return make_run(root, "one", blessed=False)


def without_verdict(root):
    run = make_run(root, "one")
    shutil.rmtree(run.blessing)
    return run


def with_the_verdict_on_another_model(root):
    run = make_run(root, "one")
    layouts.write_text(Path(run.model) / layouts.SERVING_MODEL / "saved_model.pb", "another graph")
    return run


def with_no_gate_evaluated(root):
    run = make_run(root, "one")
    shutil.rmtree(run.blessing)
    blessing.write(run.blessing, blessing.decide(run.model, []))
    return run


@pytest.mark.parametrize(
    "make",
    [refused, without_verdict, with_the_verdict_on_another_model, with_no_gate_evaluated],
    ids=lambda m: m.__name__,
)
def test_refuses_a_model_without_the_blessing(make, uri, tmp_path):
    run = make(tmp_path / "run")

    with pytest.raises(ModelNotBlessedError):
        work.register(run.candidate(), uri, "flights")
    assert champion(uri) is None
    assert not model_version.models_root(model_version.database_path(uri)).exists()


@pytest.mark.parametrize("uri", ["", "sqlite:///", "postgresql://host/db", "/some/path"], ids=repr)
def test_refuses_a_registry_it_cannot_use(uri, tmp_path):
    with pytest.raises(ConfigurationError, match="registry URI"):
        work.register(make_run(tmp_path, "one").candidate(), uri, "flights")


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "x" * 129, "a'b"], ids=repr)
def test_refuses_a_name_that_is_unsafe(name, uri, tmp_path):
    with pytest.raises(ConfigurationError, match="model name"):
        work.register(make_run(tmp_path, "one").candidate(), uri, name)


def test_says_that_a_file_is_not_a_registry(tmp_path):
    (tmp_path / "registry.db").write_text("not a database, but long enough to look like a file of one" * 20)

    with pytest.raises(ConfigurationError, match="cannot be read"):
        work.register(make_run(tmp_path / "run", "one").candidate(), f"sqlite:///{tmp_path}/registry.db", "flights")


def test_says_that_a_server_does_not_answer(tmp_path):
    with pytest.raises(ConfigurationError, match=r"http://127\.0\.0\.1:9"):
        work.register(make_run(tmp_path, "one").candidate(), "http://127.0.0.1:9", "flights")


@pytest.mark.parametrize("content", [{}, {"metrics": {}}, {"metrics": {"champion": {"auc": 0.5}}}, None], ids=repr)
def test_a_summary_without_the_challengers_metrics_gives_none(content, tmp_path):
    if content is not None:
        layouts.write_json(tmp_path / "summary.json", content)

    assert work.overall_metrics(tmp_path / "summary.json") == {}


def test_reading_directly_and_through_mlflow_agree(uri, tmp_path):
    for name in ("one", "two", "three"):
        work.register(make_run(tmp_path / name, name).candidate(f"key {name}"), uri, "flights")
    client(uri).delete_model_version("flights", "2")

    direct, mlflow = registry.open_reader(uri), registry_mlflow.MlflowReader(uri)
    assert isinstance(direct, registry_sqlite.SqliteReader), "another schema: see KNOWN_REVISION"
    for ask in (
        lambda reader: reader.champion("flights"),
        lambda reader: reader.champion("absent"),
        lambda reader: [reader.version("flights", number) for number in ("1", "2", "3", "4")],
        lambda reader: [reader.find("flights", "training_key", f"key {name}") for name in ("one", "two", "absent")],
        lambda reader: reader.versions("flights"),
        lambda reader: reader.versions("absent"),
        lambda reader: reader.models(),
    ):
        assert ask(direct) == ask(mlflow)
    assert [version.number for version in direct.versions("flights")] == ["3", "1"]
    assert direct.models() == ["flights"]
    assert direct.version("flights", "1") is not None
    assert direct.version("flights", "2") is None


def test_an_unknown_schema_is_read_through_mlflow(uri, monkeypatch):
    monkeypatch.setattr(registry, "KNOWN_REVISION", "of another release")

    assert isinstance(registry.open_reader(uri), registry_mlflow.MlflowReader)


@pytest.mark.usefixtures("real_interpreter")
def test_a_repeated_registration_does_not_import_mlflow(uri, tmp_path):
    run = make_run(tmp_path / "run", "one")
    work.register(run.candidate(), uri, "flights")
    script = (
        "import sys; from kfp_ct.components.register import work;"
        f"print(work.register(work.Candidate({run.model!r}, {run.blessing!r}, {run.statistics!r}, {run.evaluation!r},"
        f" 'key', {{}}), {uri!r}, 'flights').version); print([m for m in ('mlflow', 'pandas') if m in sys.modules])"
    )

    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert said.splitlines()[-2:] == ["1", "[]"]


KILLS = [
    ("_create", "call"),  # of the database
    ("_initialize_tables", "return"),
    ("_flush", "call"),  # the model is copied under its hidden name
    ("_store", "return"),
    ("create_run", "return"),
    ("log_batch", "return"),
    ("create_registered_model", "return"),
    ("create_model_version", "call"),
    ("create_model_version", "return"),
    ("set_registered_model_alias", "call"),
]


def test_killed_at_any_point_it_leaves_no_version_or_a_whole_one(tmp_path):
    run, uri = make_run(tmp_path / "run", "one"), f"sqlite:///{tmp_path}/registry/registry.db"

    def registering(function, event):
        through_mlflow()
        kill_me_at(function, event)
        work.register(run.candidate(), uri, "flights")

    for function, event in KILLS:
        code = exit_code(in_child(lambda f=function, e=event: registering(f, e)))
        assert code == -signal.SIGKILL, f"{function} was never reached ({event})"
        version = registry.open_reader(uri).version("flights", "1")
        if version is not None:
            assert layouts.tree_fingerprint(version.source, leave_out=layouts.REGISTERED) == layouts.tree_fingerprint(
                run.model
            )
            assert version.tags["data_fingerprint"] == "rows of one"

    assert work.register(run.candidate(), uri, "flights") == entry.Registered("1", "")
    assert champion(uri).number == "1"
    assert len(client(uri).search_model_versions("name='flights'")) == 1
    experiment = client(uri).get_experiment_by_name("flights").experiment_id
    assert [r.info.status for r in client(uri).search_runs([experiment])] == ["FINISHED"]
    assert [path.name for path in (tmp_path / "registry" / "models" / "flights").iterdir()] == [
        layouts.tree_fingerprint(run.model)[:16]
    ]


def test_a_killed_registration_is_finished_from_another_commit(tmp_path):
    run, uri = make_run(tmp_path / "run", "one"), f"sqlite:///{tmp_path}/registry/registry.db"

    def registering():
        through_mlflow()
        kill_me_at("create_model_version", "call")
        work.register(run.candidate(), uri, "flights")

    assert exit_code(in_child(registering)) == -signal.SIGKILL
    later = dataclasses.replace(run.candidate(), lineage={"commit": "def456"})

    assert work.register(later, uri, "flights") == entry.Registered("1", "")
    assert champion(uri).tags["commit"] == "def456"


def test_two_runs_at_once_register_two_versions(tmp_path):
    uri = f"sqlite:///{tmp_path}/registry/registry.db"
    runs = [make_run(tmp_path / name, name) for name in ("one", "two")]

    children = [in_child(lambda run=run: work.register(run.candidate(), uri, "flights")) for run in runs]

    assert [exit_code(child) for child in children] == [0, 0]
    reader = registry.open_reader(uri)
    assert {reader.find("flights", "data_fingerprint", f"rows of {name}").number for name in ("one", "two")} == {
        "1",
        "2",
    }
    assert reader.champion("flights").tags["previous_champion"] == "1"


def test_a_registry_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ConfigurationError, match="cannot be written"):
        work.register(
            make_run(tmp_path / "run", "one").candidate(), f"sqlite:///{tmp_path}/file/registry.db", "flights"
        )


@pytest.mark.parametrize(
    ("lineage", "resource", "expected"),
    [
        ({"commit": "a"}, "flights-x7k2p", {"commit": "a", "run": "uid", "run_resource": "flights-x7k2p"}),
        ({"commit": "a"}, "", {"commit": "a", "run": "uid"}),
        ({"run": "of ct run"}, "flights-x7k2p", {"run": "of ct run"}),
    ],
    ids=["on a cluster", "without a workflow", "on this machine"],
)
def test_the_run_is_named_by_whoever_runs_it(lineage, resource, expected):
    assert work.with_run(lineage, "uid", resource) == expected


def test_a_server_that_does_not_answer_is_one_message_wherever_it_is_asked(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    reader = registry_mlflow.MlflowReader("http://127.0.0.1:9")
    for ask in (reader.models, lambda: reader.versions("flights"), lambda: reader.champion("flights")):
        with pytest.raises(ConfigurationError, match=r"http://127\.0\.0\.1:9 did not do .* nothing listens there\n"):
            ask()


def test_a_name_of_a_cluster_is_told_to_be_one():
    with (
        pytest.raises(ConfigurationError, match=r"name is not known here\n(.|\n)*fix: .*forward its port"),
        registry_mlflow.reaching("http://mlflow.mlflow:5000"),
    ):
        raise MlflowException(
            "Max retries exceeded (Caused by NameResolutionError(\"Failed to resolve 'mlflow.mlflow'\"))"
        )


@pytest.mark.parametrize("through", [lambda: None, through_mlflow], ids=["tables", "mlflow"])
def test_the_registry_keeps_the_model_card_and_shows_it(uri, tmp_path, monkeypatch, through):
    monkeypatch.setattr(registry_sqlite_writer, "fits", registry_sqlite_writer.fits)  # taken back afterwards
    through()
    run = make_run(tmp_path / "run", "one")
    summary = Path(run.evaluation) / layouts.SUMMARY
    said = {"overview": "Predicts lateness.", "limitations": ["x" * 9_000], "intended_uses": ["teaching"]}
    layouts.write_json(summary, layouts.read_json(summary) | {"statement": said})
    work.register(run.candidate(), uri, "flights")
    version = client(uri).get_model_version("flights", "1")
    kept = Path(version.source) / layouts.REGISTERED / layouts.KEPT_CARD
    fingerprint = version.tags["model_fingerprint"]
    text = (kept / "model_card.md").read_text()
    assert f"# flights, model {fingerprint[:12]}" in text
    assert "| auc | 0.7000 |" in text
    assert "| answers | yes | 400 answers equal the model's own |" in text
    assert "| commit | abc123 |" in text
    card = layouts.read_json(kept / "model_card.json")
    assert card["model_details"]["overview"] == "Predicts lateness."
    assert "<h1>flights</h1>" in (kept / "model_card.html").read_text()
    # MLflow's page of the version shows as much of it as its tables take.
    assert "- teaching" in version.description
    assert len(version.description) <= 5_000
    assert version.description.endswith("the whole card is in Registered/model_card of the version's files")
