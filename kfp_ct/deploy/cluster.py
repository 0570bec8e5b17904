"""The cluster's own API, by the official client: only to look, and only where a kubeconfig is."""

import dataclasses
import os
from pathlib import Path
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

    configuration = client.Configuration()
    # The client's own search keeps what $KUBECONFIG was when it was imported, and prints where it looks.
    files = os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    try:
        if any(Path(each).is_file() for each in files.split(os.pathsep)):
            config.load_kube_config(config_file=files, client_configuration=configuration)
        else:
            config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException as error:
        raise NoClusterError("no kubeconfig, and not in a pod") from error
    configuration.retries = 0
    api = client.ApiClient(configuration)
    return Cluster(client.CoreV1Api(api), client.AppsV1Api(api), configuration.host)


def errors() -> tuple[type[Exception], ...]:
    """Returns what a cluster that cannot be asked raises."""
    import urllib3
    from kubernetes.client.exceptions import ApiException

    return NoClusterError, ApiException, urllib3.exceptions.HTTPError, OSError
