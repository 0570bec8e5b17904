"""What settings say of a task's pods, as kfp-kubernetes writes it into the platform document of a package."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kfp_ct.clock.durations import duration
from kfp_ct.project.kubernetes_settings import PodSettings, VariableSource, Volume
from kfp_ct.project.task_settings import TaskSettings, bytes_of, cpus

PLATFORM = "kubernetes"
_GIGABYTE = 10**9  # the unit of the numbers that older releases read


@dataclasses.dataclass
class _Task:
    """What functions of kfp-kubernetes touch of a task; a pipeline's own tasks are gone when it is compiled."""

    platform_config: dict[str, Any] = dataclasses.field(default_factory=dict)


def platform(given: PodSettings) -> dict[str, Any]:
    """Returns the configuration of an executor in the platform document: a KubernetesExecutorConfig as JSON."""
    from kfp import kubernetes

    task: Any = _Task()
    for volume in given.volumes:
        _mount(kubernetes, task, volume)
    for name, source in sorted(given.env.items()):
        _variable(kubernetes, task, name, source)
    for key, value in sorted(given.node_selector.items()):
        kubernetes.add_node_selector(task, key, value)
    for each in given.tolerations:
        kubernetes.add_toleration(task, each.key, each.operator, each.value, each.effect, each.seconds)
    for term in given.node_affinity:
        fields = term.model_dump(mode="json")
        kubernetes.add_node_affinity(task, fields["match_expressions"], fields["match_fields"], term.weight)
    if given.image_pull_policy:
        kubernetes.set_image_pull_policy(task, given.image_pull_policy)
    if given.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(given.image_pull_secrets))
    for key, value in sorted(given.labels.items()):
        kubernetes.add_pod_label(task, key, value)
    for key, value in sorted(given.annotations.items()):
        kubernetes.add_pod_annotation(task, key, value)
    if given.timeout:
        kubernetes.set_timeout(task, int(duration(given.timeout)))
    if given.security and given.security.model_dump(exclude_none=True):
        kubernetes.set_security_context(task, **given.security.model_dump())
    return dict(task.platform_config.get(PLATFORM, {}))


def plain_variables(given: TaskSettings) -> dict[str, str]:
    """Returns the variables whose values stand in the settings: they are the container's own."""
    env = given.env if isinstance(given, PodSettings) else {}
    return {name: source.value for name, source in sorted(env.items()) if source.value is not None}


def resources(given: TaskSettings) -> dict[str, Any]:
    """Returns a container's resources, in the fields of today's releases and of older ones, as kfp's compiler does."""
    found: dict[str, Any] = {}
    for what in ("request", "limit"):
        if cpu := getattr(given, f"cpu_{what}", None):
            found |= {f"cpu{what.title()}": cpus(cpu), f"resourceCpu{what.title()}": cpu}
        if memory := getattr(given, f"memory_{what}", None):
            amount = bytes_of(memory) / _GIGABYTE
            found |= {f"memory{what.title()}": amount, f"resourceMemory{what.title()}": memory}
    if given.accelerator:
        kind, count = given.accelerator.type, str(given.accelerator.count)
        found["accelerator"] = {"type": kind, "count": count, "resourceType": kind, "resourceCount": count}
    return found


def retry_policy(given: TaskSettings) -> dict[str, Any]:
    """Returns a task's retry policy; empty where it is not tried again."""
    if given.retries is None or not given.retries.count:
        return {}
    return {
        "maxRetryCount": given.retries.count,
        "backoffDuration": f"{duration(given.retries.backoff):.0f}s",
        "backoffFactor": given.retries.factor,
        "backoffMaxDuration": f"{duration(given.retries.longest):.0f}s",
    }


def _mount(kubernetes: Any, task: Any, volume: Volume) -> None:
    if volume.pvc:
        kubernetes.mount_pvc(task, volume.pvc, volume.path, volume.sub_path)
    elif volume.secret:
        kubernetes.use_secret_as_volume(task, volume.secret, volume.path, volume.optional)
    elif volume.config_map:
        kubernetes.use_config_map_as_volume(task, volume.config_map, volume.path, volume.optional)
    else:
        kubernetes.empty_dir_mount(task, volume.empty_dir, volume.path, volume.medium or None, volume.size)


def _variable(kubernetes: Any, task: Any, name: str, source: VariableSource) -> None:
    entry: Mapping[str, str] = {source.key or "": name}
    if source.secret:
        kubernetes.use_secret_as_env(task, source.secret, entry, source.optional)
    elif source.config_map:
        kubernetes.use_config_map_as_env(task, source.config_map, entry, source.optional)
    elif source.field:
        kubernetes.use_field_path_as_env(task, name, source.field)
