"""An InferenceService of KServe: `storageUri` of its predictor says what it serves.

KServe's status is about what it makes, not about the InferenceService: its `observedGeneration` is the Knative
service's or the Deployment's. Whether it is about the present `storageUri` shows in the revision that was made since
(with Knative), or in the Deployment's own pods (without).
"""

import json
from typing import Any

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.models.cluster_target import FAILED, READY, WAITING, Pointer, Rollout
from kfp_ct.models.deployment_workload import rollout
from kfp_ct.models.kubernetes_api import Cluster, NotFoundError, Object, Patch, Resource, pointer
from kfp_ct.models.settings import Serving

VERSION, REVISION = "kfp-ct/model-version", "kfp-ct/revision-before"
SOURCE = "internal.serving.kserve.io/storage-initializer-sourceuri"
_MODE = "serving.kserve.io/deploymentMode"
_WITHOUT_KNATIVE = ("RawDeployment", "Standard")
_CANARY = pointer("spec", "predictor", "canaryTrafficPercent")
_FAILURES = ("BlockedByFailedLoad", "InvalidSpec")


class KserveWorkload:
    """One InferenceService."""

    def __init__(self, cluster: Cluster, chosen: Serving, name: str) -> None:
        self.resource = Resource("serving.kserve.io", "v1beta1", "inferenceservices", chosen.namespace, name)
        self._deployment = Resource("apps", "v1", "deployments", chosen.namespace, f"{name}-predictor")
        self._cluster = cluster
        self._percent = chosen.canary_percent

    def location(self, root: str, model_name: str) -> str:
        """Returns the model's folder, in which the only version is."""
        return f"{root}/{model_name}"

    def pointer(self, seen: Object) -> Pointer:
        """Returns what its pods serve."""
        return Pointer(self._model(seen).get("storageUri", ""), _annotations(seen).get(VERSION, ""))

    def changes(self, seen: Object, wanted: Pointer) -> Patch:
        """Returns the patch that points it elsewhere; a version after another gets its share of the traffic first.

        Raises:
            ConfigurationError: A share was asked for where KServe cannot split traffic.
        """
        first = not _component(seen).get("latestRolledoutRevision")
        if self._percent < 100:
            self._require_knative(seen)
        place = pointer("spec", "predictor", "model", "storageUri")
        there: Patch = [{"op": "add", "path": place, "value": wanted.uri}]
        if not wanted.uri:  # as before the first model
            there = [{"op": "remove", "path": place}] if self.pointer(seen).uri else []
        patch: Patch = [
            *there,
            {"op": "add", "path": pointer("metadata", "annotations", VERSION), "value": wanted.version},
            {"op": "add", "path": pointer("metadata", "annotations", REVISION), "value": _created(seen)},
        ]
        if self._percent < 100 and not first and wanted.version:
            patch.append({"op": "add", "path": _CANARY, "value": self._percent})
        elif "canaryTrafficPercent" in seen["spec"]["predictor"]:
            patch.append({"op": "remove", "path": _CANARY})
        return patch

    def look(self, seen: Object, wanted: Pointer) -> Rollout:
        """Returns how far its rollout is."""
        if _is_raw(seen):
            return self._look_at_deployment(wanted)
        component, status = _component(seen), seen.get("status") or {}
        created, ready = component.get("latestCreatedRevision", ""), component.get("latestReadyRevision", "")
        if not created or created == _annotations(seen).get(REVISION, ""):
            return Rollout(WAITING, "no revision was made of it yet")
        model = status.get("modelStatus") or {}
        if model.get("transitionStatus") in _FAILURES:
            return Rollout(FAILED, _failure(model))
        if created != ready:
            return Rollout(WAITING, f"the revision {created} is not ready{_reason(status)}")
        if not _is_true(status, "Ready"):
            return Rollout(WAITING, f"it is not ready{_reason(status)}")
        share = seen["spec"]["predictor"].get("canaryTrafficPercent", 100)
        if share == 100 and component.get("latestRolledoutRevision") != ready:
            return Rollout(WAITING, f"the revision {ready} does not have all traffic yet")
        return Rollout(READY, f"the revision {ready} is ready")

    def completion(self, seen: Object) -> Patch | None:
        """Returns the patch that ends a canary; None where there is none."""
        if "canaryTrafficPercent" not in seen["spec"]["predictor"]:
            return None
        return [{"op": "remove", "path": _CANARY}]

    def share(self, seen: Object, percent: int) -> Patch:
        """Returns the patch that gives the newest revision a share of the traffic.

        Raises:
            ConfigurationError: KServe cannot split traffic here.
        """
        self._require_knative(seen)
        if seen["spec"]["predictor"].get("canaryTrafficPercent") == percent:
            return []
        return [{"op": "add", "path": _CANARY, "value": percent}]

    def _require_knative(self, seen: Object) -> None:
        if _is_raw(seen):
            raise ConfigurationError(
                f"{self.resource} runs without Knative, which is what splits traffic\n"
                "expected: canary_percent 100 and no release, or KServe's serverless mode\n"
                "fix: remove canary_percent and release from serving"
            )

    def _look_at_deployment(self, wanted: Pointer) -> Rollout:
        try:
            found = self._cluster.get(self._deployment)
        except NotFoundError:
            return Rollout(WAITING, f"{self._deployment} was not made yet")
        template = (found["spec"]["template"].get("metadata") or {}).get("annotations") or {}
        if template.get(SOURCE) != wanted.uri:
            return Rollout(WAITING, f"{self._deployment} was not changed yet")
        return rollout(found)

    def _model(self, seen: Object) -> dict[str, Any]:
        model = seen["spec"].get("predictor", {}).get("model")
        if not isinstance(model, dict):
            raise ConfigurationError(
                f"{self.resource} has no spec.predictor.model\n"
                "expected: predictor: {model: {modelFormat: {name: tensorflow}, storageUri: …}}\n"
                "fix: kubectl apply --kustomize infra/kubernetes/kserve, or correct serving.name"
            )
        return model


def _component(seen: Object) -> dict[str, Any]:
    found: dict[str, Any] = ((seen.get("status") or {}).get("components") or {}).get("predictor") or {}
    return found


def _created(seen: Object) -> str:
    return str(_component(seen).get("latestCreatedRevision", ""))


def _annotations(seen: Object) -> dict[str, str]:
    return seen["metadata"].get("annotations") or {}


def _is_raw(seen: Object) -> bool:
    mode = (seen.get("status") or {}).get("deploymentMode") or _annotations(seen).get(_MODE, "")
    return mode in _WITHOUT_KNATIVE


def _is_true(status: dict[str, Any], condition: str) -> bool:
    return any(each["type"] == condition and each["status"] == "True" for each in status.get("conditions") or [])


def _reason(status: dict[str, Any]) -> str:
    said = [each for each in status.get("conditions") or [] if each["status"] == "False" and each.get("message")]
    return f": {said[0]['type']}: {said[0]['message']}" if said else ""


def _failure(model: dict[str, Any]) -> str:
    last = model.get("lastFailureInfo") or {}
    return last.get("message") or json.dumps(last) if last else f"KServe says {model['transitionStatus']}"
