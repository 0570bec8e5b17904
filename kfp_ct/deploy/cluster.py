"""The cluster's own API, by the official client: only to look, and only where a kubeconfig is."""

import dataclasses
from typing import Any

from kfp_ct.base.errors import CtError

TIMEOUT = 5.0  # seconds: nothing waits for a cluster that cannot be reached


class NoClusterError(CtError):
    """There is no kubeconfig, and this is no pod."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Clients of the groups that are asked, and the address."""

    core: Any
    apps: Any
    host: str


def connect() -> Cluster:
    """Makes clients from $KUBECONFIG, ~/.kube/config or a pod's own account.

    Raises:
        NoClusterError: None of them is there.
    """
    from kubernetes import client, config

    try:
        config.load_config()
    except config.ConfigException as error:
        raise NoClusterError("no kubeconfig, and not in a pod") from error
    configuration = client.Configuration.get_default_copy()
    configuration.retries = 0
    api = client.ApiClient(configuration)
    return Cluster(client.CoreV1Api(api), client.AppsV1Api(api), configuration.host)


def errors() -> tuple[type[Exception], ...]:
    """Returns what a cluster that cannot be asked raises."""
    import urllib3
    from kubernetes.client.exceptions import ApiException

    return NoClusterError, ApiException, urllib3.exceptions.HTTPError, OSError
