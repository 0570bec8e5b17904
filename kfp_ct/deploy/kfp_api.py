"""A Kubeflow Pipelines API: reached with the kinds of credentials its SDK has, its refusals in words."""

import contextlib
import io
import json
import os
import warnings
from collections.abc import Iterator
from typing import Any

import kfp
import kfp_server_api
import urllib3

from kfp_ct.base.errors import RequestRefusedError, TargetError, UsageError

NOT_FOUND = 404
# Refusals that pass: too early, too many, a proxy's time-out.
_PASSING = (408, 425, 429)


class _Client(kfp.Client):
    """The SDK's client, whose constructor asks for the service's health five times over 25 seconds, with tracebacks."""

    def get_kfp_healthz(self, sleep_duration: int = 5) -> kfp_server_api.V2beta1GetHealthzResponse:
        """Asks once; a service that does not answer is told by the first request that needs an answer."""
        try:
            return self._healthz_api.healthz_service_get_healthz()
        except (kfp_server_api.ApiException, urllib3.exceptions.HTTPError, OSError):
            return kfp_server_api.V2beta1GetHealthzResponse(multi_user=False)


def connect(host: str, auth: str = "", namespace: str = "") -> kfp.Client:
    """Makes a client; a service that does not answer yet is no error.

    Args:
        host: Its address; empty for the service of the cluster this runs in.
        auth: none; token ($CT_TOKEN); in-cluster (the pod's service account token); iap (client id in
            $KF_PIPELINES_IAP_OAUTH2_CLIENT_ID); dex (a session's cookie in $CT_COOKIE). By default token if $CT_TOKEN
            is set, else none.
        namespace: The user's namespace, where a service has several users.

    Raises:
        UsageError: What a kind of credentials needs is not there.
    """
    auth = auth or ("token" if os.environ.get("CT_TOKEN") else "none")
    options: dict[str, Any] = {}
    if auth == "token":
        options["existing_token"] = _from("CT_TOKEN", auth)
    elif auth == "in-cluster":
        from kfp.client.set_volume_credentials import ServiceAccountTokenVolumeCredentials

        options["credentials"] = ServiceAccountTokenVolumeCredentials()
    elif auth == "iap":
        options["client_id"] = _from("KF_PIPELINES_IAP_OAUTH2_CLIENT_ID", auth)
    elif auth == "dex":
        options["cookies"] = _from("CT_COOKIE", auth)
    elif auth != "none":
        raise UsageError(f"--auth {auth!r}\nexpected: none, token, in-cluster, iap or dex")
    with speaking(host), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return _Client(host=host or None, namespace=namespace or "kubeflow", **options)


@contextlib.contextmanager
def speaking(host: str) -> Iterator[None]:
    """Turns what goes wrong with a service into a `TargetError`, and drops the links its SDK prints."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except kfp_server_api.ApiException as error:
        lasting = 400 <= (error.status or 0) < 500 and error.status not in _PASSING
        kind = RequestRefusedError if lasting else TargetError
        raise kind(f"{host or 'the service'}: {refusal(error)}{_hint(error.status)}") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise TargetError(
            f"nothing answers at {host or 'the service of this cluster'} ({type(error).__name__})\n"
            "expected: a Kubeflow Pipelines API\n"
            "fix: give --host its address; of a cluster's, after `kubectl -n kubeflow port-forward svc/ml-pipeline "
            "8888:8888`, http://127.0.0.1:8888; on this machine `ct up` is one"
        ) from error


def refusal(error: kfp_server_api.ApiException) -> str:
    """Returns what a service says of a request it refused."""
    try:
        body = json.loads(error.body)
        message = body.get("message") or body.get("error") or body.get("error_message")
    except (TypeError, ValueError, AttributeError):
        message = None
    return f"{error.status} {message or error.reason}"


def equals(key: str, value: str) -> str:
    """Returns KFP's filter for entries of which a field has a value."""
    return json.dumps({"predicates": [{"operation": 1, "key": key, "stringValue": value}]})


def _from(variable: str, auth: str) -> str:
    value = os.environ.get(variable, "")
    if not value:
        raise UsageError(f"--auth {auth} needs ${variable}, which is not set")
    return value


def _hint(status: int | None) -> str:
    if status in (401, 403):
        return "\nexpected: credentials it accepts\nfix: set $CT_TOKEN, or give --auth"
    return ""
