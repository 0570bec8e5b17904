"""Publishes a blessed model to the folder that a prediction service watches."""

from pathlib import Path
from typing import Any

from kfp_ct.base import task_log
from kfp_ct.data import layouts
from kfp_ct.models.serving_folder import Release, publish
from kfp_ct.storage import locations


def deploy(release: Release, serving_root: str, keep_versions: int, deployment_path: str) -> dict[str, Any]:
    """Publishes a blessed model as <serving_root>/<model_name>/<version>/ and makes it the served one.

    Args:
        release: What to serve.
        serving_root: Folder or bucket that the service watches.
        keep_versions: Versions that stay, this one included; at least 1.
        deployment_path: Where summary.json is written.

    Returns:
        The deployment's metadata: model, version and previous version.

    Raises:
        ModelNotBlessedError: The verdict is not a yes, or is about another model.
        ConfigurationError: A name, a version or the folder cannot be used, or it holds another model as this version.
    """
    state, kept = publish(release, serving_root, keep_versions)
    base = locations.join(serving_root, release.model_name)
    base = base if locations.is_remote(base) else str(locations.local_path(base))
    layouts.write_json(Path(deployment_path) / layouts.SUMMARY, {**state, "kept": kept, "path": base})
    task_log.summary(f"serving {release.model_name} v{release.version} from {base}{_kept_versions_text(kept)}")
    return state


def _kept_versions_text(kept: list[str]) -> str:
    return f"; {', '.join(f'v{version}' for version in kept)} kept" if kept else ""
