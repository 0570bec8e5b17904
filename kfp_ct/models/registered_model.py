"""Where a registered model's files are, and handing them on as a task's output artifact."""

import dataclasses
from pathlib import Path

from kfp_ct.base.errors import DataError
from kfp_ct.data import layouts
from kfp_ct.models import model_version

# Buckets that KFP hands to a task by URI.
_BUCKETS = ("gs://", "s3://", "minio://")


@dataclasses.dataclass(frozen=True)
class Located:
    """Where a registered model is.

    Attributes:
        uri: Folder whose Format-Serving/ is its SavedModel; empty if it has to be downloaded.
        download: Registry URI and source to download it from; None if that is not needed.
    """

    uri: str
    download: tuple[str, str] | None = None


def locate(version: model_version.ModelVersion, registry_uri: str, model_name: str) -> Located:
    """Finds a version's files: on a shared disk, in a bucket, or behind the registry's server.

    Raises:
        DataError: The registry names files that are gone.
    """
    folder = model_version.local_path(version.source)
    if folder is None:
        in_bucket = version.source.startswith(_BUCKETS)
        return Located(version.source) if in_bucket else Located("", (registry_uri, version.source))
    database = model_version.database_path(registry_uri)
    # The whole folder may have been moved: the models are still beside the database.
    moved = model_version.models_root(database) / model_name / folder.name if database else folder
    for candidate in (folder, moved):
        if (candidate / layouts.SERVING_MODEL).is_dir():
            return Located(str(candidate))
    raise DataError(
        f"the files of the champion {model_name} v{version.number} are gone: {folder}\n"
        "expected: the folder that register wrote; no other model can stand in for it\n"
        f"fix: restore the folder, or delete version {version.number} of {model_name} in MLflow"
    )


def materialize(located: Located, uri: str, path: str) -> str:
    """Returns the URI of a model's folder: where it is, or the task's own output, which is then filled.

    Args:
        located: Where the model is.
        uri: URI of the task's output artifact.
        path: Its path in this task.
    """
    if located.download is None:
        return located.uri
    from kfp_ct.models import registry_download

    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    registry_download.download(*located.download, folder)
    return uri
