"""Whether a cluster has what pods need, asked of its own API where a kubeconfig reaches it."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kfp_ct.base.errors import CtError
from kfp_ct.deploy import cluster
from kfp_ct.deploy.doctor import quota_checks
from kfp_ct.deploy.doctor.finding import Finding, fine, problem, unknown
from kfp_ct.deploy.doctor.pod_needs import Needs
from kfp_ct.deploy.kfp_target import DEFAULT_NAMESPACE

_API, _SCHEDULER = "ml-pipeline", "ml-pipeline-scheduledworkflow"
_ZONE = "CRON_SCHEDULE_TIMEZONE"
_FORBIDDEN, _NOT_FOUND = 403, 404


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is looked for: the runs' namespace, what pods need there, their account, the zone of schedules."""

    namespace: str
    needs: Needs
    service_account: str = ""
    time_zone: str = "UTC"


def findings(wanted: Wanted) -> Iterator[Finding]:
    """Yields a finding for each object; one that says so where the cluster cannot be asked."""
    try:
        api = cluster.connect()
        if (
            _ask(lambda: api.core.read_namespaced_service(_API, DEFAULT_NAMESPACE, _request_timeout=cluster.TIMEOUT))
            is None
        ):
            text = (
                f"the kubeconfig's cluster ({api.host}) has no service {_API} in {DEFAULT_NAMESPACE}: it is another one"
            )
            yield unknown("cluster", text)
            return
    except cluster.errors() as error:
        yield unknown("cluster", f"claims, secrets and accounts: {_said(error)}")
        return
    yield from _objects(api, wanted)
    yield from quota_checks.findings(api.core, wanted.namespace, wanted.needs.resources)
    yield from _zone(api, wanted)


def _objects(api: cluster.Cluster, wanted: Wanted) -> Iterator[Finding]:
    core, namespace, needs = api.core, wanted.namespace, wanted.needs
    for name in sorted(needs.claims):
        yield from _checked(f"claim {name}", core.read_namespaced_persistent_volume_claim, (name, namespace), _of_claim)
    for kind, read, names in (
        ("secret", core.read_namespaced_secret, needs.secrets),
        ("config map", core.read_namespaced_config_map, needs.config_maps),
    ):
        for name, keys in names.items():
            yield from _checked(f"{kind} {name}", read, (name, namespace), _of_keys(kind, name, keys))
    if wanted.service_account:
        what = f"service account {wanted.service_account}"
        read = core.read_namespaced_service_account
        yield from _checked(what, read, (wanted.service_account, namespace), lambda _: fine(what, "is there"))


def _checked(
    what: str, read: Callable[..., Any], place: tuple[str, str], judge: Callable[[Any], Finding]
) -> Iterator[Finding]:
    name, namespace = place
    try:
        found = _ask(lambda: read(name, namespace, _request_timeout=cluster.TIMEOUT))
    except cluster.errors() as error:
        yield unknown(what, _said(error))
        return
    if found is None:
        kind = what.removesuffix(f" {name}").replace(" ", "").replace("claim", "pvc")
        fix = f"make it; what is there: kubectl -n {namespace} get {kind}"
        yield problem(what, f"is not in the namespace {namespace}", fix)
    else:
        yield judge(found)


def _of_claim(found: Any) -> Finding:
    what, phase = f"claim {found.metadata.name}", found.status.phase
    modes = ", ".join(found.spec.access_modes or ())
    if phase == "Lost":
        return problem(what, "has lost its volume", "make the claim anew")
    # One that waits for its first pod is not bound before.
    once = " (pods of one node at a time)" if modes == "ReadWriteOnce" else ""
    return fine(what, f"{phase}, {modes}{once}")


def _of_keys(kind: str, name: str, keys: frozenset[str]) -> Callable[[Any], Finding]:
    def judge(found: Any) -> Finding:
        missing = sorted(keys - set(found.data or {}) - set(getattr(found, "binary_data", None) or {}))
        if missing:
            return problem(f"{kind} {name}", f"has no entry {', '.join(missing)}", "add it, or name another key")
        return fine(f"{kind} {name}", "is there" + (f" with {', '.join(sorted(keys))}" if keys else ""))

    return judge


def _zone(api: cluster.Cluster, wanted: Wanted) -> Iterator[Finding]:
    what = "time zone of schedules"
    try:
        found = _ask(
            lambda: api.apps.read_namespaced_deployment(_SCHEDULER, DEFAULT_NAMESPACE, _request_timeout=cluster.TIMEOUT)
        )
        zone = _zone_of(api, found) if found else None
    except cluster.errors() as error:
        yield unknown(what, _said(error))
        return
    if zone is None:
        yield unknown(what, f"there is no deployment {_SCHEDULER} in {DEFAULT_NAMESPACE}")
    elif zone != wanted.time_zone:
        text = f"the service reads cron in {zone}, the settings say {wanted.time_zone}"
        yield problem(what, text, f"kfp: {{time_zone: {zone}}}")
    else:
        yield fine(what, zone)


def _zone_of(api: cluster.Cluster, deployment: Any) -> str:
    variables: Mapping[str, Any] = {
        each.name: each for each in deployment.spec.template.spec.containers[0].env or () if each.name == _ZONE
    }
    variable = variables.get(_ZONE)
    if variable is None:
        return "UTC"
    reference = variable.value_from.config_map_key_ref if variable.value_from else None
    if reference is None:
        return variable.value or "UTC"
    read = api.core.read_namespaced_config_map
    found = _ask(lambda: read(reference.name, DEFAULT_NAMESPACE, _request_timeout=cluster.TIMEOUT))
    return str((found.data or {}).get(reference.key) or "UTC") if found else "UTC"


def _ask(read: Callable[[], Any]) -> Any:
    """Returns an object; None if it is not there."""
    from kubernetes.client.exceptions import ApiException

    try:
        return read()
    except ApiException as error:
        if error.status == _NOT_FOUND:
            return None
        raise


def _said(error: Exception) -> str:
    if isinstance(error, CtError):
        return str(error)
    if getattr(error, "status", None) == _FORBIDDEN:
        return "this account may not look (403): ask who may, or give it the right to get it"
    return f"the cluster does not answer ({type(error).__name__})"
