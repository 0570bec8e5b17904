"""Whether the places that settings name are there: MLflow's server, buckets."""

import os
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import requests

from kfp_ct.base.errors import ComponentError
from kfp_ct.deploy import reachable
from kfp_ct.deploy.doctor.finding import Finding, fine, problem, unknown
from kfp_ct.project.settings import Settings
from kfp_ct.storage import storage

_TIMEOUT = 5
_NO_OBJECT = "ct-doctor"  # a folder with nothing in it: a bucket may hold millions
_OK, _UNAUTHORIZED, _FORBIDDEN = 200, 401, 403
_PORT = {"http": 80, "https": 443}


def findings(chosen: Settings, roots: tuple[str, ...]) -> Iterator[Finding]:
    """Yields a finding for the registry, and one for each bucket.

    Args:
        chosen: The settings.
        roots: Where else objects are kept, such as the pipeline root.
    """
    registry = str(chosen.parameters.get("registry_uri", ""))
    if registry.startswith(("http://", "https://")):
        yield _registry(registry)
    uris = [uri for _, uri in reachable.locations(chosen.parameters)] + list(roots)
    buckets = dict.fromkeys("/".join(uri.split("/")[:3]) for uri in uris if uri.startswith(("s3://", "gs://")))
    for bucket in buckets:
        yield _bucket(bucket)


def _registry(uri: str) -> Finding:
    what, split = "MLflow", urlsplit(uri)
    shown = f"{split.scheme}://{split.hostname}" + (f":{split.port}" if split.port else "")
    if "${" in uri:
        return unknown(what, f"{shown}: its credentials are known to tasks only")
    try:
        socket.getaddrinfo(split.hostname, split.port or _PORT[split.scheme])
    except OSError:
        return unknown(what, f"{split.hostname} is no name here; a name of the cluster's is known to pods only")
    try:
        answer = requests.get(f"{shown}/version", auth=_credentials(split), timeout=_TIMEOUT)
    except requests.RequestException as error:
        return problem(what, f"{shown} does not answer ({type(error).__name__})", "start it, or correct registry_uri")
    if answer.status_code == _OK:
        return fine(what, f"{shown}, release {answer.text.strip()[:20]}")
    if answer.status_code == _FORBIDDEN and "host" in answer.text.lower():
        host = split.netloc.rpartition("@")[2]
        return problem(what, f"{shown} answers 403 Invalid Host header", f"start it with --allowed-hosts {host}")
    if answer.status_code in (_UNAUTHORIZED, _FORBIDDEN):
        return problem(what, f"{shown} answers {answer.status_code}", "give the tasks credentials it accepts")
    return problem(what, f"{shown} answers {answer.status_code}: it is no MLflow server", "correct registry_uri")


def _credentials(split: Any) -> tuple[str, str] | None:
    return (split.username, split.password or "") if split.username else None


def _bucket(uri: str) -> Finding:
    what = f"bucket {uri}"
    if uri.startswith("s3://") and not {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"} & set(os.environ):
        return unknown(what, "this machine has no credentials for it: set $AWS_ACCESS_KEY_ID, $AWS_ENDPOINT_URL")
    try:
        storage.list_folder(f"{uri}/{_NO_OBJECT}", deep=False)
    except ComponentError as error:
        first = str(error).splitlines()[0]
        return problem(what, first, "make it, or give this account the right to read it")
    return fine(what, "can be read from here")
