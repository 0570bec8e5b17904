"""Writes what settings say of tasks on a cluster into a compiled package: resources, retries, images, pods.

The pipeline's function has run by then, so a user's DAG needs nothing for it; what the DAG itself says stays, and
settings lie over it. The same package and settings give the same bytes, and a second time changes nothing.
"""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.base.errors import UsageError
from kfp_ct.base.image import COMPONENTS
from kfp_ct.deploy import default_requests, pod_config, target
from kfp_ct.package import package as packages
from kfp_ct.package import task_names, wiring
from kfp_ct.package.package import PLATFORMS, Package
from kfp_ct.project import targets as sections
from kfp_ct.project.kubernetes_settings import PodSettings
from kfp_ct.project.settings import Settings
from kfp_ct.project.task_settings import TaskSettings, above, bytes_of, cpus, merged, of_task

# Name of the components' image with CUDA; the Dockerfile has a stage of that name.
_GPU_IMAGE = "components-gpu"
# What our components run in, with the user's code in it or without.
_OURS = (COMPONENTS, packages.logical_image("components-library"))
_MODELS: Mapping[str, type[TaskSettings]] = {sections.KUBERNETES: PodSettings, sections.VERTEX: TaskSettings}


@dataclasses.dataclass(frozen=True)
class _Task:
    """A task of a package: its name, its entry in its DAG, the executor of its component, the component's folder."""

    name: str
    entry: dict[str, Any]
    executor: str
    component: str


def compile_target(chosen: Settings) -> str:
    """Returns the target that a project's settings are for: kfp, vertex, or local where they name none.

    Raises:
        UsageError: They name both.
    """
    on_kfp = bool({sections.KFP, sections.KUBERNETES} & set(chosen.targets))
    on_vertex = sections.VERTEX in chosen.targets
    if on_kfp and on_vertex:
        raise UsageError(f"{chosen.file} has sections for kfp and for vertex\nfix: say which with --target")
    return target.KFP if on_kfp else target.VERTEX if on_vertex else target.LOCAL


def apply(compiled: Package, chosen: Settings, destination: str, defaults: bool = True) -> Package:
    """Returns a package whose tasks have what the settings say of a target.

    Args:
        compiled: A package.
        chosen: Settings that were checked.
        destination: local, kfp or vertex; nothing changes for local.
        defaults: Whether tasks of our components get requests of memory and CPUs where nobody says any.

    Raises:
        UsageError: Tasks that share one executor are to have different settings.
    """
    if destination == target.LOCAL:
        return compiled
    name = sections.KUBERNETES if destination == target.KFP else sections.VERTEX
    section = chosen.targets.get(name, {})
    changed = copy.deepcopy(compiled)
    seen: dict[str, tuple[str, TaskSettings]] = {}
    for task in _tasks(changed):
        given = _MODELS[name].model_validate(of_task(section, task.name))
        other, same = seen.setdefault(task.executor, (task.name, given))
        if given != same:
            raise UsageError(
                f"{name}.tasks: {other} and {task.name} share the executor {task.executor} of the package\n"
                "expected: the same settings for both\nfix: say it of both, or of all"
            )
        _write(changed, task, given)
        if defaults and name == sections.KUBERNETES:
            _write_default_requests(changed, task)
    return changed


def require_applied(compiled: Package, chosen: Settings, destination: str) -> None:
    """Raises `UsageError` unless a package that was compiled before has what the settings say of a target."""
    if destination == target.LOCAL:
        return
    name = sections.KUBERNETES if destination == target.KFP else sections.VERTEX
    if not chosen.targets.get(name):
        return
    expected = apply(compiled, chosen, destination, defaults=False)
    for executor in expected["deploymentSpec"]["executors"]:
        container = expected["deploymentSpec"]["executors"][executor].get("container", {})
        bound = compiled["deploymentSpec"]["executors"][executor].get("container", {})
        if container and bound:
            container["image"] = bound["image"]  # a lock has bound it since
    if expected != compiled:
        raise UsageError(
            f"the package was compiled without what {chosen.file} says in its section {name}\n"
            "expected: a package compiled with these settings\n"
            f"fix: ct compile {chosen.project} --settings {chosen.environment} --target {destination}"
        )


def _tasks(compiled: Package) -> Iterator[_Task]:
    folders = {task.name: task.package for task in wiring.tasks(compiled)}
    for position, name in task_names.names(compiled).items():
        entry = task_names.entry(compiled, position)
        executor = compiled["components"][entry["componentRef"]["name"]].get("executorLabel", "")
        # An importer has no container, and no pod of its own.
        if "container" in compiled["deploymentSpec"]["executors"].get(executor, {}):
            yield _Task(name, entry, executor, folders[".".join(position)])


def _write(compiled: Package, task: _Task, given: TaskSettings) -> None:
    container = compiled["deploymentSpec"]["executors"][task.executor]["container"]
    if resources := pod_config.resources(given):
        container["resources"] = merged(container.get("resources", {}), resources)
    if variables := pod_config.plain_variables(given):
        there = {each["name"]: each.get("value", "") for each in container.get("env", ())}
        container["env"] = [{"name": key, "value": value} for key, value in {**there, **variables}.items()]
    if image := given.image or _image_for_gpus(container["image"], given):
        container["image"] = packages.logical_image(image)
    if policy := pod_config.retry_policy(given):
        task.entry["retryPolicy"] = policy
    elif given.retries:
        task.entry.pop("retryPolicy", None)
    if isinstance(given, PodSettings) and (config := pod_config.platform(given)):
        platform = compiled.setdefault(PLATFORMS, {}).setdefault(pod_config.PLATFORM, {})
        executors = platform.setdefault("deploymentSpec", {}).setdefault("executors", {})
        executors[task.executor] = merged(executors.get(task.executor, {}), config)


def _image_for_gpus(image: str, given: TaskSettings) -> str:
    """Returns the name of the components' image with CUDA for a task of theirs with a GPU; else nothing."""
    gpu = given.accelerator and given.accelerator.type.lower().startswith("nvidia")
    return _GPU_IMAGE if gpu and image in _OURS else ""


def _write_default_requests(compiled: Package, task: _Task) -> None:
    """Adds requests where nothing is said, but for one that would be above its limit."""
    container = compiled["deploymentSpec"]["executors"][task.executor]["container"]
    there = container.get("resources", {})
    wanted = default_requests.of(task.component)
    for kind, measure in (("cpu", cpus), ("memory", bytes_of)):
        request, limit = f"resource{kind.title()}Request", there.get(f"resource{kind.title()}Limit")
        if request in there or "{{" in str(limit) or above(wanted.get(f"{kind}_request"), limit, measure):
            wanted.pop(f"{kind}_request", None)
    if wanted:
        container["resources"] = merged(pod_config.resources(PodSettings.model_validate(wanted)), there)
