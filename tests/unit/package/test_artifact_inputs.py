"""A pipeline that must be given an artifact cannot be run by itself: said before anything starts."""

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
