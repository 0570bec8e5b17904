"""A pipeline that needs an artifact, or the status of a task, cannot be run by itself: said before anything starts."""

import pytest

from kfp_ct.package import arguments

DATASET = {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}


@pytest.mark.parametrize(
    ("definition", "count"), [(DATASET, 1), ({**DATASET, "isOptional": True}, 0)], ids=["required", "optional"]
)
def test_a_required_artifact_is_named(definition, count):
    package = {"root": {"inputDefinitions": {"artifacts": {"data": definition}}}}
    found = [str(problem) for problem in arguments.problems(package, {})]
    assert len(found) == count
    assert all(each.startswith("data is an artifact, which no run can be given") for each in found)


def test_the_status_of_a_task_is_given_to_exit_tasks_only():
    status = {"parameterType": "TASK_FINAL_STATUS", "isOptional": True}
    package = {"root": {"inputDefinitions": {"parameters": {"status": status}}}}
    (found,) = arguments.problems(package, {})
    assert str(found).startswith("status is the final status of a task, which only an exit task is given")
    assert arguments.problems(package, {"status": {"state": "SUCCEEDED"}}) == []
