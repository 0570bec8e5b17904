"""What of a run has an effect on a cluster only: taken, kept and handed out, and named as ignored here."""

from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.package.package import Package


def ignored(row: Mapping[str, Any], compiled: Package | None) -> list[str]:
    """Returns what of a run is ignored on this machine, in words.

    Args:
        row: The run, or recurring run.
        compiled: Its package, where it is at hand.
    """
    return list(_ignored(row, compiled or {}))


def _ignored(row: Mapping[str, Any], compiled: Package) -> Iterator[str]:
    if row["pipeline_root"]:
        yield "pipeline_root: artifacts are in the endpoint's home"
    if row["service_account"]:
        yield "service_account: tasks run as the user who runs the endpoint"
    for platform in sorted(compiled.get("platforms") or {}):
        yield f"the package's settings for {platform}"
