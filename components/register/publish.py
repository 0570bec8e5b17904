"""Writes a model into the registry through MLflow, in an order that survives being killed.

Model files (copied under another name, then renamed) → run → version, with its tags in one transaction →
alias, unless deploy moves it. Each step first looks whether it has been done, so a rerun finishes what was begun.
"""

import contextlib
import time
from pathlib import Path

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from kfp_ct.base import atomic_files
from kfp_ct.components.register.entry import Entry, Registered, mlflow_name
from kfp_ct.data import layouts
from kfp_ct.models import champion_alias, model_version, registry, registry_mlflow, registry_sqlite

_FINGERPRINT = "model_fingerprint"
# The folder of a run's artifacts that holds the model, on a server.
_RUN_FOLDER = "model"


def publish(entry: Entry, registry_uri: str, make_champion: bool = True) -> Registered:
    """Makes the model a version and, if asked to, that version the champion; both only as far as they are not yet so.

    Raises:
        ConfigurationError: The registry cannot be written or does not answer.
    """
    database = model_version.database_path(registry_uri)
    with registry_mlflow.reaching(registry_uri):
        client = registry_mlflow.open_client(registry_uri)
        with registry_sqlite.alone(database):
            return _publish(client, entry, registry_uri, make_champion)


def _publish(client: MlflowClient, entry: Entry, registry_uri: str, make_champion: bool) -> Registered:
    reader = registry.open_reader(registry_uri)
    champion = reader.champion(entry.model_name)
    before = champion.number if champion else ""
    existing = reader.find(entry.model_name, _FINGERPRINT, entry.fingerprint)
    if existing is None:
        number = _create_version(client, entry, registry_uri)
    else:
        number = existing.number
        if number == before:  # another run of the same model was faster
            return Registered(number, existing.tags.get("previous_champion", ""))
        # The same model from another training: an unchanged rerun of this one must recognise it.
        client.set_model_version_tag(entry.model_name, number, "training_key", entry.tags["training_key"])
    if make_champion:
        champion_alias.move(client, entry.model_name, model_version.ModelVersion(number, "", entry.tags), before)
    return Registered(number, before)


def _create_version(client: MlflowClient, entry: Entry, registry_uri: str) -> str:
    database = model_version.database_path(registry_uri)
    source = str(_store(entry, model_version.models_root(database) / entry.model_name)) if database else ""
    run = _run(client, entry, database)
    if not source:
        client.log_artifacts(run.info.run_id, str(entry.model_path), _RUN_FOLDER)
        for name, path in entry.files.items():
            client.log_artifact(run.info.run_id, str(path), str(Path(_RUN_FOLDER, layouts.REGISTERED, name).parent))
        source = f"{run.info.artifact_uri}/{_RUN_FOLDER}"
    _record(client, run.info.run_id, entry)
    with contextlib.suppress(MlflowException):  # it exists; anything else comes up again one line on
        client.create_registered_model(entry.model_name)
    version = client.create_model_version(entry.model_name, source, run.info.run_id, tags=entry.tags)
    return str(version.version)


def _store(entry: Entry, parent: Path) -> Path:
    """Copies the model to a folder named by its content, beside the database."""
    folder = parent / entry.fingerprint[:16]
    with atomic_files.writing_to("the registry's folder", parent):
        if folder.is_dir() and layouts.tree_fingerprint(folder, leave_out=layouts.REGISTERED) != entry.fingerprint:
            atomic_files.withdraw(folder)
        if not folder.is_dir():
            parent.mkdir(parents=True, exist_ok=True)
            atomic_files.sweep(parent)
            added = {f"{layouts.REGISTERED}/{name}": path for name, path in entry.files.items()}
            atomic_files.publish(entry.model_path, folder, added)
    return folder


def _run(client: MlflowClient, entry: Entry, database: Path | None) -> Run:
    """Returns the model's run: the one a killed registration began, else a new one."""
    experiment = _experiment(client, entry.model_name, database)
    for begun in client.search_runs([experiment], f"tags.{_FINGERPRINT} = '{entry.fingerprint}'"):
        # MLflow lets nobody change a parameter: a run of another commit stays as it was.
        if all(begun.data.params.get(mlflow_name(key), value) == value for key, value in entry.parameters.items()):
            return begun
    tags = {**entry.tags, "mlflow.runName": f"{entry.model_name} {entry.tags['window']}"}
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
