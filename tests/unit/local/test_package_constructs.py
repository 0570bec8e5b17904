"""Every construct of kfp's compiler: a package with it is taken, and its state and outputs are plain kfp.local's."""

import builtins
import contextlib
import io

import pytest
from google.protobuf import json_format
from kfp import compiler, local
from kfp.local import pipeline_orchestrator, status, subprocess_task_handler
from kfp.pipeline_spec import pipeline_spec_pb2

import generated_pipelines
import package_constructs
from kfp_ct.caching.package_versions import PackageVersions
from kfp_ct.caching.task_version import NoVersions
from kfp_ct.local.engine import Engine
from kfp_ct.package import check, clear_secrets, package, processes
from kfp_ct.project.workspace import Workspace

pytestmark = pytest.mark.filterwarnings("ignore")

TRAINED = "['m', 'm'] m True 0.5 {'A': 1, 'B': 2} ['a', 'b'] 100"
DOUBLES = "kfp.local hands whole numbers in lists and objects on as floats; a backend does not"
OPTIONAL = "kfp.local refuses null"
NO_JSON = "a backend reads no NaN and no infinity in what a task leaves; kfp.local does, or stops with a traceback"
NESTED_ARTIFACTS = "kfp.local hands no artifact to a nested pipeline"
# Where plain kfp.local fails or differs from a backend: why, and what comes out by KFP's definition.
BY_DEFINITION = {
    "artifacts_collected_in_loops": (
        "kfp.local has no lists of lists of artifacts",
        {"Output": "x-s1,y-s1,z-s1,x-s2,y-s2,z-s2"},
    ),
    "branches_in_a_loop": (DOUBLES, {"Output": 12}),
    "collected_from_nested_pipelines": (DOUBLES, {"total": 36, "letters": '["m", "a", "t", "h"]'}),
    "collected_in_later_loops": (DOUBLES, {"Output": 72}),
    "collected_under_a_condition": ("kfp.local fails on a branch that one iteration skips", {"Output": [4, 6]}),
    "defaults_of_all_types": (DOUBLES, {"Output": '01.0false10995116277761e-07|[1, "a", {"b": [true, 0.5]}]|0'}),
    "empty_loops": ("kfp.local has no outputs of a loop over nothing", {"names": [], "count": 0}),
    "infinite_parameter": (NO_JSON, {}),
    "large_whole_numbers": (DOUBLES, {"Output": str(2**53 + 1)}),
    "lists_of_artifacts": (
        "kfp.local fails on a branch that one iteration skips",
        {
            "sum": "12|30|None",
            "all": [{"type": "system.Dataset", "metadata": {}, "text": each} for each in ("2", "4", "6")],
        },
    ),
    "loaded_from_packages": (NESTED_ARTIFACTS, {"text": "Hel", "whole": "ab"}),
    "loops_over_artifacts": (DOUBLES, {"each": ["Hello5", ",1", "world!6"], "joined": "Hello,,,world!"}),
    "loops_and_conditions": ("kfp.local fails on loops in a loop", {"Output": "heads"}),
    "nan_metric": (NO_JSON, {}),
    "nan_parameter": (NO_JSON, {}),
    "numbers_in_conditions": (
        "kfp.local fails on branches in branches that are skipped",
        {"Output": "7 > 5|None|None"},
    ),
    "one_of_artifacts": (
        "kfp.local has no dsl.OneOf of artifacts",
        {
            "first": "was heads9",
            "second": "was tails9",
            "whole": {"type": "system.Dataset", "metadata": {"length": 9}, "text": "was tails"},
        },
    ),
    "optional_artifacts": (
        NESTED_ARTIFACTS,
        {"imported": "gs://bucket/shakespeare.txt", "nothing": "none", "handed": "none"},
    ),
    "optional_inputs": (OPTIONAL, {"Output": "default|None|None"}),
    "optional_inputs_of_a_nested_pipeline": (
        OPTIONAL,
        {"nil": "default|None|None", "given": "default|x|None", "handed": "default|None|None"},
    ),
    "outputs_by_path": (
        DOUBLES,
        {
            "text": TRAINED,
            "model": {"type": "system.Model", "metadata": {"accuracy": 0.9, "framework": "none"}, "text": TRAINED},
        },
    ),
    "parallelism": ("kfp.local fails on loops in a loop", {"Output": [2, 4]}),
    "placeholders_of_the_run": ("kfp.local has no time of creation", {"Output": '{"task": "as-json"}'}),
    "resources_of_other_tasks": (DOUBLES, {"Output": 3}),
    "returned_artifacts": (
        NESTED_ARTIFACTS,
        {"first": {"type": "system.Dataset", "metadata": {"of": 12}, "text": "Hel"}, "text": "lo, world"},
    ),
    "texts_made_of_values": (
        "kfp.local fails on a loop's item beside an input",
        {"Output": '["Hello KFP", "3"]|{"n": ["3", {"deep": "Hello KFP"}], "x": "How are you, KFP?"}|None'},
    ),
}


@pytest.fixture(autouse=True)
def _tasks_in_this_process(monkeypatch):
    def run(self):
        code = generated_pipelines.run_here(self.full_command)
        return status.Status.SUCCESS if code == 0 else status.Status.FAILURE

    # kfp.local indents what is printed, and where loops run side by side it does not undo that.
    monkeypatch.setattr(builtins, "print", builtins.print)
    monkeypatch.setattr(subprocess_task_handler.SubprocessTaskHandler, "run", run)


def ours(compiled, folder):
    engine = Engine(Workspace(folder, folder / "home"), [], PackageVersions(compiled, {}, NoVersions()), False)
    succeeded = engine.run(compiled, {}, generated_pipelines.InProcess(), folder / "log")
    return succeeded, engine.ended.outputs, engine.ended.error


def plain(compiled, folder):
    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=str(folder / "plain"),
        workspace_root=str(folder / "workspace"),
    )
    document = {name: part for name, part in compiled.items() if name != package.PLATFORMS}
    spec = json_format.ParseDict(document, pipeline_spec_pb2.PipelineSpec())
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return True, pipeline_orchestrator.run_local_pipeline(spec, {}), ""
        except (RuntimeError, ValueError) as error:
            return False, {}, str(error)


@pytest.mark.parametrize("name", sorted(package_constructs.PIPELINES))
def test_a_construct_is_taken_and_runs_as_in_kfp_local(name, tmp_path):
    compiler.Compiler().compile(package_constructs.PIPELINES[name](), str(tmp_path / "package.yaml"))
    compiled = package.load_package(tmp_path / "package.yaml")
    assert check.problems(compiled) == []
    assert clear_secrets.problems(compiled) == []
    assert list(processes.problems(compiled)) == []
    succeeded, outputs, error = ours(compiled, tmp_path)
    assert succeeded is (name not in package_constructs.FAILING), error
    if name in BY_DEFINITION:
        assert package_constructs.contents_of(outputs) == BY_DEFINITION[name][1]
        return
    expected, expected_outputs, _ = plain(compiled, tmp_path)
    assert succeeded is expected
    assert package_constructs.contents_of(outputs) == package_constructs.contents_of(expected_outputs)
