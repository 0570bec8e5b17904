"""What of a package tasks can run on this machine: Python components, in the one environment that all of them share."""

import copy
import re
from collections.abc import Iterator, Sequence

from kfp_ct.package.package import PLATFORMS, Package

_INSTALLED = re.compile(r"'([A-Za-z0-9._-]+)(?:[^']*)'")
_OWN_INSTALL = {"kfp", "typing-extensions", "kfp-pipeline-spec"}


def fitted(package: Package) -> Package:
    """Returns a package without kfp's installation of itself in front of every task: the environment has it."""
    changed = copy.deepcopy(package)
    for executor in (changed.get("deploymentSpec", {}).get("executors") or {}).values():
        container = executor.get("container", {})
        command = container.get("command") or []
        if command[:2] == ["sh", "-c"] and len(command) > 3 and set(_installed(command)) <= _OWN_INSTALL:
            container["command"] = command[3:] if "pip install" in command[2] else command
    return changed


def problems(package: Package) -> Iterator[str]:
    """Yields the steps of a fitted package that need an image of their own, or would change the environment."""
    for label, executor in sorted(package["deploymentSpec"]["executors"].items()):
        container = executor.get("container")
        command = [] if container is None else list(map(str, container.get("command", [])))
        if container is not None and "kfp.dsl.executor_main" not in " ".join(command):
            yield f"{label} is a container component: tasks run as processes here, without an image"
        elif installed := sorted(set(_installed(command)) - _OWN_INSTALL):
            yield f"{label} installs packages when it starts ({', '.join(installed)}): the environment here is locked"


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


def _installed(command: Sequence[str]) -> list[str]:
    """Returns the names of the packages that a task installs before it starts."""
    installs = command[2] if len(command) > 3 and "pip install" in command[2] else ""
    return sorted({name.lower().replace("_", "-") for name in _INSTALLED.findall(installs)} - {"--no-deps"})
