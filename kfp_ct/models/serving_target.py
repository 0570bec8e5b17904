"""What serves models: one interface over a watched folder, a Deployment, an InferenceService, a Vertex AI endpoint."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Protocol

from kfp_ct.models import serving_folder
from kfp_ct.models.serving_folder import Release
from kfp_ct.models.settings import Serving
from kfp_ct.storage import locations

FOLDER, KUBERNETES, KSERVE, VERTEX = "folder", "kubernetes", "kserve", "vertex"


@dataclasses.dataclass(frozen=True)
class Served:
    """What answers now: `state` is model, version and previous version; `where` is for people."""

    state: dict[str, Any]
    where: str
    kept: list[str] = dataclasses.field(default_factory=list)


class ServingTarget(Protocol):
    """What deploy, promote, rollback and `ct models` need of what serves a model."""

    def check(self, release: Release, keep_versions: int) -> None:
        """Looks whether a release can be served, as far as that can be known beforehand; changes nothing."""

    def serve(self, release: Release, keep_versions: int) -> Served:
        """Makes a blessed model the one that answers; returns when it does, and undoes it where it does not."""

    def served(self, model_name: str) -> str:
        """Returns the version that answers; empty for none."""


class FolderTarget:
    """A folder that a prediction service watches."""

    def __init__(self, serving_root: str) -> None:
        self.serving_root = serving_root

    def check(self, release: Release, keep_versions: int) -> None:
        """Looks whether a release can be served."""
        serving_folder.check(release, self.serving_root, keep_versions)

    def serve(self, release: Release, keep_versions: int) -> Served:
        """Publishes a blessed model."""
        state, kept = serving_folder.publish(release, self.serving_root, keep_versions)
        base = locations.join(self.serving_root, release.model_name)
        return Served(state, locations.absolute(base), kept)

    def served(self, model_name: str) -> str:
        """Returns the version that answers."""
        return serving_folder.served(self.serving_root, model_name)


def open_target(serving: Mapping[str, Any], serving_root: str, model_name: str) -> ServingTarget:
    """Opens what settings name; calls nothing.

    Args:
        serving: The settings `serving`.
        serving_root: Folder or object store that models are published to.
        model_name: The model that is asked for by this name.

    Raises:
        ConfigurationError: There is no cluster to be reached.
    """
    chosen = Serving.model_validate(dict(serving))
    if chosen.target == FOLDER:
        return FolderTarget(serving_root)
    if chosen.target == VERTEX:
        from kfp_ct.models import vertex_target

        return vertex_target.VertexTarget(chosen, model_name, serving_root)
    from kfp_ct.models import cluster_target

    name = chosen.name or re.sub("[^a-z0-9-]", "-", model_name.lower()).strip("-")[:63]
    return cluster_target.open_target(chosen, name, serving_root)
