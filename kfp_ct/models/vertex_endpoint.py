"""A Vertex AI endpoint: which versions are deployed to it, and what share of the traffic each has.

A version is deployed under its own number, so that a request that was sent twice, or by two commands, deploys once.
"""

import time
from collections.abc import Mapping

from kfp_ct.base import task_log
from kfp_ct.base.errors import ComponentError, ConfigurationError, NotServedError
from kfp_ct.models.vertex_api import ConflictError, OperationFailedError, Resource, UnavailableError, VertexApi
from kfp_ct.models.vertex_model import MODEL
from kfp_ct.models.vertex_settings import VertexServing

# The label that says which version answers, beside a candidate; and which one did before.
LIVE, PREVIOUS = "kfp-ct-live", "kfp-ct-previous"
_TRIES = 8
_ONLINE = "aiplatform.googleapis.com/prediction/online"
_CPU, _ACCELERATOR = f"{_ONLINE}/cpu/utilization", f"{_ONLINE}/accelerator/duty_cycle"
# What a deployed version can be given without being deployed again.
_MUTABLE = ("minReplicaCount", "maxReplicaCount", "autoscalingMetricSpecs")


class VertexEndpoint:
    """The endpoint of one model."""

    def __init__(self, api: VertexApi, chosen: VertexServing, model: str, labels: Mapping[str, str]) -> None:
        """Calls nothing; `model` is the model's resource name, `labels` say whose the endpoint is."""
        self._api, self._chosen, self._model, self._labels = api, chosen, model, labels
        self.id = chosen.endpoint or labels[MODEL]
        self.name = f"{api.parent}/endpoints/{self.id}"

    def get(self) -> Resource | None:
        """Returns the endpoint; None where there is none.

        Raises:
            ConfigurationError: It is another model's.
        """
        found = self._api.get(self.name)
        if found is not None:
            self._require_ours(found)
        return found

    def ensure(self, deadline: float) -> Resource:
        """Returns the endpoint, which is made if it is not there."""
        found = self.get()
        if found is None:
            try:
                made = self._api.post(f"{self._api.parent}/endpoints", self._body(), {"endpointId": self.id})
                self._api.wait(made, deadline)
            except ConflictError:
                task_log.progress(f"{self.name}: another command makes it")
            found = self._await_made(deadline)
        self._require_as_made(found)
        return self._with_log(found)

    def deploy(self, model_version: str, number: str, deadline: float) -> None:
        """Deploys a version without traffic, unless it is deployed; returns when its replicas are ready.

        Raises:
            OperationFailedError: It does not become ready.
            UnavailableError: It is not ready in time.
        """
        self._api.settle(self.name, deadline)
        if number in deployed(seen := self._seen()):
            self._fit(seen, self._deployed(model_version, number), deadline)
            return
        try:
            operation = self._api.post(
                f"{self.name}:deployModel", {"deployedModel": self._deployed(model_version, number)}
            )
        except ConflictError:
            self._api.settle(self.name, deadline)
        else:
            task_log.progress(f"{self.name}: v{number} is deployed")
            self._api.wait(operation, deadline)
        if number not in deployed(self._seen()):
            raise OperationFailedError(f"{self.name} does not have v{number} after its deployment")

    def split(self, shares: Mapping[str, int], live: str) -> None:
        """Shares the traffic and says which version answers, by one request.

        Raises:
            ConfigurationError: Somebody else has changed the traffic meanwhile.
        """
        before, shares = traffic(self._seen()), {number: share for number, share in shares.items() if share}
        for _ in range(_TRIES):
            seen = self._seen()
            labels = dict(seen.get("labels") or {})
            if traffic(seen) == shares and labels.get(LIVE) == live:
                return
            if traffic(seen) not in (before, shares):
                raise ConfigurationError(
                    f"the traffic of {self.name} was changed meanwhile: {shown(traffic(seen))}\n"
                    "expected: one deployment at a time; this one was left\nfix: see what changed it, then run again"
                )
            kept = labels.get(PREVIOUS, "") if labels.get(LIVE) == live else labels.get(LIVE, "")
            labels |= {**self._labels, LIVE: live, PREVIOUS: kept}
            body = {"trafficSplit": dict(shares), "labels": labels, "etag": seen.get("etag", "")}
            try:
                self._api.patch(self.name, body, "trafficSplit,labels")
            except ConflictError:
                continue
            return
        raise NotServedError(f"{self.name} never stood still for a change\nfix: see what changes it")

    def undeploy(self, number: str, deadline: float) -> None:
        """Takes a version away that has no traffic; nothing happens if it is not there."""
        seen = self._seen()
        if number in deployed(seen) and not traffic(seen).get(number):
            self._api.wait(self._api.post(f"{self.name}:undeployModel", {"deployedModelId": number}), deadline)

    def undeploy_others(self, number: str, deadline: float) -> None:
        """Takes all versions but one away; one that cannot be is named, and taken away by the next deployment."""
        for other in deployed(self._seen()):
            try:
                if other != number:
                    self.undeploy(other, deadline)
            except ComponentError as error:
                first = str(error).partition("\n")[0]
                task_log.progress(f"{self.name}: v{other} is still deployed, without traffic: {first}")

    def _fit(self, seen: Resource, wanted: Resource, deadline: float) -> None:
        """Gives a version that is deployed the replicas of the settings; another machine takes a new version."""
        there = next(each for each in seen["deployedModels"] if str(each["id"]) == wanted["id"])
        had, wants = there.get("dedicatedResources") or {}, wanted["dedicatedResources"]
        changed = [name for name in _MUTABLE if name in wants and wants[name] != had.get(name)]
        if changed:
            body = {"id": wanted["id"], "dedicatedResources": {name: wants[name] for name in changed}}
            mask = ",".join(f"dedicatedResources.{name}" for name in changed)
            request = {"deployedModel": body, "updateMask": mask}
            self._api.wait(self._api.post(f"{self.name}:mutateDeployedModel", request), deadline)
            task_log.progress(f"{self.name}: v{wanted['id']} has {', '.join(changed)} of the settings now")
        rest = {"machineSpec": had.get("machineSpec"), "spot": had.get("spot", False)}
        if rest != {"machineSpec": wants["machineSpec"], "spot": wants.get("spot", False)}:
            task_log.progress(
                f"{self.name}: v{wanted['id']} stays on the machines that it has; the next version has others"
            )

    def _seen(self) -> Resource:
        found = self.get()
        if found is None:
            raise ConfigurationError(f"{self.name} is gone\nfix: see who deleted it, then run again")
        return found

    def _await_made(self, deadline: float) -> Resource:
        while time.monotonic() < deadline:
            found = self.get()
            if found is not None:
                return found
            time.sleep(1)
        raise UnavailableError(f"{self.name} was not made in time\nfix: run again")

    def _require_ours(self, found: Resource) -> None:
        labels, there = found.get("labels") or {}, found.get("deployedModels") or []
        foreign = [each for each in there if each.get("model", "").partition("@")[0] != self._model]
        other = labels.get(MODEL, self._labels[MODEL]) != self._labels[MODEL]
        if other or foreign:
            whose = foreign[0].get("model") if foreign else labels.get(MODEL)
            raise ConfigurationError(
                f"the endpoint {self.name} is another model's: {whose}\n"
                f"expected: an endpoint of {self._model}, or one without models\n"
                "fix: name another in serving.vertex.endpoint"
            )

    def _require_as_made(self, found: Resource) -> None:
        """Demands what can only be said when an endpoint is made: an open one is not private for being asked to."""
        wanted, kept = self._body(), {}
        names = [name for name in ("encryptionSpec", "privateServiceConnectConfig") if name in wanted]
        for name in names:
            kept[name] = {key: (found.get(name) or {}).get(key) for key in wanted[name]}
        if different := [name for name in names if kept[name] != wanted[name]]:
            raise ConfigurationError(
                f"the endpoint {self.name} was made without {', '.join(different)} of the settings: "
                f"{kept[different[0]]}\nexpected: {wanted[different[0]]}, which cannot be changed afterwards\n"
                "fix: name an endpoint that is not there yet in serving.vertex.endpoint, or delete this one"
            )

    def _with_log(self, found: Resource) -> Resource:
        """Has requests logged to BigQuery as the settings say."""
        wanted = self._log()
        if wanted == (found.get("predictRequestResponseLoggingConfig") or {}):
            return found
        if not wanted and not found.get("predictRequestResponseLoggingConfig", {}).get("enabled"):
            return found
        body = {"predictRequestResponseLoggingConfig": wanted}
        return self._api.patch(self.name, body, "predictRequestResponseLoggingConfig")

    def _log(self) -> Resource:
        if not self._chosen.bigquery_log:
            return {}
        return {
            "enabled": True,
            "samplingRate": self._chosen.bigquery_log_sample,
            "bigqueryDestination": {"outputUri": self._chosen.bigquery_log},
        }

    def _body(self) -> Resource:
        body: Resource = {"displayName": self.id, "labels": dict(self._labels)}
        if self._chosen.encryption_key:
            body["encryptionSpec"] = {"kmsKeyName": self._chosen.encryption_key}
        if self._chosen.private_projects:
            body["privateServiceConnectConfig"] = {
                "enablePrivateServiceConnect": True,
                "projectAllowlist": list(self._chosen.private_projects),
            }
        if log := self._log():
            body["predictRequestResponseLoggingConfig"] = log
        return body

    def _deployed(self, model_version: str, number: str) -> Resource:
        chosen = self._chosen
        machine: Resource = {"machineType": chosen.machine_type}
        if chosen.accelerator:
            machine |= {"acceleratorType": chosen.accelerator, "acceleratorCount": chosen.accelerator_count}
        resources: Resource = {
            "machineSpec": machine,
            "minReplicaCount": chosen.min_replicas,
            "maxReplicaCount": chosen.max_replicas,
        }
        if chosen.spot:
            resources["spot"] = True
        if chosen.scale_at:
            names = {"cpu": _CPU, "accelerator": _ACCELERATOR}
            specs = [
                {"metricName": names[what], "target": percent} for what, percent in sorted(chosen.scale_at.items())
            ]
            resources["autoscalingMetricSpecs"] = specs
        found: Resource = {"id": number, "model": model_version, "displayName": f"{self.id}-v{number}"}
        found |= {"dedicatedResources": resources}
        return found | ({"serviceAccount": chosen.service_account} if chosen.service_account else {})


def deployed(seen: Resource) -> list[str]:
    """Returns the versions that are deployed to an endpoint."""
    return [str(each["id"]) for each in seen.get("deployedModels") or []]


def traffic(seen: Resource) -> dict[str, int]:
    """Returns the share of each version that has one."""
    return {str(number): int(share) for number, share in (seen.get("trafficSplit") or {}).items() if share}


def shown(shares: Mapping[str, int]) -> str:
    """Returns shares of the traffic for people."""
    return ", ".join(f"v{number} {share} %" for number, share in sorted(shares.items()))


def live(seen: Resource) -> str:
    """Returns the version that answers: the one that was made so, else the one with the largest share."""
    shares, said = traffic(seen), (seen.get("labels") or {}).get(LIVE, "")
    if said in shares:
        return said
    return max(shares, key=lambda number: shares[number], default="")
