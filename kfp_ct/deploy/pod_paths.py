"""Paths that tasks of a package are given, against what their pods have mounted, as the package itself says."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from kfp_ct.base.errors import UsageError
from kfp_ct.data import code_package
from kfp_ct.deploy import reachable, target
from kfp_ct.package import task_names, wiring
from kfp_ct.package.package import PLATFORMS, Package
from kfp_ct.package.wiring import Constant, FromInput
from kfp_ct.project import kubernetes_settings
from kfp_ct.project.settings import Settings

_MOUNTS = ("pvcMount", "secretAsVolume", "configMapAsVolume", "emptyDirMounts", "genericEphemeralVolume")
_WORKERS, _STARTED_BY = "multi_worker_mirrored", "TF_CONFIG"


def require_mounted(compiled: Package, chosen: Settings, destination: str) -> None:
    """Refuses a package whose tasks are given paths that are on none of their volumes, or workers nobody starts.

    Args:
        compiled: A package, with what its tasks get on the target.
        chosen: The settings that runs are started with.
        destination: local, kfp or vertex; on this machine every path is there.

    Raises:
        UsageError: Lists them all.
    """
    if destination == target.LOCAL:
        return
    problems = dict.fromkeys(_workers(compiled, chosen))
    if destination == target.KFP:
        problems |= dict.fromkeys(_paths(compiled, chosen))
    if problems:
        raise UsageError(
            f"{chosen.file} does not fit the target {destination}\n"
            + "\n".join(problems)
            + "\nexpected: paths below a volume of the task, or URIs such as s3://bucket/folder\n"
            "fix: mount one by kubernetes: {all: {volumes: [{pvc: NAME, path: /mnt/ct}]}}"
        )


def _paths(compiled: Package, chosen: Settings) -> Iterator[str]:
    mounted_anyway = (chosen.targets.get(kubernetes_settings.NAME) or {}).get("mounted") or ()
    mounts = {name: [*_mounts(compiled, executor), *mounted_anyway] for name, executor in _executors(compiled).items()}
    values = [(name, value) for name, value in reachable.locations(chosen.parameters) if value.startswith("/")]
    for task in wiring.tasks(compiled):
        code = task.sources.get(code_package.PARAMETER)
        place = str(code.value) if isinstance(code, Constant) else ""
        if place.startswith("/") and not _is_below(place, mounts.get(task.name, ())):
            yield f"code_location is {place.rpartition('/')[0]}: on no volume of the task {_short(task.name)}"
        takes = {source.name for source in task.sources.values() if isinstance(source, FromInput)}
        for name, value in values:
            if name.partition(".")[0] in takes and not _is_below(value, mounts.get(task.name, ())):
                there = ", ".join(mounts.get(task.name, ())) or "nothing"
                yield f"{name} is {value}: on no volume of the task {_short(task.name)}, which has {there} mounted"


def _workers(compiled: Package, chosen: Settings) -> Iterator[str]:
    """Yields the tasks that would wait for workers which no pod of a pipeline is."""
    executors = _executors(compiled)
    for task in wiring.tasks(compiled):
        for source in task.sources.values():
            name = source.name if isinstance(source, FromInput) else ""
            asked = name == "distribution" and chosen.parameters.get(name) == _WORKERS
            if asked and _STARTED_BY not in _variables(compiled, executors.get(task.name, "")):
                yield (
                    f"distribution is {_WORKERS}: a task is one pod, nobody starts workers for {_short(task.name)}; "
                    f"leave it empty or say mirrored, or give the task the ${_STARTED_BY} of workers"
                )


def _short(name: str) -> str:
    """Returns a task's name without those of the DAGs around it."""
    return name.rpartition(".")[2]


def _executors(compiled: Package) -> dict[str, str]:
    """Returns the executors of tasks, by the names that wiring gives them."""
    found = {}
    for position in task_names.names(compiled):
        component = compiled["components"][task_names.entry(compiled, position)["componentRef"]["name"]]
        found[".".join(position)] = component.get("executorLabel", "")
    return found


def _config(compiled: Package, executor: str) -> Mapping[str, Any]:
    document = (compiled.get(PLATFORMS) or {}).get("kubernetes") or {}
    found: Mapping[str, Any] = (document.get("deploymentSpec") or {}).get("executors", {}).get(executor, {})
    return found


def _mounts(compiled: Package, executor: str) -> list[str]:
    config = _config(compiled, executor)
    return [str(each.get("mountPath", "")) for kind in _MOUNTS for each in config.get(kind, ())]


def _variables(compiled: Package, executor: str) -> set[str]:
    container = compiled["deploymentSpec"]["executors"].get(executor, {}).get("container", {})
    config = _config(compiled, executor)
    named = [each for kind in ("secretAsEnv", "configMapAsEnv") for each in config.get(kind, ())]
    pairs = [pair for each in named for pair in each.get("keyToEnv", ())]
    return {each.get("name", "") for each in container.get("env", ())} | {each.get("envVar", "") for each in pairs}


def _is_below(value: str, mounts: list[str] | tuple[()]) -> bool:
    path = PurePosixPath(value)
    return any(path.is_relative_to(each) for each in mounts)
