"""The local engine: real kfp.local, real task processes in the component environment."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from kfp import compiler, dsl

from kfp_ct.caching.package_versions import PackageVersions
from kfp_ct.caching.task_version import SourceVersions
from kfp_ct.local.engine import Engine
from kfp_ct.local.task_servers import TaskServers
from kfp_ct.package import package
from kfp_ct.project.environments import component_python
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs.events import State
from kfp_ct.runs.task_inputs import Lookup
from repository import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

IMAGE = "test-python:local"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def produce(text: str, out: dsl.Output[dsl.Dataset]) -> bool:
    import os

    print(f"summary: {len(text)} letters in process {os.getpid()}")
    with open(out.path, "w") as file:
        file.write(text)
    out.metadata["letters"] = len(text)
    return len(text) > 3


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def consume(data: dsl.Input[dsl.Dataset], how: str) -> str:
    import os
    import signal

    text = open(data.path).read()
    if how == "user error":
        from kfp_ct.base.errors import DataError, reported

        with reported():
            raise DataError("the text is too short\nexpected: more\nfix: write more")
    if how == "defect":
        raise ValueError(text)
    if how == "signal":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "slow":
        import time

        time.sleep(600)
    return text + os.environ.get("TMPDIR", "")


@dsl.pipeline(name="toy")
def toy(text: str = "hello", how: str = "fine"):
    made = produce(text=text)
    with dsl.If(made.outputs["Output"] == True, name="long enough"):  # noqa: E712
        consume(data=made.outputs["out"], how=how)


class Ears:
    def __init__(self):
        self.outcomes, self.lines, self.inputs, self.skipped = {}, [], {}, []

    def started(self, task, component):
        self.lines.append(("started", task))

    def resolved(self, task, inputs):
        self.inputs[task] = inputs

    def line(self, task, text):
        self.lines.append((task, text))

    def repeated(self, tasks, count):
        pass

    def ended(self, task, outcome):
        if outcome.state is State.SKIPPED:
            self.skipped.append(task)
        else:
            self.outcomes[task] = outcome


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    path = tmp_path_factory.mktemp("package") / "toy.yaml"
    compiler.Compiler().compile(toy, str(path))
    return package.load_package(path)


def made_of(compiled, home, root=ROOT):
    return PackageVersions(compiled, {}, SourceVersions(Workspace(root, home)))


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with TaskServers(component_python(), ROOT, tmp_path_factory.mktemp("servers") / "log") as running:
        yield running


@pytest.fixture
def run(compiled, servers, tmp_path):
    def _run(use_cache=True, **arguments):
        ears = Ears()
        engine = Engine(Workspace(ROOT, tmp_path), [ears], made_of(compiled, tmp_path), use_cache)
        ears.succeeded = engine.run(compiled, arguments, servers, tmp_path / "kfp.log")
        return ears

    return _run


def test_outputs_metadata_and_findings_reach_the_listeners(run):
    ears = run()
    assert ears.succeeded
    made = ears.outcomes["produce"]
    assert made.state is State.SUCCEEDED
    assert made.parameters == {"Output": True}
    assert made.artifacts["out"]["metadata"] == {"letters": 5}
    assert made.summary.startswith("5 letters")
    assert Path(made.artifacts["out"]["uri"]).read_text() == "hello"
    assert ears.outcomes["consume"].parameters["Output"].startswith("hello")


def test_unchanged_tasks_come_from_the_cache_with_their_finding(run):
    first, second = run(), run()
    assert [o.state for o in second.outcomes.values()] == [State.CACHED, State.CACHED]
    assert second.outcomes["produce"].summary == first.outcomes["produce"].summary
    assert run(use_cache=False).outcomes["produce"].state is State.SUCCEEDED
    assert run(text="other").outcomes["produce"].state is State.SUCCEEDED


def test_a_false_condition_skips_its_branch(run):
    ears = run(text="no")
    assert ears.succeeded
    assert list(ears.outcomes) == ["produce"]
    assert ears.skipped == ["consume"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        pytest.param("user error", "the text is too short\nexpected: more\nfix: write more", id="user-error"),
        pytest.param("defect", "ValueError: hello", id="defect"),
        pytest.param("signal", "killed by signal 9", id="signal"),
    ],
)
def test_a_failed_task_fails_the_run_and_says_why(run, how, said):
    ears = run(how=how)
    assert not ears.succeeded
    assert ears.outcomes["consume"].state is State.FAILED
    assert said in ears.outcomes["consume"].error


def test_a_failed_task_is_never_cached(run):
    assert not run(how="defect").succeeded
    again = run(how="defect")
    assert not again.succeeded
    assert again.outcomes["produce"].state is State.CACHED
    assert again.outcomes["consume"].state is State.FAILED


@pytest.mark.parametrize("below", ["t", "a folder whose name is longer than a socket's may be".ljust(100, ".")])
def test_tasks_leave_no_temporary_files_behind(below, compiled, tmp_path, monkeypatch):
    (tmp_path / below).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / below))
    ears, before = Ears(), set(Path("/tmp").glob(f"ct-tasks-{os.getpid()}-*"))
    with TaskServers(component_python(), ROOT, tmp_path / "log") as servers:
        folder = servers.environment["TMPDIR"]
        engine = Engine(Workspace(ROOT, tmp_path), [ears], made_of(compiled, tmp_path), False)
        assert engine.run(compiled, {}, servers, tmp_path / "kfp.log")
        assert ears.outcomes["consume"].parameters["Output"].endswith(folder)
    assert Path(folder).parent == tmp_path / below
    assert not Path(folder).exists()
    assert set(Path("/tmp").glob(f"ct-tasks-{os.getpid()}-*")) == before


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def boom(marker: str) -> int:
    raise ValueError("boom: this component always fails")


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def leave(marker: str) -> str:
    import os
    import pathlib

    pathlib.Path(marker).touch()
    return os.environ.get("GREETING", "not set")


@dsl.pipeline(name="boom")
def named_like_its_component(marker: str):
    left = leave(marker=marker)
    boom(marker=marker).after(left)


@dsl.pipeline(name="greeting")
def with_a_variable(marker: str):
    leave(marker=marker).set_env_variable("GREETING", "hello 'you' $HOME")


def carried_out(pipeline, tmp_path, **arguments):
    compiler.Compiler().compile(pipeline, str(tmp_path / "package.yaml"))
    ears, compiled = Ears(), package.load_package(tmp_path / "package.yaml")
    workspace = Workspace(ROOT, tmp_path)
    with TaskServers(component_python(), ROOT, tmp_path / "log") as servers:
        engine = Engine(workspace, [ears], made_of(compiled, tmp_path), False)
        return engine.run(compiled, arguments, servers, tmp_path / "kfp.log"), ears.outcomes


def test_a_pipeline_named_like_one_of_its_components_runs_whole_and_fails_where_that_fails(tmp_path):
    succeeded, outcomes = carried_out(named_like_its_component, tmp_path, marker=str(tmp_path / "ran"))
    assert not succeeded
    assert (tmp_path / "ran").exists()
    assert {name: each.state for name, each in outcomes.items()} == {"leave": State.SUCCEEDED, "boom": State.FAILED}
    assert "boom: this component always fails" in outcomes["boom"].error


def test_a_task_has_the_environment_variables_it_was_given(tmp_path):
    succeeded, outcomes = carried_out(with_a_variable, tmp_path, marker=str(tmp_path / "ran"))
    assert succeeded
    assert outcomes["leave"].parameters["Output"] == "hello 'you' $HOME"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def answer(module: str, out: dsl.Output[dsl.Dataset], edit: str = "") -> str:
    import pathlib

    import shared_code

    from kfp_ct.data.user_code import load_module

    if edit:
        pathlib.Path(edit).write_text("ANSWER = 'edited'")
    text = load_module(module).ANSWER + shared_code.MARK
    pathlib.Path(out.path).write_text(text)
    return text


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def choose(name: str) -> str:
    return f"{name}rd"


@dsl.pipeline(name="answers")
def answers(edit: str = ""):
    answer(module="first")
    second = answer(module="second", edit=edit)
    chosen = choose(name="thi")
    answer(module=chosen.output).after(second)


class Answers:
    """A repository whose pipeline has three tasks of one component, each with a module of its own."""

    def __init__(self, root):
        self.root, self.home = root, root / ".ct"
        self.servers = TaskServers(component_python(ROOT), root, root / "log")
        for name in ("first", "second", "third"):
            (root / f"{name}.py").write_text(f"ANSWER = '{name}'")
        (root / "shared_code.py").write_text("MARK = '!'")
        compiler.Compiler().compile(answers, str(root / "package.yaml"))
        self.compiled = package.load_package(root / "package.yaml")

    def run(self, **arguments):
        ears, workspace = Ears(), Workspace(self.root, self.home)
        versions = PackageVersions(self.compiled, arguments, SourceVersions(workspace))
        engine = Engine(workspace, [ears], versions)
        ears.succeeded = engine.run(self.compiled, arguments, self.servers, self.root / "kfp.log")
        return ears

    def ran(self, **arguments):
        return {name for name, each in self.run(**arguments).outcomes.items() if each.state is not State.CACHED}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    # The component environment of this repository serves the other one.
    monkeypatch.setenv("CT_COMPONENT_PYTHON", str(component_python(ROOT)))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    made = Answers(tmp_path)
    with made.servers:
        yield made


def test_each_task_of_one_component_reruns_for_its_own_module(repository):
    first = repository.run()
    answered = {name: each.parameters["Output"] for name, each in first.outcomes.items()}
    assert answered == {"answer": "first!", "answer-2": "second!", "choose": "third", "answer-3": "third!"}
    assert repository.ran() == set()
    (repository.root / "second.py").write_text("ANSWER = 'changed'")
    again = repository.run()
    assert {name for name, each in again.outcomes.items() if each.state is not State.CACHED} == {"answer-2"}
    assert again.outcomes["answer-2"].parameters["Output"] == "changed!"


def test_a_module_that_only_the_run_names_counts(repository):
    repository.run()
    (repository.root / "third.py").write_text("ANSWER = 'changed'")
    again = repository.run()
    assert {name for name, each in again.outcomes.items() if each.state is not State.CACHED} == {"answer-3"}
    assert again.outcomes["answer-3"].parameters["Output"] == "changed!"


def test_what_every_task_imports_reruns_every_task(repository):
    repository.run()
    (repository.root / "shared_code.py").write_text("MARK = '?'")
    assert repository.ran() == {"answer", "answer-2", "answer-3"}


def test_what_no_task_imports_reruns_none(repository):
    repository.run()
    (repository.root / "fourth.py").write_text("ANSWER = ''")
    (repository.root / "first.py").write_text("# why\nANSWER = 'first'")
    assert repository.ran() == set()


def test_a_deleted_artifact_is_a_miss_that_says_so(repository):
    first = repository.run()
    uri = first.outcomes["answer"].artifacts["out"]["uri"]
    Path(uri).unlink()
    again = repository.run()
    assert again.inputs["answer"].lookup is Lookup.DELETED
    assert again.inputs["answer"].deleted == uri
    assert again.outcomes["answer"].state is State.SUCCEEDED
    assert again.inputs["answer-2"].lookup is Lookup.HIT


def test_a_step_does_not_begin_with_sources_that_changed_during_the_run(repository):
    """The second task edits what the third imports: what that would do is not what the run began with."""
    ears = repository.run(edit=str(repository.root / "shared_code.py"))
    assert not ears.succeeded
    failed = ears.outcomes["answer-3"]
    assert failed.state is State.FAILED
    assert "shared_code.py changed after the run had begun" in failed.error
    assert "fix: run again" in failed.error


def test_what_a_change_overlapped_is_not_kept(repository):
    """A task that ran while its module was edited may have read either state: the cache keeps neither."""
    edit = str(repository.root / "second.py")
    first = repository.run(edit=edit)
    assert first.outcomes["answer-2"].parameters["Output"] == "edited!"
    (repository.root / "second.py").write_text("ANSWER = 'second'")
    assert repository.run(edit=edit).inputs["answer-2"].lookup is Lookup.MISS


KILLED_RUN = """
import sys, pathlib
from kfp_ct.caching.package_versions import PackageVersions
from kfp_ct.caching.task_version import SourceVersions
from kfp_ct.package import package
from kfp_ct.project.environments import component_python
from kfp_ct.local.engine import Engine
from kfp_ct.local.task_servers import TaskServers
from kfp_ct.project.workspace import Workspace
home, ROOT = pathlib.Path(sys.argv[1]), pathlib.Path.cwd()
with TaskServers(component_python(), ROOT, home / "log") as servers:
    compiled = package.load_package(home / "p.yaml")
    workspace = Workspace(ROOT, home)
    made_of = PackageVersions(compiled, {}, SourceVersions(workspace))
    Engine(workspace, [], made_of).run(compiled, {"how": "slow"}, servers, home / "kfp.log")
"""


def test_killing_a_run_ends_its_tasks(compiled, tmp_path):
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(compiled))
    process = subprocess.Popen([sys.executable, "-c", KILLED_RUN, str(tmp_path)], cwd=ROOT)
    try:
        wait_for(lambda: tasks_mentioning(tmp_path, "consume"))
    finally:
        process.kill()
        process.wait()
    wait_for(lambda: not tasks_mentioning(tmp_path, ""))


def tasks_mentioning(home: Path, text: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(home / "artifacts") in command and text in command:
            found.append(int(entry.name))
    return found


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
