"""Whether pods of tasks fit the quotas and limits of the namespace that they run in."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from kfp_ct.deploy import cluster
from kfp_ct.deploy.doctor.finding import Finding, fine, problem, unknown

# A quota's shorter names.
_LONG = {"cpu": "requests.cpu", "memory": "requests.memory"}
# Of these, a pod that says nothing is refused where a quota bounds them.
_COMPULSORY = {f"{kind}.{what}": f"{what}_{kind[:-1]}" for kind in ("requests", "limits") for what in ("cpu", "memory")}
_CONTAINER = "Container"
_FORBIDDEN = 403


def findings(core: Any, namespace: str, tasks: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    """Yields a finding for each quota that no pod fits, or one that says that all do.

    Args:
        core: The client of the API's core group.
        namespace: That of the runs.
        tasks: By task, what its container asks for, such as `requests.memory`.
    """
    try:
        quotas = core.list_namespaced_resource_quota(namespace, _request_timeout=cluster.TIMEOUT).items
        ranges = core.list_namespaced_limit_range(namespace, _request_timeout=cluster.TIMEOUT).items
    except cluster.errors() as error:
        if getattr(error, "status", None) != _FORBIDDEN:
            yield unknown("quotas", f"the cluster does not answer ({type(error).__name__})")
        else:
            yield unknown("quotas", "this account may not list resourcequotas and limitranges (403)")
        return
    asked = {task: _with_defaults(given, _defaults(ranges)) for task, given in tasks.items()}
    found = [each for quota in quotas for each in _of_quota(quota, asked)]
    yield from found
    if not found:
        names = ", ".join(sorted(each.metadata.name for each in quotas))
        yield fine("quotas", f"each task fits {names}" if names else f"there are none in {namespace}")


def _of_quota(quota: Any, asked: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    hard, used = (quota.status.hard or quota.spec.hard or {}), (quota.status.used or {})
    for name, bound in sorted(hard.items()):
        resource, what = _LONG.get(name, name), f"quota {quota.metadata.name}"
        if setting := _COMPULSORY.get(resource):
            silent = [task for task, given in asked.items() if resource not in given]
            if silent:
                text = f"bounds {resource}, so pods that set none are refused: {', '.join(silent)}"
                yield problem(what, text, f"kubernetes: {{all: {{{setting}: …}}}}, or a LimitRange with defaults")
        amounts = {task: _number(given[resource]) for task, given in asked.items() if resource in given}
        largest = max(amounts, key=lambda task: amounts[task], default="")
        if largest and amounts[largest] > _number(bound):
            text = f"{largest} asks for {resource} {asked[largest][resource]}, the quota is {bound}"
            yield problem(what, text, "ask for less in the section kubernetes, or raise the quota")
        elif largest and amounts[largest] > _number(bound) - _number(used.get(name, "0")):
            text = f"{largest} asks for {resource} {asked[largest][resource]}; {used[name]} of {bound} are used now"
            yield problem(what, text, "wait until other pods have ended, or raise the quota")


def _defaults(ranges: list[Any]) -> dict[str, str]:
    """Returns what the namespace gives containers that say nothing."""
    found: dict[str, str] = {}
    for each in (limit for item in ranges for limit in item.spec.limits if limit.type == _CONTAINER):
        limits, requests = each.default or {}, each.default_request or {}
        found |= {f"limits.{what}": amount for what, amount in limits.items()}
        found |= {f"requests.{what}": amount for what, amount in {**limits, **requests}.items()}
    return found


def _with_defaults(given: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str]:
    """Returns what a container has in the end: a limit without a request is its request, too."""
    own = {resource.replace("limits.", "requests."): amount for resource, amount in given.items()}
    return {**defaults, **own, **given}


def _number(quantity: str) -> Decimal:
    from kubernetes.utils.quantity import parse_quantity

    return parse_quantity(quantity)
