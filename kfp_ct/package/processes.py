"""What of a package tasks can run on this machine: Python components, and what they install before they start."""

import copy
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kfp_ct.package.package import PLATFORMS, Package

Installation = tuple[tuple[str, ...], ...]  # the arguments of each `pip install`, in their order

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_OWN_INSTALL = {"kfp", "typing-extensions", "kfp-pipeline-spec"}
_DONE_BY_BACKENDS = "argostub/"  # images that kfp.kubernetes names for CreatePVC and DeletePVC
_QUIET = ("--quiet", "--no-warn-script-location")


def fitted(package: Package) -> Package:
    """Returns a package without kfp's installation of itself in front of every task: the environment has it."""
    changed = copy.deepcopy(package)
    for executor in (changed.get("deploymentSpec", {}).get("executors") or {}).values():
        container = executor.get("container", {})
        command = container.get("command") or []
        installed = installation(command)
        if installed and set(names(installed)) <= _OWN_INSTALL:
            container["command"] = without_installation(command)
    return changed


def problems(package: Package) -> Iterator[str]:
    """Yields the steps of a package that no process here can run: those of clusters, and those that need an image."""
    yield from only_on_clusters(package)
    yield from in_images(package)


def in_images(package: Package) -> Iterator[str]:
    """Yields the steps of a package that need an image of their own, which `ct run --containers` gives them."""
    for label, executor in sorted(package["deploymentSpec"]["executors"].items()):
        container = executor.get("container")
        command = [] if container is None else list(map(str, container.get("command", [])))
        if container is None or "kfp.dsl.executor_main" in " ".join(command) or _is_of_clusters(container):
            continue
        yield f"{label} is a container component: tasks run as processes here, without an image"


def only_on_clusters(package: Package) -> Iterator[str]:
    """Yields the steps of a package that a backend does itself, such as to make a volume: their image is nowhere."""
    for label, executor in sorted(package["deploymentSpec"]["executors"].items()):
        if _is_of_clusters(executor.get("container") or {}):
            yield f"{label} is done by the cluster's backend ({executor['container']['image']}): there is none here"


def _is_of_clusters(container: Mapping[str, Any]) -> bool:
    return str(container.get("image", "")).startswith(_DONE_BY_BACKENDS)


def installations(package: Package) -> list[Installation]:
    """Returns what tasks of a package install before they start, each set once."""
    executors = package["deploymentSpec"]["executors"].values()
    found = (installation(executor.get("container", {}).get("command") or []) for executor in executors)
    return list(dict.fromkeys(each for each in found if each))


def installation(command: Sequence[str]) -> Installation:
    """Returns what a task installs before it starts, as kfp's compiler writes it; nothing if it installs nothing."""
    if list(command[:2]) != ["sh", "-c"] or len(command) < 4 or "pip install" not in command[2]:
        return ()
    found = []
    for part in re.split(r"&&|\n", command[2]):
        if " pip install " in part:
            arguments = shlex.split(part.partition(" pip install ")[2])
            found.append(tuple(each for each in arguments if each not in _QUIET))
    return tuple(found)


def without_installation(command: Sequence[str]) -> list[str]:
    """Returns a task's command without what it installs before."""
    return list(command[3:]) if installation(command) else list(command)


def names(installed: Installation) -> list[str]:
    """Returns the names of the packages of an installation."""
    words = [word for arguments in installed for word in _without_values(arguments)]
    found = (_NAME.match(word) for word in words if not word.startswith("-"))
    return sorted({match[0].lower().replace("_", "-") for match in found if match})


def ignored(package: Package) -> list[str]:
    """Returns what of a package has no effect on this machine: resources of tasks, and what is for a platform."""
    limited = [
        label
        for label, executor in sorted(package["deploymentSpec"]["executors"].items())
        if executor.get("container", {}).get("resources")
    ]
    found = [f"CPU, memory and accelerators of {', '.join(limited)}"] if limited else []
    for platform, spec in sorted(package.get(PLATFORMS, {}).items()):
        for label, settings in sorted(spec.get("deploymentSpec", {}).get("executors", {}).items()):
            found.append(f"{platform} settings of {label}: {', '.join(sorted(settings))}")
        further = sorted({*spec.get("pipelineConfig", {})} - {"workspace"})
        found += [f"{platform} settings of the pipeline: {', '.join(further)}"] if further else []
    return found


def _without_values(arguments: Sequence[str]) -> Iterator[str]:
    """Yields arguments without the values of options: of an index, or of a host that is trusted."""
    skip = False
    for each in arguments:
        if not skip:
            yield each
        skip = each in ("--index-url", "--extra-index-url", "--trusted-host")
