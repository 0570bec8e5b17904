"""A deployed package says what its training is made of: a commit that changes nothing of it has the same champion."""

import pytest

import repository_copy
from kfp_ct.deploy import version
from kfp_ct.local.run import compile_project
from kfp_ct.package import package
from kfp_ct.project import settings
from kfp_ct.project.workspace import Workspace, make_importable
from repository import ROOT


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONPATH", raising=False)
        root = repository_copy.make(tmp_path_factory.mktemp("copy"))
        make_importable(Workspace(ROOT, root))
        yield Workspace(root, root / ".ct")


@pytest.fixture(scope="module")
def compiled(workspace):
    return compile_project(workspace, settings.load(workspace, "flights", "prod", {}))


def code_version(compiled, workspace):
    return package.inputs(version.with_code_version(compiled, workspace))["code_version"]["defaultValue"]


@pytest.mark.parametrize(
    ("file", "same"),
    [
        ("pipelines/flights/model.py", False),
        ("components/train/work.py", False),
        (f"requirements/{version.IMAGE_LOCK}", False),
        ("kfp_ct/report/page.py", True),
        ("pipelines/flights/eval_config.pbtxt", True),
        ("requirements/components-older-glibc.txt", True),  # no image has it
    ],
)
def test_it_changes_with_the_training_only(workspace, compiled, file, same):
    before = code_version(compiled, workspace)
    path = workspace.root / file
    content = path.read_bytes()
    path.write_bytes(content + b"\nx==1\n")
    try:
        assert (code_version(compiled, workspace) == before) is same
    finally:
        path.write_bytes(content)


def test_runs_are_started_with_it_and_not_with_the_commit(workspace, compiled):
    told = version.started_with(version.with_code_version(compiled, workspace), {}, "abc", "abc", "test")
    assert "code_version" not in told
    assert told["lineage"]["commit"] == "abc"


def test_a_package_that_has_none_is_told_the_commit(compiled):
    assert version.started_with(compiled, {}, "abc", "abc", "test")["code_version"] == "abc"


def test_a_pipeline_without_training_stays_as_it_is(workspace):
    chosen = settings.load(workspace, "flights", "monitoring-local", {})
    compiled = compile_project(workspace, chosen)
    assert version.with_code_version(compiled, workspace) == compiled


def test_lineage_has_images_commit_and_who_started_the_run(workspace, compiled):
    image = f"r/c@sha256:{'0' * 64}"
    bound = package.bind_images(compiled, {"components": image})
    made = version.of_package(bound, settings.load(workspace, "flights", "prod", {}), "a" * 40)
    lineage = made.arguments("by hand")["lineage"]
    assert lineage["user"]
    assert {**lineage, "user": ""} == {
        "commit": "a" * 40, "version": "a" * 40, "cause": "by hand", "images": [image], "user": "",
    }  # fmt: skip
    assert "user" not in version.started_with(bound, {}, "a", "a", "schedule nightly")["lineage"]
    # KFP fills in a constant only where it is a placeholder and nothing else.
    register = bound["components"]["comp-condition-2"]["dag"]["tasks"]["register"]["inputs"]["parameters"]
    assert register["run_id"] == {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}
