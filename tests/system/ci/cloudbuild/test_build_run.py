"""`ct build` runs a configuration as Cloud Build does: order, failure, timeouts, secrets; never green for nothing."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from rich.console import Console

from ct_command import command_line, ct
from kfp_ct.ci.cloudbuild import build as builder
from kfp_ct.project.workspace import Workspace
from repository import ROOT

HERE = "--no-containers"


class Place:
    """A folder with sources and a cloudbuild.yaml, and the builds made of it."""

    def __init__(self, path):
        self.source, self.home = path / "source", path / "home"
        self.source.mkdir()
        (self.source / "data.txt").write_text("data\n")

    def write(self, text):
        (self.source / "cloudbuild.yaml").write_text(text)

    def build(self, text, *options):
        self.write(text)
        return ct(self.home, "build", "--source", str(self.source), HERE, *options)

    @property
    def record(self):
        (path,) = (self.home / "builds").glob("*/build.json")
        return json.loads(path.read_text())

    @property
    def statuses(self):
        return {step["label"]: step["status"] for step in self.record["steps"]}

    def log(self, index):
        (path,) = (self.home / "builds").glob(f"*/logs/{index:02}-*.log")
        return path.read_text()


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_steps_run_in_order_in_a_scratch_copy(place):
    done = place.build("""
steps:
- {id: first, name: debian, args: [sh, -c, 'cat data.txt && echo made > /workspace/made.txt']}
- {id: second, name: debian, dir: sub, script: 'cat ../made.txt; pwd'}
""")
    assert done.code == 0, done.out
    assert place.statuses == {"first": "SUCCESS", "second": "SUCCESS"}
    assert place.log(0) == "data\n"
    assert place.log(1).startswith("made\n")
    assert not (place.source / "made.txt").exists()
    assert "SUCCESS" in done.out


def test_steps_that_wait_for_nothing_run_at_the_same_time(place):
    # Each waits until the other is there: one after the other they would never end.
    meet = "touch $0; for i in $(seq 300); do [ -e $1 ] && exit 0; sleep 0.1; done; exit 1"
    done = place.build(f"""
steps:
- {{id: a, name: debian, args: [sh, -c, '{meet}', a, b]}}
- {{id: b, name: debian, waitFor: ['-'], args: [sh, -c, '{meet}', b, a]}}
- {{id: c, name: debian, waitFor: [a], args: [ls, a]}}
""")
    assert done.code == 0, done.out
    assert set(place.statuses.values()) == {"SUCCESS"}


def test_a_failed_step_ends_the_build_and_what_runs_with_it(place):
    done = place.build("""
steps:
- {id: slow, name: debian, args: [sleep, '60']}
- {id: bad, name: debian, waitFor: ['-'], script: 'echo the reason; exit 7'}
- {id: after, name: debian, args: [touch, never]}
""")
    assert done.code == 4
    assert place.statuses == {"slow": "CANCELLED", "bad": "FAILURE", "after": "QUEUED"}
    assert "bad: exit code 7" in done.out
    assert "│ the reason" in done.out


def test_a_step_may_be_allowed_to_fail(place):
    step = "- {{id: {}, name: debian, script: 'exit {}', {}}}\n"
    text = "steps:\n" + step.format("any", 3, "allowFailure: true") + step.format("listed", 4, "allowExitCodes: [4]")
    assert place.build(text + "- {id: last, name: debian, args: ['true']}\n").code == 0
    assert place.statuses == {"any": "FAILURE", "listed": "FAILURE", "last": "SUCCESS"}


def test_the_list_of_exit_codes_decides_over_allow_failure(place):
    done = place.build("steps: [{name: debian, script: 'exit 5', allowFailure: true, allowExitCodes: [4]}]")
    assert done.code == 4


def test_a_step_and_a_build_that_take_too_long_are_stopped(place):
    assert place.build("steps: [{name: debian, args: [sleep, '60'], timeout: 1s}]").code == 4
    assert place.record["steps"][0]["detail"] == "took longer than 1 s"
    assert place.statuses == {"step-0": "TIMEOUT"}


def test_a_build_that_takes_too_long_is_stopped(place):
    assert place.build("steps: [{name: debian, args: [sleep, '60']}]\ntimeout: 1s").code == 4
    assert place.record["status"] == "TIMEOUT"
    assert place.statuses == {"step-0": "CANCELLED"}


def test_a_tool_that_is_not_there_is_never_green(place):
    done = place.build("""
steps:
- {id: missing, name: gcr.io/cloud-builders/bazel, args: [build]}
- {id: after, name: debian, args: ['true']}
- {id: apart, name: debian, waitFor: ['-'], args: ['true']}
""")
    assert done.code == 5
    assert place.statuses == {"missing": "NOT_RUN", "after": "NOT_RUN", "apart": "SUCCESS"}
    assert "bazel is not installed on this machine" in done.out
    assert "waits for missing, which did not run" in done.out
    assert place.record["status"] == "INCOMPLETE"


def test_an_engine_that_does_not_answer_is_never_green(place, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setenv("CONTAINER_HOST", "unix:///nowhere/podman.sock")
    text = "steps: [{name: gcr.io/cloud-builders/docker, args: [build, .]}]"
    assert place.build(text).code == 5
    assert "no container engine answers" in place.record["steps"][0]["detail"]


def test_images_that_cannot_be_pushed_are_never_green(place, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setenv("CONTAINER_HOST", "unix:///nowhere/podman.sock")
    assert place.build("steps: [{name: debian, args: ['true']}]\nimages: [registry/app]").code == 5


def test_secrets_come_from_the_environment_and_are_nowhere_to_be_read(place, monkeypatch):
    text = """
steps: [{name: debian, script: 'echo "token is $TOKEN"', secretEnv: [TOKEN]}]
availableSecrets: {secretManager: [{versionName: projects/p/secrets/t/versions/1, env: TOKEN}]}
"""
    refused = place.build(text)
    assert refused.code == 2
    assert "the secret TOKEN has no value" in refused.err
    assert not list((place.home / "builds").glob("*")), "nothing was begun"
    monkeypatch.setenv("TOKEN", "hunter2")
    assert place.build(text).code == 0
    assert place.log(0) == "token is ********\n"
    assert "hunter2" not in json.dumps(place.record)


def test_substitutions_are_replaced_and_a_misspelt_one_stops_everything(place):
    text = """
steps: [{name: debian, args: [echo, '${_NAME} $$HOME ${_NAME^^} $PROJECT_ID']}]
substitutions: {_NAME: app}
"""
    assert place.build(text, "--substitutions", "_NAME=other", "--project", "p1").code == 0
    assert place.log(0) == "other $HOME OTHER p1\n"


@pytest.mark.parametrize("key", ["_NAEM", "_WHOLLY_DIFFERENT"])
def test_a_misspelt_substitution_is_refused_before_any_step(place, key):
    done = place.build(f"steps: [{{name: debian, args: [touch, '${key}']}}]\nsubstitutions: {{_NAME: app}}")
    assert done.code == 2
    assert key in done.err
    assert not (place.home / "builds").exists() or not list((place.home / "builds").glob("*"))


def test_volumes_carry_files_from_step_to_step(place):
    volume = "volumes: [{name: vol, path: /data}]"
    done = place.build(f"""
steps:
- {{name: debian, args: [sh, -c, 'echo kept > /data/file'], {volume}}}
- {{name: debian, args: [cat, /data/file], {volume}}}
""")
    assert done.code == 0, done.out
    assert place.log(1) == "kept\n"


THREE = "steps:\n" + "".join(
    f"- {{id: {name}, name: debian, args: [echo, {name}]}}\n" for name in ("one", "two", "three")
)


@pytest.mark.parametrize(
    ("options", "statuses"),
    [(("--only", "two"), ["SKIPPED", "SUCCESS", "SKIPPED"]), (("--from", "two"), ["SKIPPED", "SUCCESS", "SUCCESS"])],
)
def test_a_part_of_a_build_can_be_run(place, options, statuses):
    assert place.build(THREE, *options).code == 0
    assert list(place.statuses.values()) == statuses


def test_a_step_that_is_not_there_cannot_be_chosen(place):
    done = place.build(THREE, "--only", "four")
    assert done.code == 2
    assert "expected: one of one, two, three" in done.err


def heeding_ctrl_c():
    """A process that was started in the background of a shell ignores it, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_everything_it_started(place, number):
    place.write("steps: [{id: slow, name: debian, args: [sh, -c, 'sleep 601 & echo $! > pid; wait']}]")
    command = command_line("build", "--source", str(place.source), HERE)
    environment = {**os.environ, "CT_HOME": str(place.home)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, preexec_fn=heeding_ctrl_c)
    deadline = time.monotonic() + 60
    while not (found := list((place.home / "builds").glob("*/workspace/pid"))) or not found[0].read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child = int(found[0].read_text())
    process.send_signal(number)
    assert process.wait(120) == 130
    assert place.statuses == {"slow": "CANCELLED"}
    assert place.record["status"] == "CANCELLED"
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z", "the step's child goes on"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_that_comes_while_a_step_is_started_stops_that_step_too(place, number, monkeypatch):
    place.write("steps: [{id: slow, name: debian, args: [sleep, '62']}]")
    started = builder._Saving.started

    def interrupted(saving, state):
        started(saving, state)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(builder._Saving, "started", interrupted)
    request = builder.BuildRequest(Path("cloudbuild.yaml"), place.source, containers=False)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    try:
        with pytest.raises(KeyboardInterrupt):
            builder.run(Workspace(ROOT, place.home), request, Console(quiet=True))
    finally:
        signal.signal(signal.SIGINT, before)
    assert place.statuses == {"slow": "CANCELLED"}


def test_a_commit_is_built_as_it_was(place):
    def git(*arguments):
        command = ["git", "-C", place.source, "-c", "user.name=n", "-c", "user.email=e", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    place.write("steps: [{name: debian, args: [sh, -c, 'echo $COMMIT_SHA $BRANCH_NAME && cat data.txt']}]")
    git("init", "--quiet", "--initial-branch", "main")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    head = subprocess.run(
        ["git", "-C", place.source, "rev-parse", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    (place.source / "data.txt").write_text("changed since\n")
    done = ct(place.home, "build", "--source", str(place.source), HERE, "--commit", head[:10])
    assert done.code == 0, done.out
    assert place.log(0) == f"{head} main\ndata\n"
    listed = ct(place.home, "builds")
    assert head[:7] in listed.out
    assert "1/1" in listed.out
    assert json.loads(ct(place.home, "builds", "--json").out)[0]["commit"] == head
