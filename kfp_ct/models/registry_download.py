"""Fetches a registered model from an MLflow server; apart because MLflow takes seconds to import."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from mlflow.artifacts import download_artifacts, list_artifacts

from kfp_ct.data import layouts
from kfp_ct.models import model_version, registry_mlflow


def download_records(registry_uri: str, source: str, folder: Path, names: Sequence[str]) -> None:
    """Downloads folders of what the registry keeps beside a model, as far as they are there.

    Raises:
        ConfigurationError: The server does not answer.
    """
    tracking_uri = model_version.check_uri(registry_uri)
    with registry_mlflow.reaching(registry_uri):
        listed = list_artifacts(artifact_uri=f"{source}/{layouts.REGISTERED}", tracking_uri=tracking_uri)
    there = {Path(each.path).name for each in listed}
    for name in names:
        if name in there:
            kept = folder / layouts.REGISTERED / name
            kept.mkdir(parents=True)
            download(registry_uri, f"{source}/{layouts.REGISTERED}/{name}", kept)


def download(registry_uri: str, source: str, folder: Path) -> None:
    """Downloads the content of a registered model's source into a folder.

    Raises:
        ConfigurationError: The server does not answer or has no such model.
    """
    shutil.rmtree(folder)  # what a killed download left
    partial = folder / ".partial"
    partial.mkdir(parents=True)
    tracking_uri = model_version.check_uri(registry_uri)
    with registry_mlflow.reaching(registry_uri):
        downloaded = download_artifacts(artifact_uri=source, dst_path=str(partial), tracking_uri=tracking_uri)
    # MLflow puts it into a folder named after the source's last part.
    for path in Path(downloaded).iterdir():
        path.rename(folder / path.name)
    shutil.rmtree(partial)
