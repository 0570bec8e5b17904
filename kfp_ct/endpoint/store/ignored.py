"""What of a run a cluster would do and this machine does not: taken, kept and handed out, and named."""

from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.endpoint.store import packages
from kfp_ct.package import processes
from kfp_ct.package.package import Package


def of_run(row: Mapping[str, Any], compiled: Package) -> list[str]:
    """Returns what of a run, or a recurring run, has no effect here, in words."""
    return [*_of_row(row), *of_package(compiled)]


def of_package(compiled: Package) -> list[str]:
    """Returns what of a package has no effect here, or keeps this machine from running it, in words."""
    unable = [f"this machine cannot run it: {problem}" for problem in packages.unable(compiled)]
    return [*unable, *(f"ignored here: {each}" for each in processes.ignored(compiled))]


def _of_row(row: Mapping[str, Any]) -> Iterator[str]:
    if row["pipeline_root"]:
        yield "ignored here: pipeline_root, artifacts are in the endpoint's home"
    if row["service_account"]:
        yield "ignored here: service_account, tasks run as the user who runs the endpoint"
