"""Writes a registry in a local SQLite file: MLflow's own tables, without importing MLflow, which takes seconds.

What MLflow's client would write is written, each call in one transaction; a test compares the tables row by row. Only
for the schema revision that `registry_sqlite` knows.
"""

import contextlib
import dataclasses
import importlib.metadata
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from kfp_ct.base import atomic_files
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.models import model_version, registry_sqlite

# The MLflow whose new database has the known revision; any other makes its own.
_MLFLOW = "3.17."
Value = str | float | None
_TABLES = Path(__file__).with_name("registry_tables.sql")


@dataclasses.dataclass(frozen=True)
class NewVersion:
    """A version to be, and the run that it comes from.

    Attributes:
        model_name: Its model, and the experiment of its run.
        source: The folder whose Format-Serving/ is the SavedModel.
        run_name: The run's name.
        identity: The tag by which a run that was begun for the same model is recognised.
        tags: Of the version and of the run.
        parameters: Of the run.
        metrics: Of the run.
        description: Of the version, Markdown.
    """

    model_name: str
    source: str
    run_name: str
    identity: str
    tags: Mapping[str, str]
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    description: str = ""


def fits(database: Path) -> bool:
    """Whether a database can be written here: its tables are the known ones, or are yet to be made as MLflow would."""
    if database.is_file():
        return bool(registry_sqlite.schema_revision(database) == registry_sqlite.KNOWN_REVISION)
    return _installed().startswith(_MLFLOW)


@dataclasses.dataclass(frozen=True)
class SqliteWriter:
    """Has the methods of MLflow's client that write an alias and a tag, and one that makes a version."""

    database: Path

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Sets a tag of a version that exists."""
        with self._transaction() as connection:
            _require(connection, name, version)
            _insert(connection, "model_version_tags", key=key, value=value, name=name, version=int(version))

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Points an alias at a version that exists."""
        with self._transaction() as connection:
            _require(connection, name, version)
            _insert(connection, "registered_model_aliases", alias=alias, version=int(version), name=name)

    def create(self, new: NewVersion) -> str:
        """Makes a version, its finished run and, where they are not there yet, its model and experiment."""
        now = int(time.time() * 1000)
        with self._transaction() as connection:
            run = _record_run(connection, new, self.database.parent / "artifacts" / new.model_name, now)
            return _create_version(connection, new, run, now)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with registry_sqlite.connected(self.database) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                yield connection


def create_database(database: Path) -> None:
    """Makes a new registry, unless it is there; two processes may do it at once, and a killed one leaves nothing."""
    with (
        atomic_files.writing_to("the registry", database),
        atomic_files.locked(model_version.lock_path(database, "create")),
    ):
        if database.is_file():
            return
        partial = database.with_name(f".{database.name}.partial")
        partial.unlink(missing_ok=True)
        now = int(time.time() * 1000)
        with contextlib.closing(sqlite3.connect(partial)) as connection:
            connection.executescript(f"BEGIN; {_TABLES.read_text()} COMMIT;")
            # MLflow's own default.
            default: dict[str, Value] = {"name": "Default", "artifact_location": str(Path.cwd() / "mlruns" / "0")}
            with connection:
                _insert(connection, "experiments", experiment_id=0, **default, **_lived(now))
        partial.rename(database)


def _installed() -> str:
    for name in ("mlflow-skinny", "mlflow"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return ""


def _insert(connection: sqlite3.Connection, table: str, **values: Value) -> int | None:
    """Inserts a row, in place of one with the same key; returns its number."""
    columns, marks = ", ".join(values), ", ".join("?" * len(values))
    query = f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - names of this module
    return connection.execute(query, tuple(values.values())).lastrowid


def _lived(now: int) -> dict[str, Value]:
    return {"lifecycle_stage": "active", "creation_time": now, "last_update_time": now}


def _require(connection: sqlite3.Connection, name: str, version: str) -> None:
    query = (
        "SELECT 1 FROM model_versions WHERE workspace = 'default' AND name = ? AND version = ?"
        " AND current_stage != 'Deleted_Internal'"
    )
    if not connection.execute(query, (name, version)).fetchone():
        raise ConfigurationError(
            f"the registry has no version {version} of {name}\nexpected: a version that a run has registered\n"
            "fix: run the pipeline again"
        )


def _record_run(connection: sqlite3.Connection, new: NewVersion, artifacts: Path, now: int) -> str:
    """Returns the run of a version: the one that a killed registration began, else a new one; all is noted in it."""
    experiment = _experiment(connection, new.model_name, artifacts, now)
    run = _begun(connection, experiment, new) or _new_run(connection, experiment, new, now)
    finished = "UPDATE runs SET status = 'FINISHED', end_time = ? WHERE run_uuid = ?"
    connection.execute(finished, (now, run))
    for key, value in new.tags.items():
        _insert(connection, "tags", key=key, value=value, run_uuid=run)
    for key, value in new.parameters.items():
        _insert(connection, "params", key=key, value=value, run_uuid=run)
    for key, number in new.metrics.items():
        metric: dict[str, Value] = {
            "key": key,
            "value": number,
            "timestamp": now,
            "step": 0,
            "is_nan": 0,
            "run_uuid": run,
        }
        _insert(connection, "metrics", **metric)
        _insert(connection, "latest_metrics", **metric)
    return run


def _experiment(connection: sqlite3.Connection, name: str, artifacts: Path, now: int) -> int:
    query = "SELECT experiment_id, lifecycle_stage FROM experiments WHERE workspace = 'default' AND name = ?"
    row = connection.execute(query, (name,)).fetchone()
    if row is None:
        number = _insert(connection, "experiments", name=name, artifact_location=str(artifacts), **_lived(now))
        return int(number or 0)
    if row[1] != "active":
        raise ConfigurationError(
            f"the registry's experiment {name} is deleted\nexpected: an experiment that takes runs\n"
            f"fix: mlflow experiments restore --experiment-id {row[0]}"
        )
    return int(row[0])


def _begun(connection: sqlite3.Connection, experiment: int, new: NewVersion) -> str | None:
    query = (
        "SELECT run_uuid FROM runs JOIN tags USING (run_uuid) WHERE experiment_id = ? AND lifecycle_stage = 'active'"
        " AND key = ? AND value = ? ORDER BY start_time DESC, run_uuid"
    )
    for (run,) in connection.execute(query, (experiment, new.identity, new.tags[new.identity])).fetchall():
        noted = dict(connection.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run,)).fetchall())
        # MLflow lets nobody change a parameter: a run of another commit stays as it was.
        if all(noted.get(key, value) == value for key, value in new.parameters.items()):
            return str(run)
    return None


def _new_run(connection: sqlite3.Connection, experiment: int, new: NewVersion, now: int) -> str:
    run = uuid.uuid4().hex
    where = "SELECT artifact_location FROM experiments WHERE experiment_id = ?"
    (location,) = connection.execute(where, (experiment,)).fetchone()
    unsaid: dict[str, Value] = {
        "source_type": "UNKNOWN",
        "source_name": "",
        "entry_point_name": "",
        "source_version": "",
    }
    begun: dict[str, Value] = {
        "user_id": "unknown",
        "status": "RUNNING",
        "start_time": now,
        "lifecycle_stage": "active",
    }
    place: dict[str, Value] = {"artifact_uri": f"{location}/{run}/artifacts", "experiment_id": experiment}
    _insert(connection, "runs", run_uuid=run, name=new.run_name, **unsaid, **begun, **place)
    _insert(connection, "tags", key="mlflow.runName", value=new.run_name, run_uuid=run)
    return run


def _create_version(connection: sqlite3.Connection, new: NewVersion, run: str, now: int) -> str:
    registered = "INSERT OR IGNORE INTO registered_models (name, creation_time) VALUES (?, ?)"
    connection.execute(registered, (new.model_name, now))
    changed = "UPDATE registered_models SET last_updated_time = ? WHERE workspace = 'default' AND name = ?"
    connection.execute(changed, (now, new.model_name))
    newest = "SELECT COALESCE(MAX(version), 0) FROM model_versions WHERE workspace = 'default' AND name = ?"
    number = int(connection.execute(newest, (new.model_name,)).fetchone()[0]) + 1
    key: dict[str, Value] = {"name": new.model_name, "version": number}
    made: dict[str, Value] = {"creation_time": now, "last_updated_time": now, "run_id": run}
    state: dict[str, Value] = {
        "current_stage": "None",
        "status": "READY",
        "source": new.source,
        "storage_location": new.source,
        "description": new.description,
    }
    _insert(connection, "model_versions", **key, **made, **state)
    for tag, value in new.tags.items():
        _insert(connection, "model_version_tags", key=tag, value=value, **key)
    return str(number)
