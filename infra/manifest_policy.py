"""What manifests of this project must have, beyond being valid: said of the objects that kustomize made."""

from collections.abc import Iterable, Iterator
from typing import Any

Manifest = dict[str, Any]
_WITH_PODS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod")
# These run to their end: nobody asks whether they are alive.
_ENDING = ("Job", "CronJob")
_PROBES = ("livenessProbe", "readinessProbe")
_SIZES = ("cpu", "memory")


def violations(manifests: Iterable[Manifest]) -> list[str]:
    """Returns one line for each rule that an object breaks; a list of no objects breaks one, too."""
    manifests = list(manifests)
    if not manifests:
        return ["there is no object to look at"]
    return [f"{_name(each)}: {line}" for each in manifests for line in _broken(each)]


def _broken(manifest: Manifest) -> Iterator[str]:
    kind = manifest["kind"]
    if kind in _WITH_PODS:
        yield from _pod(pod_spec(manifest), kind)
    elif kind in ("Role", "ClusterRole"):
        yield from _rules(manifest)
    elif kind == "ClusterRoleBinding":
        yield "gives rights in all namespaces"
    elif kind == "Secret":
        yield "keeps a secret in the repository"
    elif kind == "Service" and manifest["spec"].get("type", "ClusterIP") != "ClusterIP":
        yield f"is reachable from outside ({manifest['spec']['type']})"


def pod_spec(manifest: Manifest) -> Manifest:
    """Returns the pod that an object makes."""
    spec: Manifest = manifest["spec"]
    if manifest["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec if manifest["kind"] == "Pod" else spec["template"]["spec"]


def _pod(spec: Manifest, kind: str) -> Iterator[str]:
    security = spec.get("securityContext", {})
    if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
        yield "may run as root"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    if spec.get("serviceAccountName", "default") == "default":
        yield "runs as the namespace's default service account"
    if any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")):
        yield "shares the node's network or processes"
    for volume in spec.get("volumes", []):
        if "hostPath" in volume:
            yield f"mounts the node's folder {volume['hostPath'].get('path')}"
        if "emptyDir" in volume and not (volume["emptyDir"] or {}).get("sizeLimit"):
            yield f"the volume {volume['name']} may fill the node's disk"
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        probed = kind not in _ENDING and container in spec["containers"]
        yield from (f"{container['name']}: {line}" for line in _container(container, probed))


def _container(container: Manifest, probed: bool) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("readOnlyRootFilesystem") is not True:
        yield "can write to its image's files"
    if security.get("allowPrivilegeEscalation") is not False or security.get("privileged"):
        yield "may gain rights"
    if "ALL" not in security.get("capabilities", {}).get("drop", []):
        yield "keeps capabilities"
    if security.get("runAsNonRoot") is False or security.get("runAsUser") == 0:
        yield "runs as root"
    yield from _image(container["image"])
    for kind in ("requests", "limits"):
        given = container.get("resources", {}).get(kind, {})
        if missing := [size for size in _SIZES if size not in given]:
            yield f"has no {kind} of {' and '.join(missing)}"
    if probed and (missing := [probe for probe in _PROBES if probe not in container]):
        yield f"has no {' and no '.join(missing)}"
    for variable in container.get("env", []):
        if variable.get("value") and _names_secret(variable["name"]):
            yield f"the variable {variable['name']} holds a secret"


def _image(image: str) -> Iterator[str]:
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if not digest and tag in ("", "latest"):
        yield f"the image {image} changes without a word"
    if not digest and tag == "unset":
        yield f"no overlay says where {image} is"


def _names_secret(name: str) -> bool:
    return any(word in name.upper() for word in ("PASSWORD", "SECRET", "TOKEN", "ACCESS_KEY"))


def _rules(manifest: Manifest) -> Iterator[str]:
    if manifest["kind"] == "ClusterRole":
        yield "gives rights in all namespaces"
    for rule in manifest.get("rules", []):
        if any("*" in rule.get(name, []) for name in ("apiGroups", "resources", "verbs")):
            yield "gives rights by a wildcard"
        elif not rule.get("resourceNames"):
            yield f"gives rights to all {', '.join(rule.get('resources', []))} of the namespace"


def _name(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata'].get('name', '?')}"
