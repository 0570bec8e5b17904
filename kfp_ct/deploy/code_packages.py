"""User code of a package's tasks as packages of its own: what a step needs of the repository, named by its content.

A task's input names just what it uses, so that an edit changes the inputs of the steps that use the file, and no image.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.caching.package_versions import PackageVersions
from kfp_ct.caching.task_version import SourceVersions, TaskVersion
from kfp_ct.data import code_package
from kfp_ct.deploy import code_archive, object_roots, target
from kfp_ct.package import package as packages
from kfp_ct.package import task_names
from kfp_ct.package.package import Package
from kfp_ct.project import targets
from kfp_ct.project.settings import Settings
from kfp_ct.project.workspace import Workspace
from kfp_ct.storage import locations, storage

_FOLDER = "code"
# The images of a package: with this repository's code, and with the library alone.
_WITH_CODE, _LIBRARY = "components", "components-library"
_PREFIX = ("python3", "-m", code_package.MODULE)


@dataclasses.dataclass(frozen=True)
class Archive:
    """The user's code of some tasks.

    Attributes:
        uri: Where it is kept.
        content: The archive.
        tasks: The tasks that run with it.
    """

    uri: str
    content: bytes
    tasks: tuple[str, ...]


def location(chosen: Settings, destination: str) -> str:
    """Returns where packages of user code are kept for a target; empty where code is in the images.

    Raises:
        UsageError: The settings ask for packages and name no place for them, or one that tasks would not find.
    """
    if destination == target.LOCAL:
        return ""
    section = chosen.targets.get(destination) or {}
    wanted, place = section.get("code", ""), str(section.get("code_location", "")).rstrip("/")
    if wanted == targets.IMAGE:
        if place:
            raise UsageError(
                f"{chosen.file}: {destination}: code is image, so nothing is kept at code_location {place}\n"
                "expected: one of the two\nfix: leave one out"
            )
        return ""
    if not place:
        root = object_roots.first(chosen, destination)
        place = locations.join(root, _FOLDER) if root else ""
    if wanted == targets.PACKAGE and not place:
        raise UsageError(
            f"{chosen.file}: {destination}: code is package, and no object store is named for it\n"
            "expected: a place that this machine and the tasks reach\n"
            f"fix: {destination}: {{code_location: s3://BUCKET/FOLDER}}, or {destination}: {{code: image}}"
        )
    if place and destination == target.VERTEX and not locations.is_remote(place):
        raise UsageError(
            f"{chosen.file}: vertex: code_location is {place}\n"
            "expected: gs://BUCKET/FOLDER; Vertex AI mounts no volumes\nfix: name such a place"
        )
    return place


def attach(
    compiled: Package, chosen: Settings, destination: str, workspace: Workspace
) -> tuple[Package, list[Archive]]:
    """Returns a package whose tasks fetch the user's code, and what they fetch; the package itself for `code: image`.

    Raises:
        UsageError: There is no place for it, or a task would take something along that looks like a secret.
    """
    place = location(chosen, destination)
    if not place:
        return compiled, []
    contents = _contents(compiled, workspace)
    changed = copy.deepcopy(compiled)
    tasks = dict(_tasks(changed))
    with_code = {entry["componentRef"]["name"] for name, entry in tasks.items() if contents.get(name)}
    for component in with_code:
        _fetch_first(changed, component)
    uris: dict[str, list[str]] = {}
    for name, entry in tasks.items():
        if entry["componentRef"]["name"] in with_code:
            content = contents.get(name, b"")
            uri = locations.join(place, code_package.name_of(content)) if content else ""
            given = entry.setdefault("inputs", {}).setdefault("parameters", {})
            given[code_package.PARAMETER] = {"runtimeValue": {"constant": uri}}
            uris.setdefault(uri, []).append(name)
    for executor in changed["deploymentSpec"]["executors"].values():
        container = executor.get("container", {})
        if container.get("image") == packages.logical_image(_WITH_CODE):
            container["image"] = packages.logical_image(_LIBRARY)
    return changed, [Archive(uri, contents[names[0]], tuple(names)) for uri, names in sorted(uris.items()) if uri]


def rebuilt(compiled: Package, workspace: Workspace) -> list[Archive]:
    """Returns what the tasks of a package fetch, as far as it is of the sources as they are here."""
    wanted = references(compiled)
    if not wanted:
        return []
    contents = _contents(_detached(compiled), workspace)
    found = []
    for uri, names in wanted.items():
        content = next((contents[name] for name in names if contents.get(name)), b"")
        if uri.endswith(f"/{code_package.name_of(content)}"):
            found.append(Archive(uri, content, tuple(names)))
    return found


def references(compiled: Package) -> dict[str, list[str]]:
    """Returns the packages of user code that a package names, each with the tasks that fetch it."""
    found: dict[str, list[str]] = {}
    for name, entry in _tasks(compiled):
        given = entry.get("inputs", {}).get("parameters", {}).get(code_package.PARAMETER, {})
        uri = given.get("runtimeValue", {}).get("constant", "")
        if uri and _fetches(compiled, entry["componentRef"]["name"]):
            found.setdefault(uri, []).append(name)
    return found


def upload(compiled: Package, archives: list[Archive], say: Callable[[str], None]) -> None:
    """Brings what a package names to its place; what is there already is looked at and left as it is.

    Raises:
        UsageError: It is neither there nor of the sources as they are here, or what is there is something else.
        ComponentError: The store refuses.
    """
    known = {each.uri: each for each in archives}
    for uri, names in references(compiled).items():
        archive = known.get(uri)
        if archive is None:
            if storage.stat(uri) is None:
                raise UsageError(
                    f"the package's tasks {', '.join(names)} fetch {uri}, which is not there\n"
                    "expected: what was uploaded when it was compiled, or sources that it was compiled from\n"
                    "fix: check out the commit that it is of, or compile it again"
                )
            continue
        _require_mounted(uri)
        made = storage.create(uri, archive.content)
        if not made:
            code_package.fetch(uri)  # never written over: what is there must be this very content
        say(f"user code of {', '.join(names)}: {uri}{'' if made else ' is there already'}")


def presence(uri: str) -> str:
    """Says in a word or a sentence whether a package of user code is there: `ok`, or what is wrong."""
    try:
        return "ok" if storage.stat(uri) else "is not there"
    except CtError as error:
        return str(error).splitlines()[0].removeprefix(f"{uri} ")


def _require_mounted(uri: str) -> None:
    """Refuses a path of a volume that this machine does not mount: pods would not see what is written here."""
    if locations.is_remote(uri):
        return
    folder = locations.local_path(uri).parent.parent
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is not there on this machine, so the user's code cannot be brought to {uri}\n"
            "expected: the tasks' volume mounted here too\n"
            "fix: mount it, name an object store as code_location, or use code: image"
        )


def _contents(compiled: Package, workspace: Workspace) -> dict[str, bytes]:
    """Returns the archive of each task that our images run; empty for one without code of the user."""
    versions = PackageVersions(compiled, {}, SourceVersions(workspace, {}))
    ours = {name: each for name, each in versions.versions.items() if _runs_library(each)}
    return {name: code_archive.pack(workspace.root, name, _files(each)) for name, each in ours.items()}


def _runs_library(version: TaskVersion) -> bool:
    return any(name.startswith("kfp_ct/") for name in version.code)


def _files(version: TaskVersion) -> list[str]:
    objects = (name for name in version.files if not locations.is_remote(name))
    return sorted({*version.code, *version.modules, *objects})


def _tasks(compiled: Package) -> Iterator[tuple[str, dict[str, Any]]]:
    for position, name in task_names.names(compiled).items():
        yield name, task_names.entry(compiled, position)


def _container(compiled: Package, component: str) -> dict[str, Any]:
    executor = compiled["components"][component].get("executorLabel", "")
    found: dict[str, Any] = compiled["deploymentSpec"]["executors"].get(executor, {}).get("container", {})
    return found


def _fetches(compiled: Package, component: str) -> bool:
    return tuple(_container(compiled, component).get("command", ())[: len(_PREFIX)]) == _PREFIX


def _fetch_first(compiled: Package, component: str) -> None:
    inputs = compiled["components"][component].setdefault("inputDefinitions", {}).setdefault("parameters", {})
    inputs[code_package.PARAMETER] = {
        "defaultValue": "", "isOptional": True, "parameterType": "STRING",
        "description": "The user's code that this step runs with, by the hash of its content.",
    }  # fmt: skip
    container = _container(compiled, component)
    if not _fetches(compiled, component):
        value = f"{{{{$.inputs.parameters['{code_package.PARAMETER}']}}}}"
        container["command"] = [*_PREFIX, value, *container["command"]]


def _detached(compiled: Package) -> Package:
    """Returns a package without the names of packages of user code, which count for no task's files."""
    changed = copy.deepcopy(compiled)
    for _, entry in _tasks(changed):
        entry.get("inputs", {}).get("parameters", {}).pop(code_package.PARAMETER, None)
    return changed
