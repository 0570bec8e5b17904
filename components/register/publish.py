"""Writes a model into the registry, in an order that survives being killed.

Model files (copied under another name, then renamed) → run and version, with their tags, in one transaction (through
MLflow one after the other) → alias, unless deploy moves it. Each step first looks whether it has been done, so a rerun
finishes what was begun.
"""

from pathlib import Path
from typing import Any

from kfp_ct.base import atomic_files
from kfp_ct.components.register.entry import FINGERPRINT, Entry, Registered, mlflow_name
from kfp_ct.data import layouts
from kfp_ct.models import champion_alias, model_version, registry, registry_sqlite
from kfp_ct.models.registry_sqlite_writer import NewVersion, SqliteWriter


def publish(entry: Entry, registry_uri: str, make_champion: bool = True) -> Registered:
    """Makes the model a version and, if asked to, that version the champion; both only as far as they are not yet so.

    Raises:
        ConfigurationError: The registry cannot be written or does not answer.
    """
    database = model_version.database_path(registry_uri)
    with registry.writing(registry_uri) as client, registry_sqlite.alone(database):
        return _publish(client, entry, registry_uri, make_champion)


def _publish(client: Any, entry: Entry, registry_uri: str, make_champion: bool) -> Registered:
    reader = registry.open_reader(registry_uri)
    champion = reader.champion(entry.model_name)
    before = champion.number if champion else ""
    existing = reader.find(entry.model_name, FINGERPRINT, entry.fingerprint)
    if existing is None or model_version.is_deleted(existing):  # the same model again, whose files are there now
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


def _create_version(client: Any, entry: Entry, registry_uri: str) -> str:
    database = model_version.database_path(registry_uri)
    source = str(_store(entry, model_version.models_root(database) / entry.model_name)) if database else ""
    if isinstance(client, SqliteWriter):
        return client.create(_new_version(entry, source))
    from kfp_ct.components.register import publish_mlflow  # importing MLflow takes seconds

    return publish_mlflow.create_version(client, entry, database, source)


def _new_version(entry: Entry, source: str) -> NewVersion:
    parameters = {mlflow_name(key): value for key, value in entry.parameters.items()}
    metrics = {mlflow_name(key): value for key, value in entry.metrics.items()}
    return NewVersion(
        entry.model_name, source, entry.run_name, FINGERPRINT, entry.tags, parameters, metrics, entry.description
    )


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
