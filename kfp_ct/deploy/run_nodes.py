"""Tasks of a run, folded out of the nodes that KFP and Argo keep of it.

For a task `train` KFP 2.17 lists `train-driver`, `train-driver(0)`, `train`, `train(0)`, `executor` and `executor(0)`,
beside `root`, `root(0)`, `root-driver(0)` and the workflow with its first try: a driver decides what a task gets, the
number counts tries, and a task's container runs in the node `executor`, which has no name of the task's. The local
endpoint lists tasks only.
"""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

FAILED = ("FAILED", "ERROR")
_TRY = re.compile(r"(?P<name>.+?)\((?P<number>\d+)(:.*)?\)")
_DRIVER, _EXECUTOR, _ROOT = "-driver", "executor", "root"
# What KFP's compiler calls the DAGs of conditions, loops and exit handlers; their tasks are listed beside them.
_GROUP = re.compile(r"(condition|condition-branches|for-loop|exit-handler)-\d+")
_WORKFLOW = re.compile(r".+-[a-z0-9]{5}")


@dataclasses.dataclass(frozen=True)
class TaskView:
    """Where a task stands.

    Attributes:
        state: KFP's, such as RUNNING.
        pods: Its containers as the log API names them, the last try last.
        error: What KFP says of it.
        tries: How often it was begun.
    """

    state: str
    pods: tuple[str, ...] = ()
    error: str = ""
    tries: int = 1


@dataclasses.dataclass(frozen=True)
class _Node:
    """A node with the name it has without its try; the first of several tries is number 0, a node of its own is -1."""

    name: str
    number: int
    detail: Any

    @property
    def began(self) -> str:
        return str(self.detail.start_time or self.detail.create_time or "")

    @property
    def state(self) -> str:
        return str(self.detail.state or "")

    @property
    def children(self) -> list[str]:
        return [str(each.pod_name or each.task_id) for each in self.detail.child_tasks or ()]


def fold(details: Sequence[Any]) -> dict[str, TaskView]:
    """Returns the tasks of a run by their names, in the order in which they began.

    Args:
        details: The entries of `run_details.task_details`.
    """
    nodes = sorted((_node(each) for each in details if each.display_name), key=lambda node: node.began)
    names = dict.fromkeys(node.name.removesuffix(_DRIVER) for node in nodes)
    workflow = _workflow(nodes)
    return {name: _task(name, nodes) for name in names if name != workflow and not _is_backends(name)}


def _node(detail: Any) -> _Node:
    match = _TRY.fullmatch(detail.display_name)
    return _Node(match["name"], int(match["number"]), detail) if match else _Node(detail.display_name, -1, detail)


def _is_backends(name: str) -> bool:
    return name in (_ROOT, _EXECUTOR) or bool(_GROUP.fullmatch(name))


def _workflow(nodes: Sequence[_Node]) -> str:
    """Returns the name of Argo's workflow: it begins before all others and has no driver; empty if there is none."""
    drivers = {node.name.removesuffix(_DRIVER) for node in nodes if node.name.endswith(_DRIVER)}
    if not drivers and not any(node.detail.child_tasks for node in nodes):
        return ""  # the local endpoint's tasks
    others = (node.name for node in nodes if not node.name.endswith(_DRIVER) and not _is_backends(node.name))
    first = next(others, "")
    return first if first not in drivers and _WORKFLOW.fullmatch(first) else ""


def _task(name: str, nodes: Sequence[_Node]) -> TaskView:
    own = [node for node in nodes if node.name == name]
    drivers = [node for node in nodes if node.name == name + _DRIVER]
    if not own:
        failed = _latest(drivers).state in FAILED
        return TaskView("FAILED" if failed else "PENDING", _pods(drivers, nodes) if failed else (), _error(drivers))
    executors = list(_executors(own, nodes))
    pods = _pods(executors, nodes) or tuple(str(node.detail.pod_name) for node in own if _is_local(node))
    tries = max([node.number for node in (*own, *executors)]) + 1
    return TaskView(_latest(own).state, pods, _error([*own, *executors, *drivers]), max(tries, 1))


def _latest(nodes: Sequence[_Node]) -> _Node:
    """Returns the node that stands for all tries, or the last try."""
    return next((node for node in nodes if node.number < 0), max(nodes, key=lambda node: node.number))


def _error(nodes: Sequence[_Node]) -> str:
    said = (node.detail.error.message for node in nodes if node.detail.error)
    return next((text for text in said if text), "")


def _is_local(node: _Node) -> bool:
    """Whether a node is a task's container itself, as on the local endpoint."""
    return bool(node.detail.pod_name) and not node.detail.child_tasks


def _executors(own: Sequence[_Node], nodes: Sequence[_Node]) -> Iterator[_Node]:
    """Yields the executors of a task: below its nodes, or where nodes do not say what they are, begun within it."""
    reached = {child for node in own for child in node.children}
    found = [node for node in nodes if node.name == _EXECUTOR and _ids(node) & reached]
    if found:
        below = {child for node in found if node.number < 0 for child in node.children}
        tries = [node for node in nodes if node.name == _EXECUTOR and _ids(node) & below and node not in found]
        yield from (*found, *tries)
    elif not any(node.detail.pod_name for node in nodes):
        yield from (node for node in nodes if node.name == _EXECUTOR and _began_within(node, own, nodes))


def _ids(node: _Node) -> set[str]:
    return {str(each) for each in (node.detail.pod_name, node.detail.task_id) if each}


def _began_within(executor: _Node, own: Sequence[_Node], nodes: Sequence[_Node]) -> bool:
    """Whether a task is the one that began last before an executor did; not if two began at once."""
    drivers = {node.name.removesuffix(_DRIVER) for node in nodes if node.name.endswith(_DRIVER)} - {_ROOT}
    before = [node for node in nodes if node.name in drivers and node.began <= executor.began]
    last = max((node.began for node in before), default="")
    return {node.name for node in before if node.began == last} == {own[0].name}


def _pods(containers: Sequence[_Node], nodes: Sequence[_Node]) -> tuple[str, ...]:
    """Returns what the log API calls containers: the tries below a node that stands for them, or the node itself."""
    names = {node.name for node in containers}
    tried = any(node.name in names and node.number >= 0 for node in nodes)
    found = [child for node in containers if node.number < 0 and tried for child in node.children]
    found += [
        str(node.detail.pod_name) for node in containers if node.detail.pod_name and (node.number >= 0 or not tried)
    ]
    return tuple(dict.fromkeys(found))
