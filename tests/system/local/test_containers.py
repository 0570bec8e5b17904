"""Tasks and build steps in real containers: what fails in one is never green, whenever and however it fails."""

import os
import threading
import time
from pathlib import Path, PurePosixPath

import docker
import pytest

import container_engine
from container_engine import IMAGE
from ct_command import ct
from kfp_ct.base.errors import UsageError
from kfp_ct.local.containers import Containers, folders_for
from kfp_ct.local.task_command import TaskCommand

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
    run(containers, "exit 1")
    client = docker.DockerClient(host)
    assert [each for each in client.containers.list(all=True) if IMAGE.partition(":")[0] in str(each.image.tags)] == []
    client.close()


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
