"""Runs the DAG of a package by KFP's definition: what runs, what is skipped, which values go where.

A task runs when all that it waits for has ended: if all of it went well, or whatever came of it where the pipeline
says so (exit handlers, `ignore_upstream_failure`). A failure anywhere fails the DAG around it; what does not wait for
it goes on. A task after a branch that was not taken runs, as in kfp.local.
"""

import concurrent.futures
import graphlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kfp_ct.base.errors import CtError, PackageError
from kfp_ct.local import conditions, dag_scope, placeholders
from kfp_ct.local.dag_scope import Ended, Scope
from kfp_ct.package import task_names
from kfp_ct.package.package import Package
from kfp_ct.package.task_names import Position
from kfp_ct.runs.events import State

_COMPLETED = "ALL_UPSTREAM_TASKS_COMPLETED"
# Iterations of one loop at once, where the pipeline says nothing: tasks share this machine.
_PARALLEL = max(2, min(4, os.cpu_count() or 2))


class Executors(Protocol):
    """Runs the tasks that have an executor, and hears of the others."""

    def execute(self, place: "Place", task: Mapping[str, Any], inputs: Mapping[str, Any]) -> Ended:
        """Runs a task to its end; whatever goes wrong is told in what it returns."""

    def refused(self, name: str, error: str) -> None:
        """A task failed before it began."""

    def skipped(self, name: str) -> None:
        """A task will not run."""

    def repeated(self, names: Sequence[str], count: int) -> None:
        """Tasks of a loop are about to run so many times, under their names with the iteration after a dot."""


class Place:
    """Where a task stands.

    Attributes:
        position: Names of the DAG tasks around it, and its own.
        iterations: Which iteration of each loop around it.
        name: Its name in the run.
        known_as: Its name in the package, which all iterations share.
    """

    def __init__(self, position: Position, iterations: tuple[int, ...], known_as: str) -> None:
        self.position = position
        self.iterations = iterations
        self.known_as = known_as
        self.name = task_names.in_loop(known_as, iterations)


class DagRun:
    """One run of a package."""

    def __init__(self, compiled: Package, executors: Executors, facts: Mapping[str, str]) -> None:
        """Prepares.

        Args:
            compiled: A checked package.
            executors: Runs tasks.
            facts: What placeholders such as `.pipeline_job_name` stand for.
        """
        self._components = compiled.get("components", {})
        self._root = compiled["root"]
        self._executors = executors
        self._facts = facts
        self._names = task_names.names(compiled)

    def run(self, arguments: Mapping[str, Any]) -> Ended:
        """Runs the package with values of its inputs."""
        return self._dag(self._root, Scope((), (), dag_scope.with_defaults(self._root, arguments)))

    def _dag(self, component: Mapping[str, Any], scope: Scope) -> Ended:
        tasks = component["dag"]["tasks"]
        for name in _in_order(tasks):
            scope.ended[name] = self._task(name, tasks[name], scope)
        failed = next((each for each in scope.ended.values() if each.failed), None)
        if failed:
            first = next((each for each in scope.ended.values() if each.state is State.FAILED), failed)
            return Ended(State.FAILED, error=first.error)
        return Ended(State.SUCCEEDED, dag_scope.dag_outputs(component["dag"], scope))

    def _task(self, name: str, task: Mapping[str, Any], scope: Scope) -> Ended:
        waited_for = [scope.ended[each] for each in dag_scope.upstream(task) if each in scope.ended]
        policy = task.get("triggerPolicy", {})
        position = (*scope.position, name)
        if any(each.failed for each in waited_for) and policy.get("strategy") != _COMPLETED:
            self._skip(position, scope.iterations)
            return Ended(State.SKIPPED, blocked=True)
        component = self._components[task["componentRef"]["name"]]
        facts = placeholders.task_facts(self._facts, position, scope.iterations)
        try:
            inputs = dag_scope.task_inputs(task, component, scope, facts)
            if policy.get("condition") and not conditions.evaluate(policy["condition"], inputs):
                self._skip(position, scope.iterations)
                return Ended(State.SKIPPED)
            if "parameterIterator" in task or "artifactIterator" in task:
                return self._loop(position, task, inputs, scope)
        except CtError as error:
            return self._refuse(position, scope.iterations, str(error))
        return self._once(position, task, inputs, scope.iterations)

    def _once(
        self, position: Position, task: Mapping[str, Any], inputs: Mapping[str, Any], iterations: tuple[int, ...]
    ) -> Ended:
        component = self._components[task["componentRef"]["name"]]
        if "dag" in component:
            return self._dag(component, Scope(position, iterations, inputs))
        return self._executors.execute(Place(position, iterations, self._names[position]), task, inputs)

    def _loop(self, position: Position, task: Mapping[str, Any], inputs: Mapping[str, Any], scope: Scope) -> Ended:
        component = self._components[task["componentRef"]["name"]]
        item_input, items = dag_scope.loop_items(task, inputs)
        outputs = component.get("outputDefinitions", {})
        names = {*outputs.get("parameters", {}), *outputs.get("artifacts", {})}
        if not items:
            self._skip(position, scope.iterations)
            return Ended(State.SUCCEEDED, {name: [] for name in names})
        inside = [task_names.in_loop(each, scope.iterations) for each in task_names.below(position, self._names)]
        self._executors.repeated(inside, len(items))
        given = [dag_scope.with_defaults(component, {**inputs, item_input: item}) for item in items]
        pool = concurrent.futures.ThreadPoolExecutor(_at_once(task, len(items)))
        try:
            ended = [
                pool.submit(self._once, position, task, each, (*scope.iterations, number))
                for number, each in enumerate(given)
            ]
            return _collected([each.result() for each in ended], names)
        finally:
            # What is interrupted does not wait for tasks that nobody has ended yet.
            pool.shutdown(wait=False, cancel_futures=True)

    def _skip(self, position: Position, iterations: tuple[int, ...]) -> None:
        for name in task_names.below(position, self._names):
            self._executors.skipped(task_names.in_loop(name, iterations))

    def _refuse(self, position: Position, iterations: tuple[int, ...], error: str) -> Ended:
        """Fails what cannot begin: the task, or the first one of a DAG; the DAG's others are skipped."""
        first, *others = task_names.below(position, self._names)
        self._executors.refused(task_names.in_loop(first, iterations), error)
        for name in others:
            self._executors.skipped(task_names.in_loop(name, iterations))
        return Ended(State.FAILED, error=error)


def _in_order(tasks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns the names of tasks, each after all that it waits for; else in the order of the package.

    Raises:
        PackageError: They wait for each other.
    """
    order = graphlib.TopologicalSorter(dict.fromkeys(tasks, ()))
    for name, task in tasks.items():
        order.add(name, *(each for each in dag_scope.upstream(task) if each in tasks))
    try:
        return list(order.static_order())
    except graphlib.CycleError as error:
        raise PackageError(f"tasks wait for each other: {', '.join(error.args[1])}") from error


def _at_once(task: Mapping[str, Any], count: int) -> int:
    limit = int(task.get("iteratorPolicy", {}).get("parallelismLimit", 0)) or _PARALLEL
    return min(limit, _PARALLEL, count)


def _collected(ended: Sequence[Ended], names: set[str]) -> Ended:
    """Joins the iterations of a loop: their outputs are lists, in the items' order."""
    failed = next((each for each in ended if each.failed), None)
    if failed:
        return Ended(State.FAILED, error=failed.error)
    return Ended(
        State.SUCCEEDED,
        {name: [each.outputs[name] for each in ended if name in each.outputs] for name in names},
    )
