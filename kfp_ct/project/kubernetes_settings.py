"""The section `kubernetes` of a settings file: what pods of tasks are like, as far as kfp-kubernetes can say it."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from kfp_ct.base import secrets
from kfp_ct.base.setting_problems import Problem, problems
from kfp_ct.base.settings import WHOLE, Settings, Text, Texts, expected, matching
from kfp_ct.clock.duration_settings import Duration
from kfp_ct.project import task_settings
from kfp_ct.project.task_settings import Cpu, Memory, TaskSettings, above, bytes_of, cpus

NAME = "kubernetes"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL_SIGNS = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
Object = Annotated[
    str, matching(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$", "a Kubernetes name: lower-case letters, digits, - and .")
]
# The backend calls a pod's volume as the object that it mounts.
Mountable = Annotated[
    str, matching(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", "a name of lower-case letters, digits and -, at most 63")
]
Path = Annotated[str, matching(r"^/[^:\x00]*[^/:\x00]$", "an absolute path other than /, without : or a / at its end")]
SubPath = Annotated[str, matching(r"^([^/.][^\x00]*)?$", "a path inside the volume, without / in front")]
LabelKey = Annotated[str, matching(rf"^([a-z0-9.-]+/)?{_LABEL_SIGNS}$", "a label's name such as example.com/team")]
LabelValue = Annotated[
    str, matching(rf"^({_LABEL_SIGNS})?$", "at most 63 letters, digits, -, _ and ."), Field(max_length=63)
]
UserId = Annotated[int, Field(ge=0), WHOLE]
# What Kubernetes has and kfp-kubernetes has not: said, so that nobody believes it was done.
_NOT_THERE = {
    "service_account": "runs have one, not tasks: write it as kfp: {service_account: NAME}",
    "service_account_name": "runs have one, not tasks: write it as kfp: {service_account: NAME}",
    "namespace": "runs have one, not tasks: write it as kfp: {namespace: NAME}",
    "affinity": "kfp-kubernetes knows the affinity to nodes only: write node_affinity",
    "pod_affinity": "kfp-kubernetes cannot set it; node_affinity, node_selector and tolerations place pods",
    "pod_anti_affinity": "kfp-kubernetes cannot set it; node_affinity, node_selector and tolerations place pods",
    "fs_group": "kfp-kubernetes cannot set it: give the volume's folder to the user's group, or run_as_group",
    "priority_class": "kfp-kubernetes cannot set it; a LimitRange or an admission policy of the namespace can",
    "priority_class_name": "kfp-kubernetes cannot set it; an admission policy of the namespace can",
    "privileged": "kfp-kubernetes cannot set it",
    "capabilities": "kfp-kubernetes cannot set it: tasks have none",
    "read_only_root_filesystem": "kfp-kubernetes cannot set it, and KFP's launcher writes to the container",
    "host_network": "kfp-kubernetes cannot set it",
    "host_path": "kfp-kubernetes cannot mount it: make a PersistentVolume of it and name its claim as pvc",
    "init_containers": "kfp-kubernetes cannot add any",
    "sidecars": "kfp-kubernetes cannot add any",
    "topology_spread_constraints": "kfp-kubernetes cannot set them",
    "runtime_class": "kfp-kubernetes cannot set it",
    "shared_memory": "mount memory at /dev/shm: volumes: [{empty_dir: shm, path: /dev/shm, medium: Memory}]",
    "timeout_seconds": "write timeout, such as 2h",
    "gpu": "write accelerator: {type: nvidia.com/gpu, count: 1}",
    "memory": "write memory_request and memory_limit",
    "cpu": "write cpu_request and cpu_limit",
    "resources": "write cpu_request, cpu_limit, memory_request and memory_limit",
}  # fmt: skip


def _one_of(group: Settings, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    given = [name for name in names if getattr(group, name) is not None]
    if len(given) != 1:
        yield (given or names)[0], f"expected exactly one of {', '.join(names)}"


class Volume(Settings):
    """A volume that is mounted: exactly one of pvc, secret, config_map, empty_dir."""

    path: Path = Field(description="Where it is mounted.")
    pvc: Mountable | None = Field(None, description="Name of a PersistentVolumeClaim in the namespace of the runs.")
    secret: Mountable | None = Field(None, description="Name of a secret; its keys are files.")
    config_map: Mountable | None = Field(None, description="Name of a config map; its keys are files.")
    empty_dir: Mountable | None = Field(None, description="Name of a volume that begins empty and ends with the pod.")
    sub_path: SubPath = Field("", description="Of a pvc: the folder in it that is mounted.")
    optional: bool = Field(False, description="Of a secret or a config map: whether a pod starts without it.")
    medium: Literal["", "Memory"] = Field("", description="Of an empty_dir: Memory, or the node's disk.")
    size: Memory | None = Field(None, description="Of an empty_dir: its size at most.")

    @property
    def name(self) -> str:
        """What is mounted."""
        return self.pvc or self.secret or self.config_map or self.empty_dir or ""

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says what does not go together in a volume."""
        yield from _one_of(self, ("pvc", "secret", "config_map", "empty_dir"))
        if self.sub_path and not self.pvc:
            yield "sub_path", "only a pvc has one"
        if self.optional and not (self.secret or self.config_map):
            yield "optional", "only a secret and a config_map can be missing"
        if (self.medium or self.size) and not self.empty_dir:
            yield "medium" if self.medium else "size", "only an empty_dir has one"


class VariableSource(Settings):
    """Where a variable's value comes from: exactly one of value, secret, config_map, field."""

    value: str | None = Field(None, description="The value itself; secrets do not belong here.")
    secret: Object | None = Field(None, description="Name of a secret.")
    config_map: Object | None = Field(None, description="Name of a config map.")
    key: Text | None = Field(None, description="Of a secret or a config map: the entry.")
    field: Text | None = Field(None, description="A field of the pod, such as metadata.name.")
    optional: bool = Field(False, description="Of a secret or a config map: whether a pod starts without it.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says what does not go together in a variable."""
        yield from _one_of(self, ("value", "secret", "config_map", "field"))
        named = self.secret or self.config_map
        if named and not self.key:
            yield "key", f"expected the entry of {named} that it has the value of"
        if self.key and not named:
            yield "key", "only a secret and a config_map have one"
        if self.optional and not named:
            yield "optional", "only a secret and a config_map can be missing"


class Toleration(Settings):
    """A taint of nodes that a pod tolerates."""

    key: LabelKey | None = Field(None, description="The taint's key; without it every key.")
    operator: Literal["Equal", "Exists"] = Field("Equal", description="Whether its value counts.")
    value: LabelValue | None = Field(None, description="The taint's value.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="The taint's effect; without it every effect."
    )
    seconds: Annotated[int, Field(ge=0), WHOLE] | None = Field(
        None, description="With NoExecute: how long a pod that runs is left on the node."
    )

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says what Kubernetes does not take."""
        if self.operator == "Exists" and self.value is not None:
            yield "value", "operator Exists takes none"
        if self.key is None and self.operator != "Exists":
            yield "operator", "expected Exists, where no key is named"
        if self.seconds is not None and self.effect != "NoExecute":
            yield "seconds", "only the effect NoExecute has them"


class Requirement(Settings):
    """What is asked of a label or a field of a node."""

    key: Text = Field(description="The label, or the field metadata.name.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = Field(description="How it is compared.")
    values: Texts = Field((), description="With what.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says what Kubernetes does not take."""
        valueless = self.operator in ("Exists", "DoesNotExist")
        if valueless == bool(self.values) or (self.operator in ("Gt", "Lt") and len(self.values) != 1):
            yield "values", f"operator {self.operator} takes {'none' if valueless else 'one or more'}"


class NodeAffinity(Settings):
    """Nodes that pods go to: must go to where there is no weight; of several without one, any will do."""

    match_expressions: Annotated[tuple[Requirement, ...], Field(strict=False)] = Field((), description="Of labels.")
    match_fields: Annotated[tuple[Requirement, ...], Field(strict=False)] = Field((), description="Of fields.")
    weight: Annotated[int, Field(ge=1, le=100), WHOLE] | None = Field(
        None, description="A preference of this weight in place of a demand."
    )

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that it asks nothing."""
        if not self.match_expressions and not self.match_fields:
            yield "match_expressions", "expected one or more, or match_fields"


class Security(Settings):
    """As whom a task's container runs; every capability is dropped. What the cluster's own policy sets wins."""

    run_as_user: UserId | None = Field(None, description="Number of the user.")
    run_as_group: UserId | None = Field(None, description="Number of the group.")
    run_as_non_root: bool | None = Field(None, description="Whether a container that would run as root is not started.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says what does not go together."""
        if self.run_as_user == 0 and self.run_as_non_root:
            yield "run_as_user", "0 is root, which run_as_non_root forbids"


class PodSettings(TaskSettings):
    """What pods of a task are like."""

    cpu_request: Cpu | None = Field(None, description="CPUs that the node must have free.")
    memory_request: Memory | None = Field(None, description="Memory that the node must have free.")
    volumes: Annotated[tuple[Volume, ...], Field(strict=False)] = Field((), description="What is mounted.")
    env: dict[Text, VariableSource] = Field({}, description="Environment variables by their names.")
    node_selector: Annotated[dict[LabelKey, LabelValue], expected("labels, such as {disktype: ssd}")] = Field(
        {}, description="Labels that the node must have."
    )
    tolerations: Annotated[tuple[Toleration, ...], Field(strict=False)] = Field(
        (), description="Taints of nodes that are tolerated."
    )
    node_affinity: Annotated[tuple[NodeAffinity, ...], Field(strict=False)] = Field(
        (), description="Nodes that are demanded or preferred."
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        None, description="When the node pulls the image; Never where it was loaded into the node."
    )
    image_pull_secrets: Annotated[tuple[Object, ...], Field(strict=False)] = Field(
        (), description="Secrets that the registry asks for."
    )
    labels: Annotated[dict[LabelKey, LabelValue], expected("labels, such as {team: models}")] = Field(
        {}, description="Labels of the pod."
    )
    annotations: Annotated[dict[LabelKey, str], expected("texts by their names")] = Field(
        {}, description="Annotations of the pod."
    )
    timeout: Duration | None = Field(None, description="Time after which a pod is ended, and its task has failed.")
    security: Security | None = Field(None, description="As whom the container runs.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says what the API server would refuse when a pod is made."""
        for name in self.env:
            if not _VARIABLE.fullmatch(name):
                yield "env", f"{name!r} cannot be a variable: expected letters, digits and _"
        if above(self.cpu_request, self.cpu_limit, cpus):
            yield "cpu_request", f"it is above cpu_limit, {self.cpu_limit}"
        if above(self.memory_request, self.memory_limit, bytes_of):
            yield "memory_request", f"it is above memory_limit, {self.memory_limit}"
        for what, found in (("path", Counter(e.path for e in self.volumes)), ("name", Counter(self._names()))):
            for each in [each for each, count in found.items() if count > 1]:
                hint = "" if what == "path" else ": the backend names volumes so; mount one of them once, higher up"
                yield "volumes", f"two have the {what} {each}{hint}"

    def _names(self) -> list[str]:
        return [each.name for each in self.volumes]


class Kubernetes(Settings):
    """Pods of tasks on a cluster; `ct compile` and `ct deploy --target kfp` write it into the package."""

    all: PodSettings = Field(PodSettings(), description="Of every task.", json_schema_extra={"default": {}})
    tasks: dict[Text, PodSettings] = Field({}, description="Of single tasks, by their names in the pipeline.")
    mounted: Annotated[tuple[Path, ...], Field(strict=False)] = Field(
        (), description="Paths at which the cluster itself mounts something into every pod, as admission policies do."
    )


def misfits(section: Any) -> list[Problem]:
    """Returns what is wrong with the section `kubernetes`."""
    found = [_with_reason(each) for each in problems(Kubernetes, section, (NAME,))]
    if not found:
        for name, each in task_settings.misfits_of_tasks(PodSettings, section):
            found += problems(PodSettings, each, (NAME, task_settings.TASKS, name))
    return found


def clear_secrets(section: Any, found: list[Problem]) -> list[Problem]:
    """Returns what of a section is a secret in the clear.

    Args:
        section: What the settings say.
        found: What looks like one; the name of a Kubernetes secret is none.
    """
    named = [each for each in found if not {"secret", "image_pull_secrets"} & set(each.path)]
    return [*named, *_variables_in_the_clear(section)]


def _variables_in_the_clear(section: Any) -> Iterator[Problem]:
    """Yields the variables whose name says that their value is a secret."""
    for path, group in _groups(section):
        env = group.get("env") if isinstance(group, Mapping) else None
        for name, source in env.items() if isinstance(env, Mapping) else ():
            if isinstance(source, Mapping) and isinstance(source.get("value"), str):
                yield from secrets.in_the_clear({name: source["value"]}, (NAME, *path, "env"))


def _groups(section: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(section, Mapping):
        yield (task_settings.ALL,), section.get(task_settings.ALL)
        tasks = section.get(task_settings.TASKS)
        for name, each in tasks.items() if isinstance(tasks, Mapping) else ():
            yield (task_settings.TASKS, str(name)), each


def _with_reason(problem: Problem) -> Problem:
    reason = _NOT_THERE.get(str(problem.path[-1]), "")
    unknown = problem.text.startswith(" is not a setting")
    return Problem(problem.path, f" is not a setting: {reason}") if reason and unknown else problem
