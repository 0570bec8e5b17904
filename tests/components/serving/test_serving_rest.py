"""TensorFlow Serving's REST API beyond predict: classify, regress, labels, gzip, limits, the token, metrics, traces."""

import base64
import concurrent.futures
import gzip
import json
import shutil

import pytest
import tensorflow as tf

from prediction_server import Server
from saved_models import save_signatures

TOKEN = "a-token-of-tests"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("many")
    save_signatures(root / "flights" / "2")
    shutil.copytree(root / "flights" / "2", root / "flights" / "1")
    (root / "flights" / "labels.json").write_text('{"stable": 1, "candidate": 2, "gone": 7}')
    return root


@pytest.fixture(scope="module")
def server(root):
    server = Server(root, "--max-body-mb", "1", "--max-rows", "500")
    yield server
    server.stop()


def results(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


@pytest.mark.parametrize("signature", ["classes", "serving_default"])
def test_classifies_examples(signature, server):
    request = {"signature_name": signature, "context": {"hour": 6}, "examples": [{}, {"hour": [12]}]}
    labels = ["in time", "late"] if signature == "classes" else ["", ""]

    answer = results(server.predict(request, "/v1/models/flights:classify"))

    assert answer == [[[labels[0], 0.75], [labels[1], 0.25]], [[labels[0], 0.5], [labels[1], 0.5]]]


def test_regresses_examples(server):
    request = {"signature_name": "values", "examples": [{"hour": 6}, {"hour": 12}]}

    assert results(server.predict(request, "/v1/models/flights:regress")) == [0.25, 0.5]


def test_a_signature_that_cannot_be_classified_is_named_with_its_outputs(server):
    request = {"signature_name": "lists", "examples": [{"values": [1.0, 2.0, 3.0]}]}
    answer = server.predict(request, "/v1/models/flights:classify")

    assert answer.status_code == 400
    assert "signature lists: its outputs are count, scaled, sum" in answer.json()["error"]


def test_serialized_examples_are_predicted_from_base64(server):
    example = tf.train.Example()
    example.features.feature["hour"].int64_list.value.append(6)
    value = {"b64": base64.b64encode(example.SerializeToString()).decode()}

    answer = server.predict({"signature_name": "values", "instances": [value, {"inputs": value}["inputs"]]})

    assert answer.json() == {"predictions": [0.25, 0.25]}


def test_lists_and_several_outputs_by_row_and_by_column(server):
    by_row = server.predict({"signature_name": "lists", "instances": [{"values": [1, 2, 3]}, {"values": [0.1, 0, 0]}]})
    by_column = server.predict({"signature_name": "lists", "inputs": {"values": [[1, 2, 3]]}})

    assert by_row.json()["predictions"] == [
        {"scaled": [2.0, 4.0, 6.0], "sum": 6.0, "count": 3},
        {"scaled": [0.2, 0.0, 0.0], "sum": 0.1, "count": 3},
    ]
    assert by_column.json()["outputs"] == {"scaled": [[2.0, 4.0, 6.0]], "sum": [6.0], "count": [3]}


def test_versions_are_asked_by_label_and_by_number(server):
    body = {"instances": [{"hour": 6}]}
    for path in ("labels/stable", "labels/candidate", "versions/1", "versions/2"):
        assert server.predict(body, f"/v1/models/flights/{path}:predict").status_code == 200
    assert server.client.get("/v1/models/flights/labels/stable").json()["model_version_status"][0]["version"] == "1"
    assert server.client.get("/v1/models/flights/labels/stable/metadata").json()["model_spec"]["version"] == "1"
    assert server.status() == {"2": "AVAILABLE", "1": "AVAILABLE"}
    unknown = server.predict(body, "/v1/models/flights/labels/none:predict")
    assert (unknown.status_code, "candidate, gone, stable" in unknown.text) == (400, True)
    assert server.predict(body, "/v1/models/flights/labels/gone:predict").status_code == 404
    assert server.client.get("/v2/models/flights").json()["versions"] == ["1", "2"]


def test_bodies_may_be_packed(server):
    packed = gzip.compress(json.dumps({"instances": [{"hour": 6}]}).encode())

    def post(body, encoding):
        path, headers = "/v1/models/flights:predict", {"content-encoding": encoding}
        return server.client.post(path, content=body, headers=headers)

    assert post(packed, "gzip").json() == {"predictions": [[0.75, 0.25]]}
    assert post(packed[:-3], "gzip").status_code == 400
    assert post(b"nothing of the kind", "gzip").status_code == 400
    assert post(gzip.compress(bytes(2 << 20)), "gzip").status_code == 413, "a small body that unpacks to a large one"
    assert post(packed, "br").status_code == 415


def test_rows_are_bounded(server):
    answer = server.predict({"inputs": {"hour": [1] * 501}})

    assert answer.status_code == 413
    assert "501 rows\nexpected: at most 500" in answer.json()["error"]


def test_many_at_once_are_answered_as_each_alone(server):
    bodies = [{"signature_name": "lists", "instances": [{"values": [i / 7, i, -i]}]} for i in range(60)]
    alone = [server.predict(body).content for body in bodies]
    with concurrent.futures.ThreadPoolExecutor(16) as clients:
        together = [answer.content for answer in clients.map(server.predict, bodies)]

    assert together == alone


def test_metrics_count_what_was_answered_and_refused(server):
    server.predict({"instances": [{"hour": 6}]})
    server.predict({"instances": [{"hour": "x"}]})
    server.predict({"instances": [1]}, "/v1/models/of_a_caller:predict")

    page = server.client.get("/metrics")

    assert page.headers["content-type"].startswith("text/plain")
    for line in (
        'serving_requests_total{model="flights",protocol="rest",signature="serving_default",version="2"}',
        'serving_errors_total{kind="InvalidRequest",model="flights",protocol="rest"}',
        'serving_errors_total{kind="ModelNotFound",model="",protocol="rest"}',
        'serving_version{model="flights"} 2.0',
        'serving_model_age_seconds{model="flights",version="1"}',
        "serving_batch_rows_count",
        "serving_latency_seconds_bucket",
        "serving_pending 0.0",
    ):
        assert line in page.text
    assert "of_a_caller" not in page.text, "a caller's words make no series"


def test_the_openapi_page_has_examples_that_can_be_sent(server):
    page = server.client.get("/openapi.json").json()

    sent = []
    for path, methods in page["paths"].items():
        if "get" in methods:
            assert server.client.get(path).status_code == 200
            continue
        for name, example in methods["post"]["requestBody"]["content"]["application/json"].get("examples", {}).items():
            answer = server.predict(example["value"], path)
            assert answer.status_code == 200, f"{path} {name}: {answer.text}"
            sent.append((path.rpartition("/")[2], name))
    assert page["openapi"] == "3.1.0"
    assert set(sent) == {
        ("flights:predict", "lists"),
        ("flights:predict", "ranked"),
        ("flights:predict", "serving_default"),
        ("infer", "serving_default"),
    }


@pytest.mark.parametrize(("given", "back"), [(TRACE, TRACE), ("00-zz", None), (TRACE.upper(), None)])
def test_a_trace_context_goes_back_if_it_is_one(given, back, server):
    answer = server.client.get("/v1/models/flights", headers={"traceparent": given})

    assert answer.headers.get("traceparent") == back


def test_a_token_is_asked_for_everywhere_but_for_health(root, tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    server = Server(root, "--token-file", str(tmp_path / "token"))
    try:
        for path in ("/v1/models/flights", "/v1/models/flights/metadata", "/metrics"):
            for headers in ({}, {"authorization": "Bearer another"}, {"authorization": TOKEN}):
                refused = server.client.get(path, headers=headers)
                assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert server.client.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert server.client.get("/healthz").status_code == 200
        assert server.client.get("/readyz").status_code == 200
    finally:
        server.stop()
