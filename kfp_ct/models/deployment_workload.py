"""A Deployment of the prediction service: the variable CT_MODEL_ROOT of its container says what it serves."""

from typing import Any

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.models.cluster_target import FAILED, READY, WAITING, Pointer, Rollout
from kfp_ct.models.kubernetes_api import Object, Patch, Resource, pointer

MODEL_ROOT, VERSION = "CT_MODEL_ROOT", "kfp-ct/model-version"
_TEMPLATE = ("spec", "template", "metadata", "annotations")


class DeploymentWorkload:
    """One Deployment."""

    def __init__(self, namespace: str, name: str) -> None:
        self.resource = Resource("apps", "v1", "deployments", namespace, name)

    def location(self, root: str, model_name: str) -> str:
        """Returns the folder that the service watches."""
        return root

    def pointer(self, seen: Object) -> Pointer:
        """Returns what its pods serve."""
        container, variable = self._variable(seen)
        spec = seen["spec"]["template"]["spec"]["containers"][container]["env"][variable]
        return Pointer(spec.get("value", ""), _annotations(seen).get(VERSION, ""))

    def changes(self, seen: Object, wanted: Pointer) -> Patch:
        """Returns the patch that makes new pods serve something else."""
        container, variable = self._variable(seen)
        path = ("spec", "template", "spec", "containers", container, "env", variable)
        version: dict[str, Any] = {"op": "add", "path": pointer(*_TEMPLATE, VERSION), "value": wanted.version}
        if not _annotations(seen):
            version = {"op": "add", "path": pointer(*_TEMPLATE), "value": {VERSION: wanted.version}}
        return [
            {"op": "test", "path": pointer(*path, "name"), "value": MODEL_ROOT},
            {"op": "replace", "path": pointer(*path), "value": {"name": MODEL_ROOT, "value": wanted.uri}},
            version,
        ]

    def look(self, seen: Object, wanted: Pointer) -> Rollout:
        """Returns how far its rollout is."""
        return rollout(seen)

    def completion(self, seen: Object) -> Patch | None:
        """Returns None: it has all traffic when it is ready."""
        return None

    def share(self, seen: Object, percent: int) -> Patch:
        """Refuses: its pods have one version at a time."""
        raise ConfigurationError(
            f"{self.resource} cannot split traffic\nexpected: target: folder or kserve\nfix: remove serving.release"
        )

    def _variable(self, seen: Object) -> tuple[int, int]:
        for number, container in enumerate(seen["spec"]["template"]["spec"]["containers"]):
            for position, variable in enumerate(container.get("env") or []):
                if variable["name"] == MODEL_ROOT:
                    return number, position
        raise ConfigurationError(
            f"no container of {self.resource} has the variable {MODEL_ROOT}\n"
            "expected: the prediction service as infra/kubernetes/base/prediction.yaml makes it\n"
            "fix: kubectl apply --kustomize infra/kubernetes/overlays/cluster, or correct serving.name"
        )


def rollout(seen: Object) -> Rollout:
    """Returns how far a Deployment's rollout is, as `kubectl rollout status` reads it."""
    status, wanted = seen.get("status") or {}, seen["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < seen["metadata"].get("generation", 0):
        return Rollout(WAITING, "the change was not looked at yet")
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    if conditions.get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded":
        return Rollout(FAILED, conditions["Progressing"].get("message", "its progress deadline is over"))
    if conditions.get("ReplicaFailure", {}).get("status") == "True":
        return Rollout(WAITING, conditions["ReplicaFailure"].get("message", "pods cannot be made"))
    if not wanted:
        return Rollout(FAILED, "it has 0 replicas: nothing would answer")
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted:
        return Rollout(WAITING, f"{updated} of {wanted} pods are new")
    if status.get("replicas", 0) > updated:
        return Rollout(WAITING, f"{status['replicas'] - updated} old pods are still there")
    if available < updated:
        return Rollout(WAITING, f"{available} of {updated} new pods are ready")
    return Rollout(READY, f"{available} pods are ready")


def _annotations(seen: Object) -> dict[str, str]:
    return (seen["spec"]["template"].get("metadata") or {}).get("annotations") or {}
