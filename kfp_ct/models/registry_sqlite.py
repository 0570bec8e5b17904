"""A registry in a local SQLite file, read in milliseconds: MLflow's own tables, without importing MLflow."""

import contextlib
import dataclasses
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kfp_ct.base import atomic_files
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.models.model_version import CHAMPION, ModelVersion, lock_path

# MLflow 3.17's schema revision (`alembic_version`); a test compares both ways of reading.
KNOWN_REVISION = "dc11669786a5"


@contextlib.contextmanager
def alone(database: Path | None) -> Iterator[None]:
    """Keeps two processes on one machine from writing at once; a server orders its requests itself."""
    if database is None:
        yield
        return
    with atomic_files.writing_to("the registry", database), atomic_files.locked(lock_path(database, "write")):
        yield


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
        with connected(self.database) as connection:
            query = "SELECT name FROM registered_models WHERE workspace = 'default' ORDER BY name"
            return [name for (name,) in connection.execute(query).fetchall()]

    def _first(self, model_name: str, query: str, *values: str) -> ModelVersion | None:
        return next(self._each(model_name, query, *values), None)

    def _each(self, model_name: str, query: str, *values: str) -> Iterator[ModelVersion]:
        if not self.database.is_file():
            return
        with connected(self.database) as connection:
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


def schema_revision(database: Path) -> Any:
    """Returns the revision of MLflow's schema that a database has; None if it has none."""
    with connected(database) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:  # no such table: MLflow knows what to do with it
            return None
    return row[0] if row else None


@contextlib.contextmanager
def connected(database: Path) -> Iterator[sqlite3.Connection]:
    """Opens a database that exists.

    Raises:
        ConfigurationError: It is none, or it can be neither read nor written.
    """
    # Not read-only: a killed writer leaves a journal that the next opener must be able to roll back.
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(str(database))}?mode=rw", uri=True, timeout=30)
        ) as connection:
            yield connection
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(
            f"the registry {database} cannot be read or written: {error}\nexpected: a database that MLflow made\n"
            "fix: restore it from a copy, or name another file in registry_uri"
        ) from error
