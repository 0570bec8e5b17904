"""Whether a project of Google Cloud has the account that tasks run as, and quotas that the largest task fits.

By REST of IAM (https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts/get) and of Service Usage
(https://cloud.google.com/service-usage/docs/reference/rest/v1beta1/services.consumerQuotaMetrics/get). Quotas are
limits only: how much of them is in use, Cloud Monitoring knows.
"""

import urllib.parse
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from kfp_ct.deploy import vertex_target
from kfp_ct.deploy.doctor.finding import Finding, fine, problem, unknown

_IAM, _USAGE = "https://iam.googleapis.com", "https://serviceusage.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_SERVICE = "aiplatform.googleapis.com"
_TIMEOUT = 10
_OK, _FORBIDDEN, _NOT_FOUND = 200, 403, 404
_UNLIMITED = -1
_CPU, _ACCELERATOR = "limits.cpu", "requests."


def findings(service: vertex_target.VertexTarget, tasks: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    """Yields a finding for the account, and one for each quota that tasks need.

    Args:
        service: The project and location.
        tasks: By task, what its container asks for, such as `limits.cpu` (see pod_needs).

    Raises:
        TargetError: There are no credentials, or Google Cloud does not answer.
    """
    with vertex_target.speaking(service.section):
        session = _session(service)
        yield _account(session, service)
        for metric, (task, amount) in sorted(_largest(tasks).items()):
            yield _quota(session, service, metric, (task, amount))


def _session(service: vertex_target.VertexTarget) -> Any:
    import google.auth
    from google.auth.transport import requests

    credentials = service.credentials or google.auth.default(scopes=[_SCOPE])[0]
    return requests.AuthorizedSession(credentials)  # type: ignore[no-untyped-call]


def _account(session: Any, service: vertex_target.VertexTarget) -> Finding:
    what, email = "service account", service.section.get("service_account", "")
    if not email:
        return fine(what, "none is named: tasks run as the project's Compute Engine account")
    answer = session.get(f"{_base(service, _IAM)}/v1/projects/-/serviceAccounts/{email}", timeout=_TIMEOUT)
    if answer.status_code == _NOT_FOUND:
        return problem(what, f"there is no {email}", "make it, or correct vertex: {service_account: …}")
    if answer.status_code != _OK:
        return _unseen(what, answer, "iam.serviceAccounts.get")
    if answer.json().get("disabled"):
        return problem(what, f"{email} is disabled", f"gcloud iam service-accounts enable {email}")
    return fine(what, email)


def _largest(tasks: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[str, Decimal]]:
    """Returns by metric the task that asks for most, and how much."""
    found: dict[str, tuple[str, Decimal]] = {}
    for task, given in tasks.items():
        for resource, amount in given.items():
            metric = _metric(resource)
            if metric and Decimal(amount) > found.get(metric, ("", Decimal(0)))[1]:
                found[metric] = (task, Decimal(amount))
    return found


def _metric(resource: str) -> str:
    if resource == _CPU:
        return f"{_SERVICE}/custom_model_training_cpus"
    kind = resource.removeprefix(_ACCELERATOR).lower().replace("nvidia_tesla_", "nvidia_")
    # Neither a request of CPU or memory, nor what Kubernetes calls an accelerator.
    is_accelerator = resource.startswith(_ACCELERATOR) and "." not in kind and kind not in ("cpu", "memory")
    return f"{_SERVICE}/custom_model_training_{kind}_gpus" if is_accelerator else ""


def _quota(session: Any, service: vertex_target.VertexTarget, metric: str, most: tuple[str, Decimal]) -> Finding:
    what, (task, amount) = f"quota {metric.partition('/')[2]}", most
    project, location = service.section["project"], service.section["location"]
    name = f"projects/{project}/services/{_SERVICE}/consumerQuotaMetrics/{urllib.parse.quote(metric, safe='')}"
    answer = session.get(f"{_base(service, _USAGE)}/v1beta1/{name}", params={"view": "FULL"}, timeout=_TIMEOUT)
    if answer.status_code == _NOT_FOUND:
        return unknown(what, f"Vertex AI has no quota of this name in {project}")
    if answer.status_code != _OK:
        return _unseen(what, answer, "serviceusage.quotas.get")
    limit = _limit(answer.json(), location)
    if limit is None:
        return unknown(what, f"it says nothing of {location}")
    if limit != _UNLIMITED and amount > limit:
        text = f"{task} asks for {amount}, {project} may use {limit} in {location}"
        return problem(what, text, "ask for less in the section vertex, or have the quota raised")
    return fine(what, f"{'no limit' if limit == _UNLIMITED else limit} in {location}; {task} asks for {amount}")


def _limit(metric: Mapping[str, Any], location: str) -> int | None:
    """Returns the limit of a region: its own, else that of all."""
    buckets = [each for limit in metric.get("consumerQuotaLimits", ()) for each in limit.get("quotaBuckets", ())]
    own = [each for each in buckets if each.get("dimensions", {}).get("region") == location]
    common = [each for each in buckets if not each.get("dimensions")]
    limits = [int(each["effectiveLimit"]) for each in (own or common) if "effectiveLimit" in each]
    bounded = [each for each in limits if each != _UNLIMITED]
    return min(bounded or limits, default=None)


def _unseen(what: str, answer: Any, right: str) -> Finding:
    if answer.status_code == _FORBIDDEN:
        return unknown(what, f"this account may not look (403): it takes {right}, and the API enabled")
    return unknown(what, f"Google Cloud answers {answer.status_code}")


def _base(service: vertex_target.VertexTarget, address: str) -> str:
    """Returns the address of an API; that of the settings where they name one of this machine's."""
    own = str(service.section.get("api_endpoint") or "")
    return own if own.startswith("http://") else address
