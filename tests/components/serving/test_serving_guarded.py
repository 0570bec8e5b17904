"""Encryption, overload, slowness, draining, and what is logged."""

import concurrent.futures
import json
import signal
import ssl
import subprocess
import sys
import time

import grpc
import httpx
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from certificates import Authority
from kfp_ct.serving.__main__ import main
from prediction_server import Server
from repository import ROOT
from saved_models import save, save_slow

BODY = json.dumps({"instances": [{"hour": 1}]})
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SLOW = json.dumps({"inputs": {"steps": [3_000_000]}})


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("guarded")
    save(root / "flights" / "7", 1)
    save_slow(root / "slow" / "1")
    return root


@pytest.fixture(scope="module")
def encrypted(models, tmp_path_factory):
    """A service that asks its callers for a certificate, and who signs them."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    certificate, key = authority.sign("server")
    options = ("--tls-certificate", certificate, "--tls-key", key, "--tls-client-ca", authority.path)
    server = Server(models, "--grpc-port", "0", *map(str, options))
    yield server, authority, folder
    server.stop()


def context(authority, *certificate):
    made = ssl.create_default_context(cafile=authority.path)
    if certificate:
        made.load_cert_chain(*certificate)
    return made


def test_http_is_encrypted_and_asks_for_a_certificate(encrypted):
    server, authority, folder = encrypted
    assert server.url.startswith("https://")
    with httpx.Client(verify=context(authority, *authority.sign("client")), trust_env=False) as client:
        assert client.post(f"{server.url}/v1/models/flights:predict", content=BODY).json() == {"predictions": [[1.0]]}
    stranger = Authority(folder, "another").sign("stranger")
    for certificate in ((), stranger):
        with (
            httpx.Client(verify=context(authority, *certificate), trust_env=False) as client,
            pytest.raises(httpx.HTTPError),
        ):
            client.get(f"{server.url}/healthz")


def test_grpc_is_encrypted_and_asks_for_a_certificate(encrypted):
    server, authority, _ = encrypted
    certificate, key = authority.sign("grpc-client")
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "flights"
    request.inputs["hour"].CopyFrom(tf.make_tensor_proto([1], tf.int64))
    root = authority.path.read_bytes()
    known = grpc.ssl_channel_credentials(root, key.read_bytes(), certificate.read_bytes())
    with grpc.secure_channel(server.grpc, known) as channel:
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)
    assert tf.make_ndarray(answer.outputs["probability"]).tolist() == [[1.0]]
    with grpc.secure_channel(server.grpc, grpc.ssl_channel_credentials(root)) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
            stub.Predict(request, timeout=60)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tls-certificate", __file__), "TLS needs --tls-certificate and --tls-key"),
        (("--tls-client-ca", __file__), "TLS needs --tls-certificate and --tls-key"),
        (("--token-file", "/nowhere"), "/nowhere is not a file"),
        (("--token-file", "/dev/null/x"), "is not a file"),
    ],
)
def test_options_that_would_guard_nothing_are_refused(options, said, models, capsys):
    assert main(["--root", str(models), *options]) == 2
    assert said in capsys.readouterr().err


def test_an_empty_token_is_refused(models, tmp_path, capsys):
    (tmp_path / "token").write_text("\n")

    assert main(["--root", str(models), "--token-file", str(tmp_path / "token")]) == 2
    assert "holds no token" in capsys.readouterr().err


def test_more_than_may_wait_are_told_when_to_ask_again(models):
    server = Server(models, "--max-pending", "1")
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as slow:
            first = slow.submit(server.client.post, "/v1/models/slow:predict", content=SLOW, timeout=120)
            deadline, answer = time.monotonic() + 60, None
            while not first.done() and time.monotonic() < deadline:
                answer = httpx.post(f"{server.url}/v1/models/flights:predict", content=BODY, trust_env=False)
                if answer.status_code == 503:
                    break
            assert first.result().status_code == 200
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert "waiting already" in answer.json()["error"]
    finally:
        server.stop()


def test_an_answer_that_takes_too_long_is_given_up(models):
    server = Server(models, "--max-seconds", "0.2")
    try:
        answer = server.predict(SLOW, "/v1/models/slow:predict")
        assert (answer.status_code, "longer than 0.2 s" in answer.json()["error"]) == (504, True)
        assert 'kind="TooSlow"' in server.client.get("/metrics").text
    finally:
        server.stop()


def test_it_answers_on_while_it_drains_but_is_not_ready(models):
    server = Server(models, "--drain-seconds", "6")
    assert server.client.get("/readyz").status_code == 200
    server.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 5
    while server.client.get("/readyz").status_code == 200:
        assert time.monotonic() < deadline
    assert server.client.get("/v2/health/ready").status_code == 503
    assert server.predict(BODY).status_code == 200
    server.client.close()
    assert server.process.wait(120) in (0, -signal.SIGTERM)
    server.process.stdout.close()


def test_requests_are_logged_as_json_with_their_ids(models):
    command = [sys.executable, "-m", "kfp_ct.serving", "--root", str(models), "--port", "0", "--json-logs"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    url = json.loads(process.stdout.readline())["url"]
    headers = {"x-request-id": "mine", "traceparent": TRACE}
    httpx.post(f"{url}/v1/models/flights:predict", content=BODY, headers=headers, trust_env=False)
    process.terminate()
    _, errors = process.communicate(timeout=60)

    lines = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    (request,) = [line for line in lines if line["logger"] == "serving.requests"]
    assert request["request_id"] == "mine"
    assert request["traceparent"] == TRACE
    assert (request["method"], request["path"], request["status"]) == ("POST", "/v1/models/flights:predict", 200)
    assert {"severity", "time", "ms"} <= request.keys()
    assert any("flights v7 loaded" in line["message"] for line in lines)
