"""Compiling: pure, deterministic, checked by the backend's rules; the DAG has a golden file."""

import copy
import importlib
import json
import os
from pathlib import Path

import pytest
import yaml
from kfp import compiler

from kfp_ct.base.errors import PackageError, UsageError
from kfp_ct.package import check, package
from kfp_ct.runs import record
from repository import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

GOLDEN = Path(__file__).parent / "golden"
PIPELINES = sorted(path.stem for path in (ROOT / "pipelines").glob("*.py") if path.stem != "__init__")
DIGEST = "registry.example/ct/components@sha256:" + "a" * 64


@pytest.fixture(scope="module")
def compiled():
    return package.compile_pipeline("pipelines.training", "flights-training")


def outline(compiled):
    """Tasks, edges and inputs: what a reviewer should see change."""
    return {
        "inputs": {name: item["parameterType"] for name, item in package.inputs(compiled).items()},
        "tasks": {task.name: task.upstream for task in record.tasks(compiled)},
    }


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_dag_is_the_golden_one(pipeline):
    compiled = package.compile_pipeline(f"pipelines.{pipeline}", "golden")
    golden = GOLDEN / f"{pipeline}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(yaml.safe_dump(outline(compiled)))
    assert check.check(compiled)
    assert outline(compiled) == yaml.safe_load(golden.read_text()), "review, then: UPDATE_GOLDEN=1 make test"


def test_nothing_is_registered_or_deployed_outside_the_blessed_branch(compiled):
    assert {"register", "deploy"}.isdisjoint(compiled["root"]["dag"]["tasks"])
    condition = compiled["root"]["dag"]["tasks"]["condition-1"]["triggerPolicy"]["condition"]
    assert condition == "inputs.parameter_values['pipelinechannel--evaluate-Output'] == true"
    assert {"register", "deploy"}.isdisjoint(compiled["components"]["comp-condition-1"]["dag"]["tasks"])
    condition = compiled["components"]["comp-condition-1"]["dag"]["tasks"]["condition-2"]["triggerPolicy"]["condition"]
    assert condition == "inputs.parameter_values['pipelinechannel--validate-infra-Output'] == true"


def test_images_are_bound_by_digest(compiled):
    with pytest.raises(PackageError, match="is not named by digest"):
        check.check(compiled, digests=True)
    bound = package.bind_images(compiled, {"components": DIGEST})
    assert check.check(bound, digests=True) == 13
    assert package.dump(bound).count(DIGEST) == 13


def test_binding_an_image_nobody_uses_is_an_error(compiled):
    with pytest.raises(UsageError, match="no component of this package runs in the image servers"):
        package.bind_images(compiled, {"servers": DIGEST})


def test_defaults_come_from_the_settings(compiled):
    changed = package.with_defaults(compiled, {"model_name": "m"})
    assert package.inputs(changed)["model_name"]["defaultValue"] == "m"
    assert "defaultValue" not in package.inputs(compiled)["model_name"]


def rename(p):
    p["pipelineInfo"]["name"] = "Bad_Name"


def lose_component(p):
    del p["components"]["comp-train"]


def dangle(p):
    p["root"]["dag"]["tasks"]["train"]["dependentTasks"].append("nobody")


def unknown_output(p):
    p["root"]["dag"]["tasks"]["train"]["inputs"]["artifacts"]["examples"]["taskOutputArtifact"]["outputArtifactKey"] = (
        "x"
    )


def lose_input(p):
    del p["root"]["dag"]["tasks"]["train"]["inputs"]["artifacts"]["examples"]


def empty(p):
    p["deploymentSpec"]["executors"] = {}


def no_tasks(p):
    p["root"]["dag"]["tasks"] = {}


def old_schema(p):
    p["schemaVersion"] = "2.0.0"


def unknown_field(p):
    p["surprise"] = 1


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (rename, "pipelineInfo.name 'Bad_Name'"),
        (lose_component, "component 'comp-train' is not in the package"),
        (dangle, "depends on 'nobody'"),
        (unknown_output, "task 'ingest' has no output 'x'"),
        (lose_input, "its input 'examples' is not given"),
        (empty, "it has no executors"),
        (no_tasks, "root: has no tasks"),
        (old_schema, "schemaVersion is '2.0.0'"),
        (unknown_field, "not a PipelineSpec"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_the_check_says_no(compiled, damage, said):
    damaged = copy.deepcopy(compiled)
    damage(damaged)
    with pytest.raises(PackageError, match="would refuse") as refused:
        check.check(damaged)
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["", "a: [", "{}", "a: 1\n---\nb: 2\n", "\x00"])
def test_what_is_no_package_is_one_message(tmp_path, text):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(PackageError):
        package.load_package(tmp_path / "p.yaml")


@pytest.mark.parametrize(
    ("pipeline", "name", "said"),
    [
        ("pipelines.nowhere", "x", "there is no pipeline module"),
        ("pipelines.flights", "x", "has no pipeline flights"),
        ("pipelines.training", "Bad_Name", "is no pipeline name"),
    ],
)
def test_what_cannot_be_compiled_is_one_message(pipeline, name, said):
    with pytest.raises(UsageError, match=said):
        package.compile_pipeline(pipeline, name)


WITH_WORKSPACE = """
from kfp import dsl

@dsl.component(base_image="python:3.11", install_kfp_package=False)
def put(folder: str) -> str:
    return folder

@dsl.pipeline(name="kept", pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi")))
def kept():
    put(folder=dsl.WORKSPACE_PATH_PLACEHOLDER)
"""


def test_a_pipeline_with_a_workspace_is_taken_by_the_check_of_what_was_compiled(tmp_path, monkeypatch):
    (tmp_path / "kept.py").write_text(WITH_WORKSPACE)
    monkeypatch.syspath_prepend(tmp_path)
    package.write_package(package.compile_pipeline("kept", "kept"), tmp_path / "kept.yaml")
    written = package.load_package(tmp_path / "kept.yaml")
    assert check.problems(written) == []
    assert written[package.PLATFORMS]["kubernetes"]["pipelineConfig"]["workspace"]["size"] == "1Gi"
    (task,) = written["root"]["dag"]["tasks"].values()
    assert task["inputs"]["parameters"]["folder"]["runtimeValue"]["constant"] == "{{$.workspace_path}}"


def test_a_package_is_replaced_whole_or_not_at_all(compiled, tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("before")
    unserialisable = {**compiled, "x": object()}
    with pytest.raises(yaml.YAMLError):
        package.write_package(unserialisable, path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_the_tasks_that_run_a_module_of_keras_2_say_so_to_tensorflow(compiled):
    variable = {"name": "TF_USE_LEGACY_KERAS", "value": "1"}
    changed = package.with_keras(compiled, 2)
    executors = changed["deploymentSpec"]["executors"]
    assert {name for name, each in executors.items() if variable in each["container"].get("env", [])} == {
        "exec-transform", "exec-tune", "exec-train",
    }  # fmt: skip
    assert "env" not in compiled["deploymentSpec"]["executors"]["exec-train"]["container"]
    assert package.with_keras(changed, 2) == changed


SMALL = """
from kfp import dsl

@dsl.component
def step(rate: float, count: int, names: list) -> str:
    return ""

@dsl.pipeline(name="small")
def small_numbers(rate: float = 1e-05, count: int = 3, names: list = ["\u00e9", "1e-05", "no"], whole: float = 2.0):
    "What it is for."
    step(rate=rate, count=count, names=names)
"""


@pytest.mark.parametrize("pipeline", ["pipelines.training", "small_numbers"])
def test_it_is_what_kfp_writes_as_yaml(pipeline, tmp_path, monkeypatch):
    (tmp_path / "small_numbers.py").write_text(SMALL)
    monkeypatch.syspath_prepend(tmp_path)
    written = tmp_path / "package.yaml"
    function = getattr(importlib.import_module(pipeline), pipeline.rpartition(".")[2])
    compiler.Compiler().compile(function, str(written), pipeline_name="flights")
    compiled = package.compile_pipeline(pipeline, "flights")
    assert json.dumps(compiled, sort_keys=True) == json.dumps(package.load_package(written), sort_keys=True)
