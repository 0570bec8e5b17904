"""Where the launcher of Kubeflow Pipelines leaves what a run's tasks write: <root>/<pipeline>/<run>/<task>/…"""

import os
from collections.abc import Mapping
from typing import Any

from kfp_ct.base.errors import ComponentError
from kfp_ct.storage import locations, storage

# Where KFP's own object store is the pipeline root.
DEFAULT_ROOT = "minio://mlpipeline/v2/artifacts"
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "AWS_WEB_IDENTITY_TOKEN_FILE")
# What the launcher keeps of the output of a task's container.
_LOG = "executor-logs"


def folder(run: Any, spec: Mapping[str, Any], own: str | None = None) -> str:
    """Returns a run's folder as a URI.

    Args:
        run: The run as the API has it.
        spec: The spec of its package.
        own: The pipeline root of the settings.
    """
    config = run.runtime_config
    root = str((config.pipeline_root if config else "") or own or DEFAULT_ROOT)
    root = root.replace("minio://", locations.S3).partition("?")[0]
    return locations.join(root, str(spec.get("pipelineInfo", {}).get("name", "")), str(run.run_id))


def unreadable(place: str) -> str:
    """Returns why a folder cannot be read from here, its URI in it; empty if it may be."""
    if not locations.is_remote(place):
        return f": {place} cannot be read from here"
    if place.startswith(locations.S3) and not any(os.environ.get(key) for key in _KEYS):
        return f" are in {place}: export AWS_… to have them read"
    return ""


def log(place: str, task: str) -> str:
    """Returns what the launcher kept of a task's output, of its last try; empty where it is not to be had from here."""
    if unreadable(place):
        return ""
    try:
        below = storage.list_folder(locations.join(place, task))
        kept = [each for each in below if each.file_name == _LOG]
        content = storage.read(max(kept, key=lambda each: each.modified).uri) if kept else None
    except ComponentError:
        return ""
    return content.data.decode(errors="replace") if content else ""
