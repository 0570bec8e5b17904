"""The model registry: MLflow's, read in milliseconds where its database is a local SQLite file.

Two kinds of registry: `sqlite:///path` (the models lie in `models/` beside the database file) and an MLflow
server by `http(s)://`. Importing MLflow costs seconds, and an unchanged run only wants to know who the
champion is: a SQLite file whose schema revision is the one known here is therefore read and written directly. Any
other revision, and every server, goes through MLflow.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any, Protocol

from kfp_ct.models import registry_sqlite_writer
from kfp_ct.models.model_version import Reader, database_path
from kfp_ct.models.registry_sqlite import KNOWN_REVISION, SqliteReader, schema_revision
from kfp_ct.models.registry_sqlite_writer import SqliteWriter

# How MLflow shall behave where the user has not said otherwise; it reads some of it as it is imported.
MLFLOW_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A server that is down is reported after seconds; MLflow's own defaults are minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class Writer(Protocol):
    """What moves an alias and notes why, as MLflow's client has it."""

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> Any:
        """Sets a tag of a version that exists."""

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> Any:
        """Points an alias at a version that exists."""


def open_reader(uri: str) -> Reader:
    """Opens a registry for reading, by the fastest way that fits it; one that does not exist yet is empty."""
    database = database_path(uri)
    if database and (not database.is_file() or schema_revision(database) == KNOWN_REVISION):
        return SqliteReader(database)
    return _mlflow().MlflowReader(uri)


@contextlib.contextmanager
def writing(uri: str) -> Iterator[Any]:
    """Opens a registry for writing; a SQLite database is made first if there is none.

    Yields:
        A `SqliteWriter` where that fits, else MLflow's client. Both are a `Writer`.

    Raises:
        ConfigurationError: The registry cannot be written, does not answer or refuses.
    """
    database = database_path(uri)
    if database and registry_sqlite_writer.fits(database):
        if not database.is_file():
            registry_sqlite_writer.create_database(database)
        yield SqliteWriter(database)
        return
    registry_mlflow = _mlflow()
    with registry_mlflow.reaching(uri):
        yield registry_mlflow.open_client(uri)


def _mlflow() -> Any:
    """Returns what goes through MLflow; imported where it is needed, since it takes seconds."""
    for name, value in MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)
    from kfp_ct.models import registry_mlflow

    return registry_mlflow
