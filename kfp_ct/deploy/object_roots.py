"""The roots in an object store that a project's settings name for a target."""

from collections.abc import Iterator

from kfp_ct.project.settings import Settings
from kfp_ct.storage import locations


def first(chosen: Settings, destination: str) -> str:
    """Returns the first root in an object store, the target's own before that beside serving_root; empty for none."""
    return next(_roots(chosen, destination), "")


def _roots(chosen: Settings, destination: str) -> Iterator[str]:
    section = chosen.targets.get(destination) or {}
    for root in (section.get("bucket"), section.get("pipeline_root")):
        if isinstance(root, str) and locations.is_remote(root):
            yield root.rstrip("/")
    serving = str(chosen.parameters.get("serving_root", ""))
    if locations.is_remote(serving):
        scheme, bucket, name = locations.split(serving.rstrip("/"))
        yield locations.as_uri(scheme, bucket, name.rpartition("/")[0]).rstrip("/")
