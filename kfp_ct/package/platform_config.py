"""What a package's platform document says of pods, against what the KFP backend and the API server take."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf import json_format

from kfp_ct.package.package import PLATFORMS, Package

KUBERNETES = "kubernetes"


def problems(package: Package) -> Iterator[str]:
    """Yields why a backend would refuse the configuration of an executor, or its pod could not be made."""
    document = package.get(PLATFORMS, {}).get(KUBERNETES) or {}
    executors = document.get("deploymentSpec", {}).get("executors") or {}
    known = package.get("deploymentSpec", {}).get("executors", {})
    for label, config in sorted(executors.items()):
        if label not in known:
            yield f"platforms.kubernetes has an executor {label!r}, which is not in the package"
        elif said := _not_a_config(config):
            yield f"platforms.kubernetes, {label}: {said}"
        else:
            yield from (f"platforms.kubernetes, {label}: {each}" for each in _of_volumes(config))


def _not_a_config(config: Any) -> str:
    from kfp.kubernetes import kubernetes_executor_config_pb2

    try:
        json_format.ParseDict(config, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
    except json_format.ParseError as error:
        return f"not a KubernetesExecutorConfig: {error}"
    return ""


def _of_volumes(config: Mapping[str, Any]) -> Iterator[str]:
    """Yields names and paths that two volumes of one pod have: the backend names a volume as what it mounts."""
    mounted = list(_mounted(config))
    for what, place in (("name", 0), ("path", 1)):
        counts = Counter(each[place] for each in mounted if each[place])
        for twice in (each for each, count in counts.items() if count > 1):
            yield f"two volumes have the {what} {twice}: the pod could not be made"


def _mounted(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for kind, name in (
        ("pvcMount", "constant"), ("secretAsVolume", "secretName"), ("configMapAsVolume", "configMapName"),
        ("emptyDirMounts", "volumeName"), ("genericEphemeralVolume", "volumeName"),
    ):  # fmt: skip
        for each in config.get(kind, ()):
            yield str(each.get(name, "")), str(each.get("mountPath", ""))
