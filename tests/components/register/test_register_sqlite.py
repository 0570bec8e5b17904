"""What is written without MLflow is what MLflow writes, table by table; MLflow's client reads, changes and removes it.

The values that a CHECK allows stand in another order each time MLflow makes a table: words are compared.
"""

import contextlib
import shutil
import signal
import sqlite3

import pytest

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.register import entry, work
from kfp_ct.models import champion_alias, registry, registry_mlflow, registry_sqlite, registry_sqlite_writer
from killed import exit_code, in_child, kill_me_at
from release_artifacts import make_run

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mlflow", "ignore::sqlalchemy.exc.SAWarning")
KILLS = [
    ("create_database", "call"),
    ("_lived", "call"),  # the tables are made, under another name
    ("_store", "return"),
    ("_new_run", "return"),
    ("_record_run", "return"),
    ("_create_version", "return"),  # not committed
    ("create", "return"),
    ("set_registered_model_alias", "call"),
]
# What differs between two registrations of the same model: times, made-up names, and the folder.
DIFFERS = ("time", "timestamp", "run_uuid", "run_id", "uri", "location", "source")


@pytest.fixture(scope="module")
def made_by_mlflow(tmp_path_factory):
    """A registry that MLflow itself has made: the client makes none, it only opens one that is there."""
    path = tmp_path_factory.mktemp("made") / "registry.db"
    registry_mlflow.open_client(f"sqlite:///{path}")
    return path


def tables(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        schema = {
            row["name"]: sorted(str(row["sql"]).replace(")", " ").replace("(", " ").replace(",", " ").split())
            for row in connection.execute("SELECT name, sql FROM sqlite_master")
        }
        named = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return schema, {name: [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')] for name in named}


def comparable(rows):
    def value(name, each):
        return (each is not None) if name.endswith(DIFFERS) or str(each).startswith("{") else each

    kept = ({name: value(name, each) for name, each in row.items() if row.get("key") != "moved"} for row in rows)
    return sorted(
        (sorted((n, str(v).partition("moved.")[0] or "moved") for n, v in row.items()) for row in kept), key=str
    )


def register_twice(uri, tmp_path):
    """Two models, both champion in turn, and the first one again."""
    for name in ("one", "two", "one"):
        run = make_run(tmp_path / name / str(len(list(tmp_path.iterdir()))), name)
        work.register(run.candidate(f"key {name}"), uri, "flights")


def test_a_new_registry_has_the_tables_that_mlflow_makes(made_by_mlflow, tmp_path):
    registry_sqlite_writer.create_database(tmp_path / "registry.db")
    ours, theirs = tables(tmp_path / "registry.db"), tables(made_by_mlflow)
    assert ours[0] == theirs[0], "another MLflow: write registry_tables.sql anew, by iterdump of a registry it made"
    assert {name: comparable(rows) for name, rows in ours[1].items()} == {
        name: comparable(rows) for name, rows in theirs[1].items()
    }
    assert ours[1]["alembic_version"] == [{"version_num": registry_sqlite.KNOWN_REVISION}]


def test_every_table_has_the_rows_that_mlflow_writes(made_by_mlflow, tmp_path, monkeypatch):
    paths = {name: tmp_path / name / "registry.db" for name in ("ours", "theirs")}
    for name, path in paths.items():
        path.parent.mkdir()
        shutil.copy(made_by_mlflow, path)
        monkeypatch.setattr(registry_sqlite_writer, "fits", lambda _, name=name: name == "ours")
        with registry.writing(f"sqlite:///{path}") as client:
            assert isinstance(client, registry_sqlite_writer.SqliteWriter) == (name == "ours")
        register_twice(f"sqlite:///{path}", tmp_path / name)
    (_, ours), (_, theirs) = (tables(path) for path in paths.values())
    assert len(ours["model_versions"]) == 2
    assert ours["registered_model_aliases"][0]["version"] == 1
    for name, rows in theirs.items():
        assert comparable(ours[name]) == comparable(rows), name


def test_mlflows_client_reads_changes_and_removes_it(tmp_path):
    uri = f"sqlite:///{tmp_path}/registry/registry.db"
    register_twice(uri, tmp_path)
    client, direct = registry_mlflow.open_client(uri), registry.open_reader(uri)
    assert registry_mlflow.MlflowReader(uri).versions("flights") == direct.versions("flights")
    version = client.get_model_version_by_alias("flights", "champion")
    run = client.get_run(version.run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", run.data.tags["mlflow.runName"])
    assert run.data.metrics
    assert client.create_model_version("flights", version.source, version.run_id).version == 3
    client.set_registered_model_alias("flights", "champion", "3")
    assert direct.champion("flights").number == "3"
    client.delete_model_version("flights", "3")
    with pytest.raises(ConfigurationError, match="no version 3 of flights"), registry.writing(uri) as writer:
        writer.set_registered_model_alias("flights", "champion", "3")
    with pytest.raises(ConfigurationError, match="v9 is not registered"):
        champion_alias.make_champion(uri, "flights", "9")


def test_killed_at_any_point_it_leaves_no_version_or_a_whole_one(tmp_path):
    run, uri = make_run(tmp_path / "run", "one"), f"sqlite:///{tmp_path}/registry/registry.db"

    def registering(function, event):
        kill_me_at(function, event)
        work.register(run.candidate(), uri, "flights")

    for function, event in KILLS:
        code = exit_code(in_child(lambda f=function, e=event: registering(f, e)))
        assert code == -signal.SIGKILL, f"{function} was never reached ({event})"
        version = registry.open_reader(uri).version("flights", "1")
        assert (version is not None) == (function in ("create", "set_registered_model_alias"))

    assert work.register(run.candidate(), uri, "flights") == entry.Registered("1", "")
    _, rows = tables(tmp_path / "registry" / "registry.db")
    assert [row["status"] for row in rows["runs"]] == ["FINISHED"]
    assert [row["version"] for row in rows["registered_model_aliases"]] == [1]


def test_a_deleted_experiment_takes_no_run(tmp_path):
    uri = f"sqlite:///{tmp_path}/registry/registry.db"
    work.register(make_run(tmp_path / "run", "one").candidate(), uri, "flights")
    client = registry_mlflow.open_client(uri)
    client.delete_experiment(client.get_experiment_by_name("flights").experiment_id)
    with pytest.raises(ConfigurationError, match="experiment flights is deleted"):
        work.register(make_run(tmp_path / "other", "two").candidate(), uri, "flights")


def test_another_mlflow_makes_its_own_tables(tmp_path, monkeypatch):
    assert registry_sqlite_writer.fits(tmp_path / "registry.db")
    monkeypatch.setattr(registry_sqlite_writer, "_installed", lambda: "3.18.0")
    assert not registry_sqlite_writer.fits(tmp_path / "registry.db")
