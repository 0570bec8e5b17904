"""Tasks and build steps in real containers: what fails in one is never green, whenever and however it fails."""

import contextlib
import os
import threading
import time
from pathlib import Path, PurePosixPath

import docker
import pytest

import container_engine
import seaweedfs
from container_engine import IMAGE
from ct_command import ct
from kfp_ct.base.errors import RunFailedError, UsageError
from kfp_ct.local.containers import Containers, folders_for
from kfp_ct.local.handover import Handover
from kfp_ct.local.task_command import TaskCommand
from kfp_ct.storage import storage

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    with container_engine.engine(folder) as found:
        container_engine.require_shared(found, folder)
        yield found


@pytest.fixture
def containers(host, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", host)
    data = tmp_path / "data"
    data.mkdir()
    (data / "rows.csv").write_text("1,2\n")
    (tmp_path / "home").mkdir()
    return Containers(IMAGE, {data: PurePosixPath("/app/data")}, tmp_path / "home")


def run(containers, script):
    said = []
    task = TaskCommand(["sh", "-c", script], {"GREETING": "hello"}, IMAGE, Path("outputs"))
    return containers.run(task, said.append), said


def test_a_task_reads_the_sources_writes_the_state_and_says_what_it_says(containers, tmp_path):
    code, said = run(containers, f"cat /app/data/rows.csv; echo made > {tmp_path}/home/out; echo last line")
    assert (code, said) == (0, ["1,2", "last line"])
    assert (tmp_path / "home/out").read_text() == "made\n"
    assert (tmp_path / "home/out").stat().st_uid == os.getuid()
    assert run(containers, "touch /app/data/more")[0] != 0


def test_a_task_has_the_environment_variables_it_was_given(containers):
    assert run(containers, 'echo "$GREETING"') == (0, ["hello"])


def test_a_task_finds_the_object_store_that_this_process_finds(containers, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:8333")
    monkeypatch.setenv("NOT_FOR_TASKS", "secret")
    code, said = run(containers, 'echo "$AWS_ENDPOINT_URL $NOT_FOR_TASKS."')
    assert (code, said) == (0, ["http://127.0.0.1:8333 ."])


def test_of_a_packages_images_those_of_this_project_find_the_object_store(host, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:8333")
    ours = "localhost:5001/kfp-ct-components-library:test"
    for image, found in ((ours, "http://127.0.0.1:8333"), (IMAGE, "")):
        with contextlib.closing(docker.DockerClient(host)) as client:
            client.images.get(IMAGE).tag(*image.rsplit(":", 1))
        said = []
        task = TaskCommand(["sh", "-c", 'echo "$AWS_ENDPOINT_URL"'], {}, image, Path("outputs"))
        assert Containers("", {}, tmp_path).run(task, said.append) == 0, said
        assert said == [found]
    with contextlib.closing(docker.DockerClient(host)) as client:
        client.images.remove(ours)


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 3", 3), ("sleep 1; exit 4", 4), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("no-such-command", 127)],
    ids=["at once", "late", "SIGKILL", "SIGTERM", "no command"],
)
def test_a_task_that_fails_is_never_green(containers, script, code):
    assert run(containers, script)[0] == code


def test_a_task_without_memory_is_never_green(containers, host):
    client = docker.DockerClient(host)
    before = {each.id for each in client.containers.list(all=True)}

    def squeeze():
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for each in client.containers.list():
                if each.id not in before:
                    each.update(mem_limit="8m", memswap_limit="8m")
                    return
            time.sleep(0.05)

    thread = threading.Thread(target=squeeze)
    thread.start()
    code, _ = run(containers, "sleep 2; x=0123456789; while true; do x=$x$x; done")
    thread.join()
    client.close()
    assert code != 0


def test_a_container_that_vanishes_is_never_green(containers, host):
    client = docker.DockerClient(host)
    before = {each.id for each in client.containers.list(all=True)}

    def remove():
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for each in client.containers.list():
                if each.id not in before:
                    each.remove(force=True)
                    return
            time.sleep(0.05)

    thread = threading.Thread(target=remove)
    thread.start()
    code, _ = run(containers, "sleep 60")
    thread.join()
    client.close()
    assert code != 0


def test_an_engine_that_refuses_is_said_and_never_green(containers, tmp_path):
    (tmp_path / "data" / "rows.csv").unlink()
    (tmp_path / "data").rmdir()
    code, said = run(containers, "exit 0")
    assert code != 0
    assert "the engine fails" in said[-1]
    assert "does not exist" in said[-1]


def test_nothing_stays_behind(containers, host):
    with contextlib.closing(docker.DockerClient(host)) as client:
        before = {each.id for each in client.containers.list(all=True)}
        run(containers, "exit 1")
        deadline = time.monotonic() + 120  # other tests may have theirs in the same engine for a while
        while {each.id for each in client.containers.list(all=True)} - before and time.monotonic() < deadline:
            time.sleep(0.2)
        assert {each.id for each in client.containers.list(all=True)} <= before


def test_an_image_or_an_engine_that_is_not_there_is_one_message(host, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(UsageError, match="no image ct-no-such-image"):
        Containers("ct-no-such-image:dev", {}, tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(UsageError, match="no Docker engine answers"):
        Containers(IMAGE, {}, tmp_path)


def test_sources_are_seen_where_settings_name_them(tmp_path):
    for name in (".ct/data", "elsewhere/2013"):
        (tmp_path / name).mkdir(parents=True)
    arguments = {
        "sources": {
            "relative": {"uri": ".ct/data/flights.csv.zip"},
            "absolute": {"uri": f"{tmp_path}/elsewhere/*/x.csv"},
            "bucket": {"uri": "gs://bucket/x.csv"},
            "table": {"bigquery": "p.d.t"},
        }
    }
    assert folders_for(arguments, tmp_path) == {
        tmp_path / ".ct/data": PurePosixPath("/app/.ct/data"),
        tmp_path / "elsewhere": PurePosixPath(tmp_path / "elsewhere"),
    }
    assert folders_for({}, Path("/nowhere")) == {}


def test_build_steps_run_in_containers(host, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.setenv("TOKEN", "hunter2")
    source = tmp_path / "source"
    source.mkdir()
    (source / "data.txt").write_text("data\n")
    (source / "cloudbuild.yaml").write_text(f"""
steps:
- {{id: one, name: {IMAGE}, entrypoint: sh, args: [-c, 'cat data.txt > /workspace/copy; echo $$HOME $$A'], env: [A=b]}}
- {{id: two, name: mapped, script: 'cat /workspace/copy /vol/x 2>/dev/null; echo token $TOKEN', secretEnv: [TOKEN]}}
- {{id: gone, name: nowhere.invalid/none, args: ['true'], waitFor: ['-']}}
availableSecrets: {{secretManager: [{{versionName: projects/p/secrets/t/versions/1, env: TOKEN}}]}}
""")
    done = ct(tmp_path / "home", "build", "--source", str(source), "--containers", "--image", f"mapped={IMAGE}")
    logs = {path.name: path.read_text() for path in (tmp_path / "home").glob("builds/*/logs/*.log")}
    assert logs["00-one.log"] == "/builder/home b\n"
    assert logs["01-two.log"] == "data\ntoken ********\n"
    # An image that cannot be had is not run, and that is not green.
    assert done.code == 5, done.out
    assert "nowhere.invalid/none is not here and cannot be pulled" in done.out


def test_without_a_shared_folder_artifacts_go_through_the_object_store(host, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", host)
    artifacts, data = tmp_path / "home/artifacts", tmp_path / "data"
    data.mkdir()

    def task(name, script, *inputs):
        folder = artifacts / "run-1" / name
        folder.mkdir(parents=True)
        return TaskCommand(["sh", "-c", script], {}, IMAGE, folder, inputs=inputs)

    with seaweedfs.running() as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        containers = Containers(
            IMAGE, {data: PurePosixPath("/app/data")}, tmp_path / "home", Handover("s3://data/r", artifacts)
        )
        made, said = f"{artifacts}/run-1/one/model", []
        first = task("one", f"mkdir -p {made}/deep; echo one > {made}/a; echo two > {made}/deep/b; echo 3 > {made}.txt")
        assert containers.run(first, said.append) == 0, said
        assert [each.name for each in storage.list_folder("s3://data/r")] == [
            f"r/run-1/one/{name}" for name in ("model.txt", "model/a", "model/deep/b")
        ]
        (Path(made) / "a").write_text("changed on this machine")
        kept = artifacts / "run-0/three/old"  # of an earlier run, which handed on by folder
        kept.mkdir(parents=True)
        (kept / "c").write_text("four\n")
        reads = f"cat {made}/a {made}/deep/b {made}.txt {kept}/c; ls {tmp_path} {artifacts}/run-1"
        assert containers.run(task("two", reads, made, f"{made}.txt", str(kept), "s3://data/x"), said.append) == 0, said
        assert said == ["one", "two", "3", "four", f"{tmp_path}:", "home", "", f"{artifacts}/run-1:", "one", "two"]
        with pytest.raises(RunFailedError, match=r"s3://data/r/run-1/none/x is not there"):
            containers.run(task("four", "true", f"{artifacts}/run-1/none/x"), said.append)
        with pytest.raises(RunFailedError, match="is on this machine only"):
            containers.run(task("five", "true", "/etc/hostname"), said.append)
        assert containers.run(task("six", "exit 3"), said.append) == 3


def test_settings_of_this_machine_fit_no_run_without_a_shared_folder(tmp_path):
    where = ("--containers", "--image", IMAGE, "--pipeline-root", "s3://data/root")
    for arguments, message in (
        (where, "does not fit the target kfp"),
        (where[3:], "is for tasks in containers"),
        ((*where[:4], "/mnt/root"), "is no object store"),
    ):
        refused = ct(tmp_path, "run", "flights", *arguments)
        assert (refused.code, message in refused.err) == (2, True), refused.err
