"""Settings that cannot work where tasks run on other machines: state that only this machine has."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from kfp_ct.base import nested
from kfp_ct.base.errors import UsageError
from kfp_ct.base.setting_problems import dotted
from kfp_ct.deploy import target
from kfp_ct.project.settings import Settings
from kfp_ct.project.workspace import Workspace

# Parameters of our pipelines that name where state lies; Vertex AI mounts no volume for them.
LOCATIONS = ("checkpoints", "history", "labels", "registry_uri", "request_log", "serving_root", "warm_up_log")
STATE = ".ct/"
IN_THE_IMAGE = ("pipelines/", "components/", "kfp_ct/")
MOUNTED_BY_VERTEX = "/gcs/"


def require_reachable(chosen: Settings, destination: str, workspace: Workspace) -> None:
    """Refuses settings of which tasks on other machines could not read or write what they name.

    Args:
        chosen: The settings that runs are started with.
        destination: local, kfp or vertex; anything is reachable for local.
        workspace: The repository, and the folder of this machine's state.

    Raises:
        UsageError: Lists every parameter that names a database file, a folder of this machine or, on Vertex AI, a path.
    """
    if destination == target.LOCAL:
        return
    places = dict(locations(chosen.parameters))
    problems = [
        f"{dotted(path)} is {value}: {reason}"
        for path, value in nested.texts(chosen.parameters)
        if (reason := _of_this_machine(value, workspace) or _no_place(places.get(dotted(path), ""), destination))
    ]
    if problems:
        expected = (
            "gs:// and the address of a service" if destination == target.VERTEX else "a bucket, a mounted volume"
        )
        raise UsageError(
            f"{chosen.file} does not fit the target {destination}, whose tasks run on other machines\n"
            + "\n".join(problems)
            + f"\nexpected: {expected}, or a service such as an MLflow server\n"
            "fix: name them in the settings of that environment, and give it with --settings"
        )


def require_no_folders(chosen: Settings, workspace: Workspace) -> None:
    """Refuses settings with a folder, for tasks that see none of this machine.

    Raises:
        UsageError: Lists every parameter that names one.
    """
    require_reachable(chosen, target.KFP, workspace)
    if found := [f"{name} is {place}" for name, place in locations(chosen.parameters) if place.startswith("/")]:
        raise UsageError(
            f"{chosen.file} names folders, and with --pipeline-root tasks see none\n"
            + "\n".join(found)
            + "\nexpected: s3://, gs:// or the address of a service\n"
            "fix: name such places, or leave out --pipeline-root"
        )


def locations(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the parameters that name where data or state lies, by their dotted names."""
    for name in LOCATIONS:
        if isinstance(parameters.get(name), str):
            yield name, parameters[name].removeprefix("file://")
    sources = parameters.get("sources")
    for name, source in sources.items() if isinstance(sources, Mapping) else ():
        uri, place = (source.get("uri"), ".uri") if isinstance(source, Mapping) else (source, "")
        if isinstance(uri, str):
            yield f"sources.{name}{place}", uri.removeprefix("file://")
    destination = parameters.get("destination")
    if isinstance(destination, Mapping) and isinstance(destination.get("folder"), str):
        yield "destination.folder", destination["folder"].removeprefix("file://")


def _of_this_machine(value: str, workspace: Workspace) -> str:
    """Returns why tasks on other machines cannot use a value, whatever it is for; empty if they can."""
    if value.startswith("sqlite:"):
        return "a database file, which KFP's launcher refuses and two tasks cannot share"
    path = value.removeprefix("file://")
    if path.startswith(STATE) or _is_below(path, workspace.home, workspace.root):
        return "on this machine only"
    return ""


def _no_place(path: str, destination: str) -> str:
    """Returns why tasks on other machines would not find a place; empty if they may."""
    if not path or "://" in path or "${" in path:
        return ""
    if "/" in path and not path.startswith(("/", *IN_THE_IMAGE)):
        return "a path relative to this machine's folder, which is not in the tasks' image"
    if destination == target.VERTEX and path.startswith("/") and not path.startswith(MOUNTED_BY_VERTEX):
        return f"a path; Vertex AI mounts no volumes, but buckets below {MOUNTED_BY_VERTEX}"
    return ""


def _is_below(path: str, *folders: Path) -> bool:
    return any(PurePosixPath(path).is_relative_to(folder.resolve()) for folder in folders)
