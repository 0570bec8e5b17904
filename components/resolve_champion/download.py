"""Fetches a registered model from an MLflow server; apart because MLflow takes seconds to import."""

from pathlib import Path

from components import registry_mlflow

from mlflow.artifacts import download_artifacts  # isort: skip


def download(registry_uri: str, source: str, folder: Path) -> None:
    """Downloads the content of a registered model's source into a folder.

    Raises:
        ConfigurationError: The server does not answer or has no such model.
    """
    with registry_mlflow.reaching(registry_uri):
        download_artifacts(artifact_uri=source, dst_path=str(folder), tracking_uri=registry_uri)
