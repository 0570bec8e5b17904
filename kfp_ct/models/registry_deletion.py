"""Deletes the files of a registered model in a bucket or on an MLflow server; apart because MLflow takes seconds."""

from typing import Any

from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from kfp_ct.models import model_version, registry_mlflow
from kfp_ct.storage import locations, storage


def delete(registry_uri: str, source: str) -> None:
    """Deletes all files of a version's source; it is no error that there are none.

    Raises:
        ConfigurationError: The server or the store does not answer, or refuses.
    """
    if locations.is_remote(source):
        for item in storage.list_folder(source):
            storage.delete(item.uri)
        return
    tracking_uri = model_version.check_uri(registry_uri)
    with registry_mlflow.reaching(registry_uri):
        repository: Any = get_artifact_repository(source, tracking_uri=tracking_uri)
        repository.delete_artifacts()
