"""Finds the model to beat."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from kfp_ct.base import task_log
from kfp_ct.data import layouts
from kfp_ct.models import model_version, registered_model, registry

# What a folder that stands for "no model" holds, so that a person who opens it understands.
NO_MODEL = "NO_MODEL"


@dataclasses.dataclass(frozen=True)
class ResolvedChampion:
    """The model to compare with.

    Attributes:
        uri: Folder whose Format-Serving/ is its SavedModel, `no_model_uri` if there is none; empty if it has to
            be downloaded.
        version: Its version; empty if there is none.
        no_model_uri: Folder without a SavedModel, the same one on every run; empty where there is no shared disk.
        download: Registry URI and source to download it from; None if that is not needed.
    """

    uri: str
    version: str
    no_model_uri: str
    download: tuple[str, str] | None = None

    @property
    def no_model(self) -> "ResolvedChampion":
        """The answer as it would be without a champion."""
        return ResolvedChampion(self.no_model_uri, "", self.no_model_uri)


def training_key(
    examples_path: str, hyperparameters: dict[str, Any], code_version: str, tuning: dict[str, Any] | None = None
) -> str:
    """Returns the identity of a training: two runs with the same key train the same model.

    It is a SHA-256 over the content of the examples, the hyperparameters (5 and 5.0 are the same, as KFP turns
    whole numbers into floats), the version of the code and, if there is a search for hyperparameters, its settings.
    """
    parts = [layouts.read_manifest(examples_path).fingerprint, _canonical(hyperparameters), code_version]
    if tuning:
        parts.append(_canonical(tuning))
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def resolve(registry_uri: str, model_name: str, training_key: str) -> ResolvedChampion:
    """Finds the model to beat: the champion, or what it had to beat if this very training produced it.

    So an unchanged rerun compares with the same model as the first run did, and every cached step is a hit.

    Raises:
        ConfigurationError: The registry's URI or the model's name does not fit, or it does not answer.
        DataError: The registry names a champion whose files are gone.
    """
    model_version.check_model_name(model_name)
    reader = registry.open_reader(registry_uri)
    version = _model_to_beat(reader, model_name, training_key)
    nothing = _no_model_uri(registry_uri)
    if version is None:
        task_log.summary(f"no champion of {model_name} to compare with")
        return ResolvedChampion(nothing, "", nothing)
    task_log.summary(f"compare with {model_name} v{version.number}")
    located = registered_model.locate(version, registry_uri, model_name)
    return ResolvedChampion(located.uri, version.number, nothing, located.download)


def materialize(found: ResolvedChampion, uri: str, path: str) -> str:
    """Returns the URI of the folder to hand on: the shared one, or the task's own output, which it then fills."""
    if found.uri or found.download:
        return registered_model.materialize(registered_model.Located(found.uri, found.download), uri, path)
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NO_MODEL).touch()
    return uri


def _model_to_beat(
    reader: model_version.Reader, model_name: str, training_key: str
) -> model_version.ModelVersion | None:
    version = reader.champion(model_name)
    seen = set()
    while version is not None and version.tags.get("training_key") == training_key:
        if version.number in seen:
            return None
        seen.add(version.number)
        previous = version.tags.get("previous_champion", "")
        version = reader.version(model_name, previous) if previous else None
    return version


def _no_model_uri(registry_uri: str) -> str:
    database = model_version.database_path(registry_uri)
    if database is None:
        return ""
    folder = model_version.models_root(database) / "none"
    if not (folder / NO_MODEL).is_file():
        from kfp_ct.base import atomic_files

        with atomic_files.writing_to("the registry's folder", folder):
            layouts.write_text(folder / NO_MODEL, "Stands for: there is no model yet.\n")
    return str(folder)


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
