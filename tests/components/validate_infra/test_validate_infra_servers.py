"""The service at a URL and in a container: the same checks, and a clear word where there is no service."""

import json
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import small_examples
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.validate_infra import container, work
from kfp_ct.components.validate_infra.client import Client, ServerError
from kfp_ct.data import json_rows, layouts
from kfp_ct.data.saved_model import Role, SavedModel
from kfp_ct.models import blessing
from prediction_server import Server
from served_answers import COLUMNS, FEW, save

IMAGE = "kfp-ct-serving:dev"


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return small_examples.write(tmp_path_factory.mktemp("examples"), small_examples.table(30))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return save(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def service(tmp_path_factory, good):
    """The address of a service that has loaded the good model."""
    root = tmp_path_factory.mktemp("served")
    (root / "flights").mkdir()
    (root / "flights/1").symlink_to(f"{good}/{layouts.SERVING_MODEL}", target_is_directory=True)
    server = Server(root)
    yield f"{server.url}/v1/models/flights"
    server.stop()


@pytest.fixture
def judge(tmp_path, examples):
    """Judges a model by a service; returns the result and the report."""

    def judged(model, server, **infra):
        blessing.write(tmp_path / "evaluated", blessing.decide(model, [blessing.Check("auc", True, "good")]))
        settings = {**FEW, "server": server, **infra}
        request = work.InfraRequest(examples, model, str(tmp_path / "none"), "", str(tmp_path / "evaluated"), settings)
        outputs = work.Outputs(str(tmp_path / "final"), str(tmp_path / "report"), str(tmp_path / "view.html"))
        result = work.validate(request, outputs)
        return result, layouts.read_json(tmp_path / "report" / layouts.SUMMARY)

    return judged


def reasons(report):
    return {check["gate"]: check["reason"] for check in report["checks"] if not check["passed"]}


def test_a_service_that_has_the_model_is_asked(judge, good, service):
    result, report = judge(good, service)
    assert result.blessed
    assert report["rows"] == FEW["rows"]
    assert service in report["checks"][0]["reason"]
    assert {"load_s", "memory_mb"}.isdisjoint(result.measured)


def test_what_cannot_be_measured_of_a_service_keeps_no_budget(judge, good, service):
    result, report = judge(good, service, max_memory_mb=10_000, max_load_s=100)
    assert not result.blessed
    assert reasons(report) == {
        "max_memory_mb": "peak memory was not measured", "max_load_s": "start was not measured",
    }  # fmt: skip


def test_a_service_with_another_model_of_the_same_signature_is_a_no(judge, service, tmp_path):
    other = save(tmp_path / "other", answer=lambda features: features["size"][:, None] * 0 + 7)
    result, report = judge(other, service)
    assert not result.blessed
    assert "answers differ from the model's own" in reasons(report)["answers"]


def test_a_service_with_another_signature_is_a_no(judge, service, tmp_path):
    result, report = judge(save(tmp_path / "other", {"size": COLUMNS["size"]}), service)
    assert not result.blessed
    assert "has loaded another model: its signature has" in reasons(report)["server"]


@pytest.mark.parametrize(
    ("suffix", "said"),
    [
        pytest.param("-unknown", "HTTP 404", id="no such model"),
        pytest.param("/versions/9", "HTTP 404", id="no version"),
    ],
)
def test_a_service_without_the_model_is_a_no(judge, good, service, suffix, said):
    result, report = judge(good, service + suffix)
    assert not result.blessed
    assert said in reasons(report)["server"]


def test_nobody_at_the_address_is_a_no(judge, good):
    result, report = judge(good, "http://127.0.0.1:9/v1/models/flights")
    assert not result.blessed
    assert "no answer" in reasons(report)["server"]


class StrictServing(BaseHTTPRequestHandler):
    """In front of the real service what TensorFlow Serving does otherwise: no /readyz, and no null for a value."""

    upstream = ""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.pass_on(None)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if any(value is None for row in body["instances"] for value in row.values()):
            self.answer(400, b'{"error": "JSON Value: null Type: Null is not of expected type: float"}')
        else:
            # Where TensorFlow Serving takes the token NaN, this service takes null.
            self.pass_on({**body, "instances": [{n: None if v != v else v for n, v in row.items()}
                                                for row in body["instances"]]})  # fmt: skip

    def pass_on(self, body):
        client = Client(self.upstream, 60)
        if self.path == "/readyz":
            self.answer(404, b"Not Found")
        else:
            answered = client._ask("POST" if body else "GET", self.path, json.dumps(body) if body else None)
            self.answer(answered[0], json.dumps(answered[1]).encode())
        client.close()

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def test_a_service_that_refuses_null_is_sent_what_the_model_takes_for_missing(judge, good, service):
    handler = type("Handler", (StrictServing,), {"upstream": service})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        result, report = judge(good, f"http://127.0.0.1:{proxy.server_port}/v1/models/flights")
        proxy.shutdown()
    assert result.blessed, report["checks"]


def test_rows_without_null_are_what_the_model_is_fed(good):
    batch = pa.RecordBatch.from_pydict(
        {"size": pa.array([None, 2.5], pa.float32()), "count": [3, None], "colour": pa.array(["grün", None])}
    )
    first, second = json_rows.instances(
        batch, SavedModel(good, "serving_default", batch.schema.names, Role("the model")), False
    )
    assert np.isnan(first["size"])
    assert (first["count"], first["colour"], second["size"], second["colour"]) == (3, "grün", 2.5, "")
    assert second["count"] is not None
    assert json_rows._filled([b"\xff"]) == [{"b64": "/w=="}]


def test_without_an_engine_one_is_told_so(judge, good, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ConfigurationError, match=r"neither docker nor podman is installed\nexpected: .*\nfix: start it"
    ):
        judge(good, f"docker:{IMAGE}")
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", lambda name: str(docker) if name == "docker" else None)
    with pytest.raises(ConfigurationError, match="no container engine answers: Cannot connect"):
        judge(good, f"docker:{IMAGE}")


@pytest.fixture(scope="module")
def engine():
    """An engine with the serving image."""
    command = shutil.which("docker")
    if not command or subprocess.run([command, "info"], capture_output=True).returncode:
        pytest.skip("no container engine answers here")
    if subprocess.run([command, "image", "inspect", IMAGE], capture_output=True).returncode:
        pytest.skip(f"there is no image {IMAGE} here: docker build makes it")


@pytest.fixture
def ending(engine):
    """An image whose container ends at once."""
    container_id = docker("create", IMAGE).strip()
    name = f"ct-test-ending:{container_id[:12]}"
    docker("commit", "--change", 'CMD ["python3", "-c", "print(\'that was all\')"]', container_id, name)
    docker("rm", container_id)
    yield name
    docker("rmi", name)


def test_a_container_of_the_serving_image_is_tried_and_removed(judge, good, engine):
    result, report = judge(good, f"docker:{IMAGE}", max_load_s=300, max_memory_mb=4_000)
    assert result.blessed, report["checks"]
    assert result.measured["memory_mb"] > 100
    assert result.measured["load_s"] > 0
    assert not ours(good)


def test_a_container_that_ends_is_a_no_with_its_log(judge, good, ending):
    result, report = judge(good, f"docker:{ending}")
    assert not result.blessed
    said = reasons(report)["server"]
    # Ended before or after the engine was asked for its port.
    assert said.startswith(("the container ended; its log ends:", "the container does not answer on port 8501"))
    assert "that was all" in said
    assert not ours(good)


def test_an_image_that_is_nowhere_is_named(judge, good, engine):
    with pytest.raises(ConfigurationError, match=r"the image localhost:1/nothing:x cannot be run: .*\nexpected: "):
        judge(good, "docker:localhost:1/nothing:x")


def test_a_container_that_never_answers_is_a_no_in_time(good, engine, monkeypatch):
    with pytest.raises(ServerError, match="did not answer for the model in time"), container.serving(good, IMAGE, 0):
        pytest.fail("it answered at once")


def test_a_killed_step_leaves_no_container(good, engine):
    code = (
        "import time\nfrom kfp_ct.components.validate_infra.container import serving\n"
        f"with serving({good!r}, {IMAGE!r}, 300):\n    print('up', flush=True)\n    time.sleep(600)\n"
    )
    root = Path(work.__file__).parents[3]
    step = subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, text=True)
    try:
        assert step.stdout.readline() == "up\n"
        assert ours(good)
    finally:
        step.kill()
        step.wait()
        step.stdout.close()
    deadline = time.monotonic() + 60
    while ours(good):
        assert time.monotonic() < deadline, "the container goes on"
        time.sleep(0.2)


def ours(model):
    """The containers, running or not, that have a model mounted."""
    return docker("ps", "--all", "--quiet", "--filter", f"volume={model}/{layouts.SERVING_MODEL}").split()


def docker(*arguments):
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout
