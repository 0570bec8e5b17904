"""Makes a version through MLflow's client: on a server, or where a database has tables that are not known here."""

import contextlib
import time
from pathlib import Path

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from kfp_ct.components.register.entry import FINGERPRINT, Entry, mlflow_name
from kfp_ct.data import layouts

# The folder of a run's artifacts that holds the model, on a server.
_RUN_FOLDER = "model"


def create_version(client: MlflowClient, entry: Entry, database: Path | None, source: str) -> str:
    """Makes the model's run and its version; returns the version's number.

    Args:
        client: MLflow's.
        entry: The model.
        database: The registry's file; None for a server.
        source: The folder the model has been copied to; empty on a server, which receives it here.
    """
    run = _run(client, entry, database)
    if not source:
        client.log_artifacts(run.info.run_id, str(entry.model_path), _RUN_FOLDER)
        for name, path in entry.files.items():
            client.log_artifact(run.info.run_id, str(path), str(Path(_RUN_FOLDER, layouts.REGISTERED, name).parent))
        source = f"{run.info.artifact_uri}/{_RUN_FOLDER}"
    _record(client, run.info.run_id, entry)
    with contextlib.suppress(MlflowException):  # it exists; anything else comes up again one line on
        client.create_registered_model(entry.model_name)
    version = client.create_model_version(
        entry.model_name, source, run.info.run_id, entry.tags, description=entry.description
    )
    return str(version.version)


def _run(client: MlflowClient, entry: Entry, database: Path | None) -> Run:
    """Returns the model's run: the one a killed registration began, else a new one."""
    experiment = _experiment(client, entry.model_name, database)
    for begun in client.search_runs([experiment], f"tags.{FINGERPRINT} = '{entry.fingerprint}'"):
        # MLflow lets nobody change a parameter: a run of another commit stays as it was.
        if all(begun.data.params.get(mlflow_name(key), value) == value for key, value in entry.parameters.items()):
            return begun
    tags = {**entry.tags, "mlflow.runName": entry.run_name}
    return client.create_run(experiment, tags=tags)


def _experiment(client: MlflowClient, name: str, database: Path | None) -> str:
    existing = client.get_experiment_by_name(name)
    if existing is not None:
        return str(existing.experiment_id)
    location = str(database.parent / "artifacts" / name) if database else None
    try:
        return str(client.create_experiment(name, artifact_location=location))
    except MlflowException:
        existing = client.get_experiment_by_name(name)  # another run was faster
        if existing is None:
            raise
        return str(existing.experiment_id)


def _record(client: MlflowClient, run_id: str, entry: Entry) -> None:
    now = int(time.time() * 1000)
    metrics = [Metric(mlflow_name(key), value, now, 0) for key, value in entry.metrics.items()]
    parameters = [Param(mlflow_name(key), value) for key, value in entry.parameters.items()]
    tags = [RunTag(key, value) for key, value in entry.tags.items()]
    client.log_batch(run_id, metrics, parameters, tags)
    client.set_terminated(run_id)
