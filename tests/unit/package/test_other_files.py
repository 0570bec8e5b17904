"""A file that is no package is refused by what it is, with the way to a package; by `ct` and by the endpoint alike."""

import json

import pytest

from kfp_ct.base.errors import PackageError
from kfp_ct.endpoint.store import packages
from kfp_ct.endpoint.store.faults import Fault
from kfp_ct.package import package

COMPONENT = """name: upload_model
inputs: [{name: project, type: String}]
implementation: {container: {image: gcr.io/ml-pipeline/x:1, args: [--project, {inputValue: project}]}}
"""
JOB = json.dumps({"pipelineSpec": {"pipelineInfo": {"name": "p"}, "root": {}, "schemaVersion": "2.0.0"}})
WORKFLOW = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {entrypoint: main}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            COMPONENT, "the definition of a component.*load_component_from_file", id="component.yaml of kfp 1"
        ),
        pytest.param(JOB, "a job of Vertex AI Pipelines.*compile the pipeline with kfp 2", id="job of kfp 1.8"),
        pytest.param(WORKFLOW, "a workflow of Argo.*compile the pipeline with kfp 2", id="workflow of kfp 1"),
        pytest.param("steps: []", "is no compiled pipeline.*`ct compile`", id="another YAML"),
        pytest.param("[1, 2]", "is no compiled pipeline.*`ct compile`", id="a list"),
        pytest.param("", "is no compiled pipeline.*`ct compile`", id="nothing"),
    ],
)
def test_a_refusal_says_what_the_file_is(tmp_path, text, said):
    path = tmp_path / "given.yaml"
    path.write_text(text)
    with pytest.raises(PackageError, match=f"(?s)given.yaml is {said.removeprefix('is ')}"):
        package.load_package(path)
    with pytest.raises(Fault, match=f"(?s)given.yaml is {said.removeprefix('is ')}"):
        packages.read(text.encode(), "given.yaml")
