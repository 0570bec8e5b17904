"""Pipelines that nobody wrote: states and outputs are those of the definition, and of plain kfp.local.

GENERATED=500 pytest tests/unit/local/test_generated_pipelines.py --hypothesis-seed=1
"""

import builtins
import contextlib
import io
import os
import tempfile
from pathlib import Path

import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, Phase, given, settings
from kfp import compiler, local
from kfp.local import pipeline_orchestrator, status, subprocess_task_handler
from kfp.pipeline_spec import pipeline_spec_pb2

import generated_pipelines
from kfp_ct.caching.package_versions import PackageVersions
from kfp_ct.caching.task_version import NoVersions
from kfp_ct.local.engine import Engine
from kfp_ct.package import check, package
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import record

pytestmark = pytest.mark.filterwarnings("ignore")
EXAMPLES = int(os.environ.get("GENERATED", "12"))


def ours(compiled, folder):
    workspace = Workspace(folder, folder / "home")
    run = record.Run("1", "say", "", "say", {}, "", "", {}, "", os.getpid(), record.now())
    run.tasks = record.tasks(compiled)
    (folder / "logs").mkdir()
    engine = Engine(workspace, [record.Recorder(run, folder)], PackageVersions(compiled, {}, NoVersions()), False)
    succeeded = engine.run(compiled, {}, generated_pipelines.InProcess(), folder / "log")
    states = {task.name: str(task.state) for task in run.tasks if not task.name.startswith("inner")}
    return succeeded, engine.ended.outputs.get("Output"), states


def plain(compiled, folder):
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder / "plain"))
    spec = json_format.ParseDict(compiled, pipeline_spec_pb2.PipelineSpec())
    with print_kept(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return True, pipeline_orchestrator.run_local_pipeline(spec, {}).get("Output")
        except RuntimeError:
            return False, None


@contextlib.contextmanager
def print_kept():
    """kfp.local indents what is printed; where loops run side by side it wraps its own print, once more each time."""
    kept = builtins.print
    try:
        yield
    finally:
        builtins.print = kept


@pytest.fixture(autouse=True)
def _tasks_in_this_process(monkeypatch):
    def run(self):
        code = generated_pipelines.run_here(self.full_command)
        return status.Status.SUCCESS if code == 0 else status.Status.FAILURE

    monkeypatch.setattr(subprocess_task_handler.SubprocessTaskHandler, "run", run)


@given(generated_pipelines.pipelines())
@settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a pipeline takes too long to try hundreds that are smaller
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_states_and_outputs_are_those_of_the_definition_and_of_kfp_local(nodes):
    pipeline, names = generated_pipelines.pipeline_of(nodes)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        compiler.Compiler().compile(pipeline, str(folder / "package.yaml"))
        compiled = package.load_package(folder / "package.yaml")
        assert check.problems(compiled) == []
        succeeded, output, states = ours(compiled, folder)
        definition = generated_pipelines.Definition(names)
        assert (succeeded, output) == definition.run(nodes)
        told = {name: state for name, state in states.items() if name in definition.states}
        assert told == {name: definition.states[name] for name in told}
        assert set(definition.states) <= set(states)
        assert set(states.values()) <= {"SUCCEEDED", "FAILED", "SKIPPED"}
        if not generated_pipelines.differs_in_kfp_local(nodes):
            assert (succeeded, output) == plain(compiled, folder)
