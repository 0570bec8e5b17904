"""Objects of a Kubernetes cluster through the official client: read, changed by JSON patch, refusals in words."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from kfp_ct.base.errors import ConfigurationError

_SECONDS = 30
_FORBIDDEN, _NOT_FOUND, _CONFLICT = 403, 404, 409
Object = dict[str, Any]
Patch = list[dict[str, Any]]


class ConflictError(ConfigurationError):
    """Somebody else changed the object meanwhile."""


class NotFoundError(ConfigurationError):
    """The cluster has no such object."""


class UnavailableError(ConfigurationError):
    """The cluster does not answer at the moment."""


@dataclasses.dataclass(frozen=True)
class Resource:
    """One object of a cluster: where its kind is in the API, and which one it is."""

    group: str
    version: str
    plural: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}/{self.name} in the namespace {self.namespace}"

    @property
    def path(self) -> str:
        """Its path in the API."""
        return f"/apis/{self.group}/{self.version}/namespaces/{self.namespace}/{self.plural}/{self.name}"

    def rule(self, *verbs: str) -> str:
        """Returns the RBAC rule that allows something with it, and with nothing else."""
        return (
            f"{{apiGroups: [{self.group}], resources: [{self.plural}], resourceNames: [{self.name}], "
            f"verbs: [{', '.join(verbs)}]}}"
        )


class Cluster:
    """The cluster that this runs in, or that the kubeconfig names."""

    def __init__(self) -> None:
        """Finds the cluster; does not call it.

        Raises:
            ConfigurationError: There is none.
        """
        from kubernetes import client, config

        configuration = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            try:
                config.load_kube_config(client_configuration=configuration)
            except config.ConfigException as error:
                raise ConfigurationError(
                    f"no Kubernetes cluster is known here: {error}\n"
                    "expected: a pod with a service account's token, or a kubeconfig\n"
                    "fix: set $KUBECONFIG, or run it as a task on the cluster"
                ) from error
        self._client = client.ApiClient(configuration)

    def get(self, resource: Resource) -> Object:
        """Returns an object.

        Raises:
            ConfigurationError: It is not there, or it may not be read.
            UnavailableError: The cluster does not answer.
        """
        with _speaking(resource, "get"):
            return self._call("GET", resource)

    def patch(self, resource: Resource, seen: Object, changes: Patch) -> Object:
        """Changes an object that nobody has changed since it was seen; returns it.

        Raises:
            ConflictError: Somebody has.
            ConfigurationError: It is not there, or it may not be changed so.
            UnavailableError: The cluster does not answer; it may have changed the object.
        """
        # A patch that names a resource version is refused where the object has another.
        version = {"op": "replace", "path": "/metadata/resourceVersion", "value": seen["metadata"]["resourceVersion"]}
        with _speaking(resource, "patch"):
            return self._call("PATCH", resource, [version, *changes])

    def _call(self, method: str, resource: Resource, body: Patch | None = None) -> Object:
        """Sends a request; the client's own methods say in each release differently which kind of patch a body is."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json-patch+json"
        answer: Object = self._client.call_api(
            resource.path, method, header_params=headers, body=body, response_type="object",
            auth_settings=["BearerToken"], _return_http_data_only=True, _request_timeout=_SECONDS,
        )  # fmt: skip
        return answer


def pointer(*parts: str | int) -> str:
    """Returns the JSON pointer of a path."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


@contextlib.contextmanager
def _speaking(resource: Resource, verb: str) -> Iterator[None]:
    """Turns refusals into messages."""
    import urllib3.exceptions
    from kubernetes.client import ApiException

    try:
        yield
    except ApiException as error:
        raise _refusal(error, resource, verb) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise UnavailableError(
            f"the Kubernetes cluster does not answer ({type(error).__name__}) to: {verb} {resource}\n"
            "expected: an API server that this machine reaches\nfix: see that the cluster is up, then run again"
        ) from error


def _refusal(error: Any, resource: Resource, verb: str) -> ConfigurationError:
    said = _message(error)
    if error.status == _FORBIDDEN:
        return ConfigurationError(
            f"the cluster forbids to {verb} {resource}: {said}\n"
            "expected: a service account with the right to get and patch exactly this\n"
            f"fix: add this rule to a Role in {resource.namespace} that is bound to it (see infra/kubernetes):\n"
            f"  {resource.rule('get', 'patch')}"
        )
    if error.status == _NOT_FOUND:
        return NotFoundError(
            f"the cluster has no {resource}: {said}\nexpected: what infra/kubernetes makes; deploying only changes it\n"
            "fix: kubectl apply --kustomize infra/kubernetes/overlays/cluster (and infra/kubernetes/kserve for KServe)"
        )
    if error.status == _CONFLICT:
        return ConflictError(
            f"{resource} was changed by somebody else meanwhile: {said}\n"
            "expected: one deployment at a time\nfix: see what changed it, then run again"
        )
    if error.status is None or error.status >= 500 or error.status == 429:
        return UnavailableError(f"the cluster could not {verb} {resource}: {error.status} {said}\nfix: run again")
    return ConfigurationError(
        f"the cluster refuses to {verb} {resource}: {error.status} {said}\n"
        "fix: compare the object with what infra/kubernetes makes, and the credentials with those it accepts"
    )


def _message(error: Any) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
