"""Where a registered model's files are, and handing them on as a task's output artifact."""

import dataclasses
from pathlib import Path

from kfp_ct.base.errors import DataError
from kfp_ct.data import layouts
from kfp_ct.models import model_version
from kfp_ct.models.model_version import FILES_DELETED

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
    if model_version.is_deleted(version):
        raise DataError(
            f"the files of {model_name} v{version.number} were deleted by ct gc, {version.tags[FILES_DELETED]}\n"
            "expected: a version that has its files; retention.yaml says how long versions keep them\n"
            f"fix: name another version; `ct reproduce {model_name} {version.number}` trains it again, to look at"
        )
    if model_version.local_path(version.source) is None:
        in_bucket = version.source.startswith(_BUCKETS)
        return Located(version.source) if in_bucket else Located("", (registry_uri, version.source))
    if folder := local_folder(version, registry_uri, model_name):
        return Located(str(folder))
    raise DataError(
        f"the files of the champion {model_name} v{version.number} are gone: {version.source}\n"
        "expected: the folder that register wrote; no other model can stand in for it\n"
        f"fix: restore the folder, or delete version {version.number} of {model_name} in MLflow"
    )


def local_folder(version: model_version.ModelVersion, registry_uri: str, model_name: str) -> Path | None:
    """Returns the folder of a version's files on this machine; None if they are gone, or elsewhere."""
    folder = model_version.local_path(version.source)
    if folder is None:
        return None
    database = model_version.database_path(registry_uri)
    # The whole folder may have been moved: the models are still beside the database.
    moved = model_version.models_root(database) / model_name / folder.name if database else folder
    return next((each for each in (folder, moved) if (each / layouts.SERVING_MODEL).is_dir()), None)


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
