"""The order of tasks: what waits for nothing runs as the package lists it, in every run."""

from kfp_ct.local.dag_run import DagRun
from kfp_ct.local.dag_scope import Ended
from kfp_ct.runs.events import State


class Order:
    """Executors that note in which order they are asked."""

    def __init__(self):
        self.names = []

    def execute(self, place, task, inputs):
        self.names.append(place.name)
        return Ended(State.SUCCEEDED)

    def refused(self, name, error):
        raise AssertionError(f"{name}: {error}")

    def skipped(self, name):
        raise AssertionError(f"{name} is skipped")

    def repeated(self, names, count):
        raise AssertionError(f"{names} is a loop")


def package_of(**waits):
    """A package of tasks of one component, each with those that it waits for."""
    tasks = {
        name: {"taskInfo": {"name": name}, "componentRef": {"name": "comp-any"}, "dependentTasks": others}
        for name, others in waits.items()
    }
    return {
        "pipelineInfo": {"name": "order"},
        "components": {"comp-any": {"executorLabel": "exec-any"}},
        "deploymentSpec": {"executors": {"exec-any": {}}},
        "root": {"dag": {"tasks": tasks}},
    }


def test_tasks_that_wait_for_none_run_in_the_packages_order():
    """kfp.local takes theirs from a map of protobuf's, which is another one in every process."""
    order = Order()
    DagRun(package_of(d=["b"], c=[], a=[], b=[]), order, {".pipeline_job_uuid": "run"}).run({})
    assert order.names == ["c", "a", "b", "d"]
