"""The prediction service as a process: TensorFlow Serving's REST API, and no request lost as versions change."""

import itertools
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from kfp_ct.base import atomic_files
from prediction_server import Server
from repository import ROOT
from saved_models import save

ROW = {"carrier": "AA", "hour": 6, "distance": 1.5}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """SavedModels that predict 1, 2 and 3."""
    root = tmp_path_factory.mktemp("models")
    for constant in (1, 2, 3):
        save(root / str(constant), constant)
    return root


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    """A service of one model in one version, for the tests that only ask."""
    root = tmp_path_factory.mktemp("serving")
    shutil.copytree(models / "1", root / "flights" / "7")
    server = Server(root, "--max-body-mb", "1")
    yield server
    server.stop()


def test_predicts_in_row_format(server):
    answer = server.predict({"instances": [ROW, {"hour": 3}]})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"predictions": [[1.0], [1.0]]}


def test_predicts_in_column_format(server):
    answer = server.predict({"inputs": {"carrier": ["AA"], "hour": [6], "distance": [[1.5]]}})

    assert answer.json() == {"outputs": [[1.0]]}


def test_missing_values_reach_the_model_as_agreed(server):
    answer = server.predict({"signature_name": "echo", "instances": [ROW, {"carrier": None}]})

    text = answer.text.replace("NaN", '"NaN"')
    assert json.loads(text)["predictions"] == [
        {"carrier": "AA", "hour": 6, "distance": [1.5]},
        {"carrier": "", "hour": -(2**63), "distance": ["NaN"]},
    ]


@pytest.mark.parametrize(
    "path",
    ["/v1/models/flights/versions/7:predict", "/v1/models/flights:predict", "/V1/Models/flights:Predict"],
)
def test_answers_at_tensorflow_servings_addresses(path, server):
    assert server.predict({"instances": [ROW]}, path).status_code == 200


def test_reports_status(server):
    expected = {
        "model_version_status": [
            {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    assert server.client.get("/v1/models/flights").json() == expected
    assert server.client.get("/v1/models/flights/versions/7").json() == expected


def test_reports_metadata(server):
    metadata = server.client.get("/v1/models/flights/metadata").json()

    assert metadata["model_spec"] == {"name": "flights", "signature_name": "", "version": "7"}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["carrier"]["dtype"] == "DT_STRING"
    assert signature["inputs"]["distance"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}, {"size": "1", "name": ""}],
        "unknown_rank": False,
    }
    assert set(signature["outputs"]) == {"probability"}


REFUSED = [
    ("POST", "/v1/models/flights:predict", "", 400, "The document is empty"),
    ("POST", "/v1/models/flights:predict", "{", 400, "JSON Parse error"),
    ("POST", "/v1/models/flights:predict", "[" * 100_000, 400, "JSON Parse error"),
    ("POST", "/v1/models/flights:predict", "[]", 400, "Is not object"),
    ("POST", "/v1/models/flights:predict", "{}", 400, "Missing 'inputs' or 'instances' key"),
    ("POST", "/v1/models/flights:predict", '{"inputs": 1, "instances": 1}', 400, "only one of"),
    ("POST", "/v1/models/flights:predict", '{"instances": [{"hours": 1}]}', 400, "does not have named input: hours"),
    ("POST", "/v1/models/flights:predict", '{"instances": [{"hour": "x"}]}', 400, "element: 0 key: hour"),
    ("POST", "/v1/models/flights:predict", '{"instances": [{"hour": 99}]}', 400, "hour must be below 24"),
    ("POST", "/v1/models/flights:predict", '{"signature_name": "x", "instances": [1]}', 400, 'name: "x" not found'),
    ("POST", "/v1/models/flights:predict", '{"signature_name": 1, "instances": [1]}', 400, "must be a string"),
    ("POST", "/v1/models/flights/versions/8:predict", "{}", 404, "Specific(flights, 8)"),
    ("POST", "/v1/models/absent:predict", "{}", 404, "Servable not found for request: Latest(absent)"),
    ("POST", "/v1/models/flights:classify", "{}", 400, "key 'examples' is expected"),
    ("POST", "/v1/models/flights:regress", '{"examples": [1]}', 400, "Example must be JSON object but got 1"),
    ("POST", "/v1/models/flights:regress", '{"examples": [{"hour": [1, "a"]}]}', 400, "element: 0 key: hour"),
    ("POST", "/v1/models/flights:explain", "{}", 400, "Malformed request"),
    ("POST", "/v1/models/flights", "{}", 400, "Malformed request: POST /v1/models/flights"),
    ("POST", "/v1/models/flights/labels/canary:predict", "{}", 400, "Unrecognized servable version label"),
    ("GET", "/v1/models", None, 400, "Missing model name in request."),
    ("GET", "/v1/models/absent", None, 404, "Could not find any versions of model absent"),
    ("GET", "/v1/models/flights/versions/8", None, 404, "Could not find version 8 of model flights"),
    ("GET", f"/v1/models/flights/versions/{2**64}", None, 400, "Failed to convert version"),
    ("GET", "/v1/nonsense", None, 400, "Malformed request"),
    ("GET", "/v1/models/absent/metadata", None, 404, "Servable not found"),
    ("DELETE", "/v1/models/flights", None, 405, "Method Not Allowed"),
    ("GET", "/nothing", None, 404, "Not Found"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "complaint"),
    REFUSED,
    ids=[f"{r[0]} {r[1]} {(r[2] or '')[:30]}" for r in REFUSED],
)
def test_refuses_with_tensorflow_servings_status_and_an_error(method, path, body, status, complaint, server):
    answer = server.client.request(method, path, content=body)

    assert answer.status_code == status
    assert complaint in answer.json()["error"]
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "streamed"])
def test_refuses_a_body_that_is_too_large(announced, server):
    body = b" " * (1 << 20) + b"{}"

    answer = server.client.post("/v1/models/flights:predict", content=body if announced else iter([body]))

    assert answer.status_code == 413
    assert "send fewer rows" in answer.json()["error"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8501", 200),
        ("127.0.0.1", 200),
        ("[::1]:1", 200),
        ("evil.example", 400),
        ("localhost.evil.example", 400),
    ],
)
def test_answers_only_under_its_own_names(host, status, server):
    assert server.client.get("/v1/models/flights", headers={"host": host}).status_code == status


def test_allows_no_other_origin(server):
    answer = server.client.get("/v1/models/flights", headers={"origin": "http://evil.example"})

    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_says_that_it_is_alive_and_ready(server):
    assert server.client.get("/healthz").status_code == 200
    assert server.client.get("/readyz").json() == {"serving": {"flights": 7}, "waiting": []}


def until(condition, seconds=60):
    """Waits for a condition: on a busy machine a fixed pause is too short."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Load:
    """Clients that ask without a pause, each over its own connection, and remember every answer."""

    def __init__(self, server, clients):
        self._server = server
        self._stop = threading.Event()
        self.answers = [[] for _ in range(clients)]
        self._threads = [threading.Thread(target=self._ask, args=(answers,)) for answers in self.answers]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        while not all(self.answers):
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, answers):
        body = json.dumps({"instances": [ROW]})
        with httpx.Client(base_url=self._server.url, trust_env=False, timeout=30) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post("/v1/models/flights:predict", content=body)
                    answers.append(answer.json()["predictions"][0][0] if answer.status_code == 200 else answer.text)
                except httpx.HTTPError as error:
                    answers.append(repr(error))


def test_no_request_is_dropped_as_versions_change(models, tmp_path):
    root = tmp_path / "serving"
    server = Server(root)
    try:
        assert server.client.get("/readyz").status_code == 503, "nothing is deployed yet"
        assert server.client.get("/healthz").status_code == 200
        atomic_files.publish(models / "1", root / "flights" / "1")
        server.wait_for("1")
        with Load(server, clients=4) as load:
            for version in ("2", "3"):
                atomic_files.publish(models / version, root / "flights" / version)
                server.wait_for(version)
                time.sleep(0.3)
            broken = root / "flights" / "4"
            shutil.copytree(models / "1" / "variables", broken / "variables")
            (broken / "saved_model.pb").write_bytes(b"half of a model")
            time.sleep(1)
            atomic_files.withdraw(root / "flights" / "3")
            server.wait_for("2")
            time.sleep(0.5)
        states = server.status()
        error = server.client.get("/v1/models/flights/versions/4").json()["model_version_status"][0]["status"]
    finally:
        code = server.stop()

    for answers in load.answers:
        assert len(answers) > 10
        changes = [answers[0], *(after for before, after in itertools.pairwise(answers) if after != before)]
        assert changes == [1.0, 2.0, 3.0, 2.0]
    assert states == {"4": "END", "3": "END", "2": "AVAILABLE", "1": "END"}
    assert error["error_code"] == "UNKNOWN"
    assert error["error_message"]
    assert code in (0, -signal.SIGTERM)


def test_requests_that_run_are_answered_before_it_stops(models, tmp_path):
    shutil.copytree(models / "1", tmp_path / "flights" / "1")
    server = Server(tmp_path)
    with Load(server, clients=2) as load:
        until(lambda: all(len(answers) > 10 for answers in load.answers))
        server.stop()

    for answers in load.answers:
        # Until the connection is refused or closed between two requests, every answer was whole.
        whole = [answer for answer in answers if answer == 1.0]
        refused = answers[len(whole) :]
        assert len(whole) > 10
        assert all("Connect" in str(answer) or "RemoteProtocol" in str(answer) for answer in refused)


def test_says_that_the_port_is_taken_before_anything_slow(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [
            sys.executable,
            "-m",
            "kfp_ct.serving",
            "--root",
            str(tmp_path),
            "--port",
            str(taken.getsockname()[1]),
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)

    assert done.returncode == 2
    assert "Address already in use" in done.stderr
    assert "fix:" in done.stderr


def test_it_stops_when_the_process_that_started_it_is_gone(tmp_path):
    command = [sys.executable, "-m", "kfp_ct.serving", "--root", str(tmp_path), "--port", "0", "--until-stdin-closes"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline()

    process.stdin.close()

    assert process.wait(120) == 0
    process.stdout.close()
