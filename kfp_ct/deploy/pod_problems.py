"""Why pods of a run do not start: KFP's API does not show it, the cluster's does."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from kfp_ct.deploy import cluster

_NODE = "workflows.argoproj.io/node-name"  # such as flights-x7k2p.root.train(0).executor(0)
_TRY = re.compile(r"\(.*\)$")
# A container that waits for one of these is only being made.
_NORMAL = ("ContainerCreating", "PodInitializing")


def of_run(namespace: str, run_id: str, tasks: Sequence[str]) -> list[str]:
    """Returns lines that say what keeps a run's pods, or which commands show it.

    Args:
        namespace: Of the runs.
        run_id: The run.
        tasks: Those that have not ended.
    """
    selector = f"pipeline/runid={run_id}"
    found = _asked(namespace, selector)
    names = ", ".join(tasks) or "no task has begun"
    if found:
        return [f"waiting: {each}" for each in found]
    return [
        f"waiting: nothing has changed for a minute ({names}); a pod that fits no node, or whose image or volume is "
        f"not to be had, shows in the cluster only: kubectl -n {namespace} get pods -l {selector}; then "
        f"kubectl -n {namespace} describe pod NAME"
    ]


def _asked(namespace: str, selector: str) -> list[str]:
    try:
        api = cluster.connect()
        pods = api.core.list_namespaced_pod(namespace, label_selector=selector, _request_timeout=cluster.TIMEOUT).items
    except cluster.errors():
        return []
    return [line for pod in pods for line in _problems(pod)]


def _problems(pod: Any) -> Iterator[str]:
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            yield f"{_task(pod)}: no node takes pod {pod.metadata.name}: {condition.message or condition.reason}"
    for status in [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]:
        waits = status.state.waiting if status.state else None
        if waits and waits.reason not in (None, *_NORMAL):
            yield f"{_task(pod)}: pod {pod.metadata.name}: {waits.reason}: {waits.message or 'no message'}"


def _task(pod: Any) -> str:
    node = (pod.metadata.annotations or {}).get(_NODE, "")
    parts = [_TRY.sub("", part) for part in node.split(".")]
    named = [part.removesuffix("-driver") for part in parts if part and part != "executor"]
    return named[-1] if named else str(pod.metadata.name)
