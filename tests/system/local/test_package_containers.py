"""`ct run FILE --containers`: every task in the image that its package names, container components too."""

# ruff: noqa: B006, UP014, UP045 - kfp reads these annotations and defaults itself
import json
import threading
import time
from typing import NamedTuple, Optional

import docker
import pytest
from kfp import dsl

import any_packages
import container_engine
from any_packages import states
from container_engine import IMAGE, PYTHON

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def component(function):
    return dsl.component(base_image=PYTHON, install_kfp_package=False)(function)


@component
def show(text: str, limits: dict, maybe: Optional[str] = None) -> NamedTuple("Two", [("seen", str), ("size", int)]):
    import os

    return repr((text[:20], limits, maybe, os.environ.get("GREETING"))), len(text)


@component
def second_time(marker: str) -> str:
    import pathlib

    file = pathlib.Path(marker)
    if not file.exists():
        file.write_text("x")
        raise RuntimeError("the first time")
    return "the second time"


@component
def read(given: dsl.Input[dsl.Dataset]) -> str:
    with open(given.path) as file:
        return file.read()


@component
def put(folder: str) -> str:
    with open(f"{folder}/note", "w") as file:
        file.write("shared")
    return f"{folder}/note"


@component
def get(path: str) -> str:
    with open(path) as file:
        return file.read()


@component
def told(status: dsl.PipelineTaskFinalStatus) -> str:
    return status.state


@component
def fail(text: str):
    raise ValueError(text)


@dsl.container_component
def shout(text: str, said: dsl.OutputPath(str), made: dsl.Output[dsl.Dataset], more: Optional[str] = None):
    return dsl.ContainerSpec(
        image=IMAGE,
        command=["sh", "-c", 'printf %s "$0" > "$1"; printf "%s;" "$@" > "$2"'],
        args=[
            dsl.ConcatPlaceholder(["<", text, ">"]),
            said,
            made.path,
            dsl.IfPresentPlaceholder(input_name="more", then=["--more", more], else_=["--none"]),
            f"{text}!",
        ],
    )


@dsl.container_component
def ends_with(code: int):
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-c", "exit $0"], args=[code])


@dsl.container_component
def sleeps():
    return dsl.ContainerSpec(image=IMAGE, command=["sleep", "300"])


OUTPUTS = NamedTuple(
    "Outputs",
    [("seen", str), ("size", int), ("tried", str), ("said", str), ("made", str), ("shared", str), ("all", list)],
)


@dsl.pipeline(name="everything", pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi")))
def everything(marker: str, text: str, limits: dict = {"n": 1}, maybe: Optional[str] = None) -> OUTPUTS:
    shown = show(text=text, limits=limits, maybe=maybe).set_env_variable("GREETING", "hello")
    tried = second_time(marker=marker).set_retry(1, backoff_duration="0s")
    loud = shout(text="hi there", more="m")
    ends_with(code=0)
    shared = get(path=put(folder=dsl.WORKSPACE_PATH_PLACEHOLDER).output)
    with dsl.ParallelFor(["a", "b"]) as item:
        each = shout(text=item)
    return OUTPUTS(
        shown.outputs["seen"],
        shown.outputs["size"],
        tried.output,
        loud.outputs["said"],
        read(given=loud.outputs["made"]).output,
        shared.output,
        dsl.Collected(each.outputs["said"]),
    )


@dsl.pipeline(name="failing")
def failing():
    with dsl.ExitHandler(told()):
        ends_with(code=3)
    ends_with(code=0)
    fail(text="boom")


@dsl.pipeline(name="sleeping")
def sleeping():
    with dsl.ExitHandler(told()):
        sleeps()


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    with container_engine.engine(folder) as found:
        container_engine.require_shared(found, folder)
        container_engine.import_python(found)
        yield found


@pytest.fixture
def run(host, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", host)

    def _run(pipeline, **arguments):
        file = any_packages.compiled(pipeline, tmp_path / f"{pipeline.name}.yaml")
        (tmp_path / "arguments.json").write_text(json.dumps(arguments))
        options = ["--containers", "--arguments", str(tmp_path / "arguments.json")]
        return any_packages.run(tmp_path / "home", file, *options)

    return _run


@pytest.mark.parametrize("text", [pytest.param("a {{$}} 'b'\n", id="short"), pytest.param("ä" * 1_000_000, id="long")])
def test_everything_runs_in_its_image(run, tmp_path, text):
    (tmp_path / "home").mkdir()
    limits = {"none": None, "deep": [1, 2.5, {"on": False}]}
    marker = str(tmp_path / "home" / "marker")
    done, record = run(everything, marker=marker, text=text, limits=limits, maybe=None)
    assert (done.code, record["state"]) == (0, "SUCCEEDED"), done.err
    made = record["outputs"].pop("made").split(";")
    assert made[2:] == ["--more", "m", "hi there!", ""]
    assert record["outputs"] == {
        "seen": repr((text[:20], limits, None, "hello")),
        "size": len(text),
        "tried": "the second time",
        "said": "<hi there>",
        "shared": "shared",
        "all": ["<a>", "<b>"],
    }


def test_failures_are_failures_and_the_rest_runs(run):
    done, record = run(failing)
    assert (done.code, record["state"]) == (4, "FAILED")
    assert states(record) == {"ends-with": "FAILED", "ends-with-2": "SUCCEEDED", "told": "SUCCEEDED", "fail": "FAILED"}
    errors = {task["name"]: task["error"] for task in record["tasks"]}
    assert "exit code 3" in errors["ends-with"]
    assert errors["fail"].startswith("ValueError: boom")


@pytest.mark.parametrize("end", ["kill", "remove"])
def test_a_container_that_someone_ends_is_a_failure(run, host, end):
    client = docker.DockerClient(host)
    before = {each.id for each in client.containers.list(all=True)}

    def end_it():
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            for each in client.containers.list():
                if each.id not in before and each.attrs["Args"][-1:] == ["300"]:
                    each.kill() if end == "kill" else each.remove(force=True)
                    return
            time.sleep(0.1)

    thread = threading.Thread(target=end_it)
    thread.start()
    done, record = run(sleeping)
    thread.join()
    client.close()
    assert (done.code, record["state"]) == (4, "FAILED")
    assert states(record) == {"sleeps": "FAILED", "told": "SUCCEEDED"}


def test_an_argument_that_no_container_takes_is_refused_with_the_reason(run):
    done, record = run(shout, text="x" * 200_000)
    assert (done.code, record["state"]) == (4, "FAILED")
    assert "its command has an argument of 200,002 bytes" in record["tasks"][0]["error"]
