"""The model registry: MLflow's, read in milliseconds where its database is a local SQLite file.

Two kinds of registry: `sqlite:///path` (the models lie in `models/` beside the database file) and an MLflow
server by `http(s)://`. Importing MLflow costs seconds, and an unchanged run only wants to know who the
champion is: a SQLite file whose schema revision is the one known here is therefore asked directly. Any other
revision, and everything that writes, goes through MLflow.
"""

import contextlib
import dataclasses
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from kfp_ct.base import atomic_files
from kfp_ct.base.errors import ConfigurationError

CHAMPION = "champion"
SQLITE = "sqlite:///"
SCHEMES = (SQLITE, "http://", "https://")
# MLflow 3.17's schema revision (`alembic_version`); a test compares both ways of reading.
KNOWN_REVISION = "dc11669786a5"

# How MLflow shall behave where the user has not said otherwise; it reads some of it as it is imported.
MLFLOW_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A server that is down is reported after seconds; MLflow's own defaults are minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclasses.dataclass(frozen=True)
class ModelVersion:
    """A registered version: `source` is the folder whose Format-Serving/ is the SavedModel.

    `created` is milliseconds since 1970.
    """

    number: str
    source: str
    tags: dict[str, str]
    created: int = 0


class Reader(Protocol):
    """What can be asked of a registry without changing it; None where there is no such version."""

    def champion(self, model_name: str) -> ModelVersion | None:
        """Returns the version with the alias champion."""

    def version(self, model_name: str, number: str) -> ModelVersion | None:
        """Returns a version by number."""

    def find(self, model_name: str, tag: str, value: str) -> ModelVersion | None:
        """Returns the newest version whose tag has this value."""

    def versions(self, model_name: str) -> list[ModelVersion]:
        """Returns all versions, newest first."""

    def models(self) -> list[str]:
        """Returns the names of the registered models."""


def check_model_name(name: str) -> str:
    """Returns a name that is safe as a folder, in a URL and in the registry.

    Raises:
        ConfigurationError: It is not.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot be a model name\n"
            "expected: letters, digits, '.', '_' and '-', a letter or digit first, at most 128\n"
            "mend: correct model_name in the settings file"
        )
    return name


def check_uri(uri: str) -> str:
    """Returns a registry URI this library can use.

    Raises:
        ConfigurationError: Its scheme is another, or it names nothing.
    """
    if not uri.startswith(SCHEMES) or uri in SCHEMES:
        raise ConfigurationError(
            f"the registry URI {uri!r} cannot be used\nexpected: sqlite:///path/to/registry.db or http(s)://server\n"
            "mend: correct registry_uri in the settings file"
        )
    return uri


def database_path(uri: str) -> Path | None:
    """Returns the absolute path of a SQLite registry's file; None for a server."""
    return Path(uri.removeprefix(SQLITE)).resolve() if check_uri(uri).startswith(SQLITE) else None


def models_root(database: Path) -> Path:
    """Returns the folder that holds the registered models of a SQLite registry."""
    return database.parent / "models"


def lock_path(database: Path, purpose: str) -> Path:
    """Returns the lock file for one purpose, beside the database."""
    return database.with_name(f".{database.name}.{purpose}.lock")


@contextlib.contextmanager
def alone(database: Path | None) -> Iterator[None]:
    """Keeps two processes on one machine from writing at once; a server orders its requests itself."""
    if database is None:
        yield
        return
    with atomic_files.writing_to("the registry", database), atomic_files.locked(lock_path(database, "write")):
        yield


def open_reader(uri: str) -> Reader:
    """Opens a registry for reading, by the fastest way that fits it; one that does not exist yet is empty."""
    database = database_path(uri)
    for name, value in MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)
    if database and (not database.is_file() or _revision(database) == KNOWN_REVISION):
        return SqliteReader(database)
    from kfp_ct.models import registry_mlflow

    return registry_mlflow.MlflowReader(uri)


def local_path(source: str) -> Path | None:
    """Returns the path of a version's source folder; None if it lies on a server or in a bucket."""
    parts = urlsplit(source)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(source) if not parts.scheme else None


@dataclasses.dataclass(frozen=True)
class SqliteReader:
    """Reads MLflow's own tables; a database file that does not exist is an empty registry."""

    database: Path

    def champion(self, model_name: str) -> ModelVersion | None:
        """Returns the version with the alias champion."""
        query = "SELECT version FROM registered_model_aliases WHERE workspace = 'default' AND name = ? AND alias = ?"
        return self._first(model_name, query, CHAMPION)

    def version(self, model_name: str, number: str) -> ModelVersion | None:
        """Returns a version by number."""
        query = "SELECT version FROM model_versions WHERE workspace = 'default' AND name = ? AND version = ?"
        return self._first(model_name, query, number)

    def find(self, model_name: str, tag: str, value: str) -> ModelVersion | None:
        """Returns the newest version whose tag has this value."""
        query = (
            "SELECT version FROM model_version_tags WHERE workspace = 'default' AND name = ? AND key = ? AND value = ?"
            " ORDER BY version DESC"
        )
        return self._first(model_name, query, tag, value)

    def versions(self, model_name: str) -> list[ModelVersion]:
        """Returns all versions, newest first."""
        query = "SELECT version FROM model_versions WHERE workspace = 'default' AND name = ? ORDER BY version DESC"
        return list(self._each(model_name, query))

    def models(self) -> list[str]:
        """Returns the names of the registered models."""
        if not self.database.is_file():
            return []
        with _connected(self.database) as connection:
            query = "SELECT name FROM registered_models WHERE workspace = 'default' ORDER BY name"
            return [name for (name,) in connection.execute(query).fetchall()]

    def _first(self, model_name: str, query: str, *values: str) -> ModelVersion | None:
        return next(self._each(model_name, query, *values), None)

    def _each(self, model_name: str, query: str, *values: str) -> Iterator[ModelVersion]:
        if not self.database.is_file():
            return
        with _connected(self.database) as connection:
            for (number,) in connection.execute(query, (model_name, *values)).fetchall():
                if found := _load(connection, model_name, number):
                    yield found


def _load(connection: sqlite3.Connection, model_name: str, number: int) -> ModelVersion | None:
    key = (model_name, number)
    where = "WHERE workspace = 'default' AND name = ? AND version = ?"
    # A deleted version stays in the table under this stage.
    alive = f"SELECT source, creation_time FROM model_versions {where} AND current_stage != 'Deleted_Internal'"  # noqa: S608
    row = connection.execute(alive, key).fetchone()
    tags = connection.execute(f"SELECT key, value FROM model_version_tags {where}", key).fetchall()  # noqa: S608
    return ModelVersion(str(number), row[0], dict(tags), int(row[1] or 0)) if row else None


def _revision(database: Path) -> Any:
    with _connected(database) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:  # no such table: MLflow knows what to do with it
            return None
    return row[0] if row else None


@contextlib.contextmanager
def _connected(database: Path) -> Iterator[sqlite3.Connection]:
    # Not read-only: a killed writer leaves a journal that the next opener must be able to roll back.
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(str(database))}?mode=rw", uri=True, timeout=30)
        ) as connection:
            yield connection
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(
            f"the registry {database} cannot be read: {error}\nexpected: a database that MLflow made\n"
            "mend: restore it from a copy, or name another file in registry_uri"
        ) from error
