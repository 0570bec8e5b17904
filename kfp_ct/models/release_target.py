"""The releases of what serves a model, as settings say: what splits its traffic, and what follows in the registry."""

import re
from collections.abc import Mapping
from typing import Any

from kfp_ct.models import champion_alias, registry, releases, serving_target
from kfp_ct.models.release_state import State
from kfp_ct.models.releases import Releases, Traffic
from kfp_ct.models.settings import Serving

# The tag of a version that says how its release ended.
TAG = "release"


def open_releases(serving: Mapping[str, Any], serving_root: str, model_name: str, registry_uri: str) -> Releases:
    """Opens the releases of a model; calls nothing.

    Args:
        serving: The settings `serving`.
        serving_root: Folder or object store that models are published to.
        model_name: The model.
        registry_uri: Registry whose alias champion moves at the end; empty for none.
    """

    def promoted(state: State) -> None:
        if registry_uri:
            champion_alias.make_champion(registry_uri, model_name, state.candidate)
            _tag(registry_uri, state, f"promoted: {state.reason}")

    def backed_out(state: State) -> None:
        if registry_uri:
            _tag(registry_uri, state, f"backed out: {state.reason}")

    traffic = _traffic(Serving.model_validate(dict(serving)), serving_root, model_name)
    return Releases(serving_root, traffic, promoted, backed_out)


def _traffic(chosen: Serving, serving_root: str, model_name: str) -> Traffic:
    if chosen.target == serving_target.VERTEX:
        from kfp_ct.models import vertex_target

        return vertex_target.VertexTarget(chosen, model_name, serving_root)
    if chosen.target != serving_target.KSERVE:
        return releases.FolderTraffic(serving_root)
    from kfp_ct.models import cluster_traffic

    name = chosen.name or re.sub("[^a-z0-9-]", "-", model_name.lower()).strip("-")[:63]
    return cluster_traffic.ClusterTraffic(chosen, name, serving_root)


def _tag(registry_uri: str, state: State, text: str) -> None:
    with registry.writing(registry_uri) as client:
        client.set_model_version_tag(state.model, state.candidate, TAG, text[:2_000])
