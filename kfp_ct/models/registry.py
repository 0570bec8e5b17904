"""The model registry: MLflow's, read in milliseconds where its database is a local SQLite file.

Two kinds of registry: `sqlite:///path` (the models lie in `models/` beside the database file) and an MLflow
server by `http(s)://`. Importing MLflow costs seconds, and an unchanged run only wants to know who the
champion is: a SQLite file whose schema revision is the one known here is therefore asked directly. Any other
revision, and everything that writes, goes through MLflow.
"""

import os

from kfp_ct.models.model_version import Reader, database_path
from kfp_ct.models.registry_sqlite import KNOWN_REVISION, SqliteReader, schema_revision

# How MLflow shall behave where the user has not said otherwise; it reads some of it as it is imported.
MLFLOW_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A server that is down is reported after seconds; MLflow's own defaults are minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def open_reader(uri: str) -> Reader:
    """Opens a registry for reading, by the fastest way that fits it; one that does not exist yet is empty."""
    database = database_path(uri)
    for name, value in MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)
    if database and (not database.is_file() or schema_revision(database) == KNOWN_REVISION):
        return SqliteReader(database)
    from kfp_ct.models import registry_mlflow

    return registry_mlflow.MlflowReader(uri)
