"""The Open Inference Protocol asked with NVIDIA's client, REST and gRPC; answers equal those of TensorFlow Serving."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from kfp_ct.project.environments import component_python
from prediction_server import Server
from repository import ROOT

CLIENTS = {"http": tritonclient.http, "grpc": tritonclient.grpc}
VALUES = np.array([[0.1, 2.5, -3.0], [1e-8, 0.3, np.nan]], np.float32)
LISTS = {"signature_name": "lists"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("oip")
    python, script = str(component_python(ROOT)), str(ROOT / "tests" / "helpers" / "saved_models.py")
    for folder, what in ((root / "many" / "2", "signatures"), (root / "flights" / "7", "1")):
        subprocess.run([python, script, str(folder), what], check=True, capture_output=True)
    server = Server(root, "--grpc-port", "0", python=python)
    yield server
    server.stop()


@pytest.fixture(params=["http", "grpc"])
def protocol(request):
    return request.param


@pytest.fixture
def client(server, protocol):
    address = server.url.removeprefix("http://") if protocol == "http" else server.grpc
    with CLIENTS[protocol].InferenceServerClient(address) as client:
        yield client


def given(protocol, name, array, **options):
    tensor = CLIENTS[protocol].InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array, **options)
    return tensor


def test_health_and_metadata(client, protocol):
    as_dict = {} if protocol == "http" else {"as_json": True}
    server, model = client.get_server_metadata(**as_dict), client.get_model_metadata("flights", **as_dict)

    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("flights")
    assert client.is_model_ready("flights", "7")
    assert not client.is_model_ready("flights", "8")
    assert not client.is_model_ready("absent")
    assert (server["name"], server["extensions"]) == ("kfp-ct", ["binary_tensor_data"])
    assert (model["name"], model["versions"], model["platform"]) == ("flights", ["7"], "tensorflow_savedmodel")
    shapes = {each["name"]: (each["datatype"], [int(size) for size in each["shape"]]) for each in model["inputs"]}
    assert shapes == {"carrier": ("BYTES", [-1]), "hour": ("INT64", [-1]), "distance": ("FP32", [-1, 1])}


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_lists_and_several_outputs_equal_those_of_tensorflow_servings_api(binary, client, protocol, server):
    if protocol == "grpc" and not binary:
        pytest.skip("the client sends raw contents only")
    options = {"binary_data": binary} if protocol == "http" else {}
    names = ("scaled", "sum", "count")
    wanted = [CLIENTS[protocol].InferRequestedOutput(name, **options) for name in names]
    finite = np.nan_to_num(VALUES)

    answer = client.infer(
        "many", [given(protocol, "values", finite, **options)], outputs=wanted, request_id="mine", parameters=LISTS
    )

    body = {"signature_name": "lists", "inputs": {"values": finite.tolist()}}
    expected = server.predict(body, "/v1/models/many:predict").json()["outputs"]
    for name in names:
        array = answer.as_numpy(name)
        np.testing.assert_array_equal(array, np.array(expected[name], array.dtype))
    assert answer.as_numpy("sum").dtype == np.float32
    response = answer.get_response() if protocol == "http" else answer.get_response(as_json=True)
    assert (response["model_name"], response["model_version"], response["id"]) == ("many", "2", "mine")


def test_strings_and_missing_raw_features(client, protocol):
    answer = client.infer(
        "flights",
        [given(protocol, "carrier", np.array([b"AA", "Ü".encode()], object))],
        parameters={"signature_name": "echo"},
        model_version="7",
    )

    assert answer.as_numpy("carrier").tolist() == [b"AA", "Ü".encode()]
    assert answer.as_numpy("hour").tolist() == [-(2**63)] * 2
    assert np.isnan(answer.as_numpy("distance")).all()


def test_not_a_number_travels_in_binary_form(client, protocol):
    answer = client.infer("many", [given(protocol, "values", VALUES)], parameters=LISTS)

    np.testing.assert_array_equal(answer.as_numpy("scaled"), VALUES * 2)


@pytest.mark.parametrize(
    ("model", "name", "array", "complaint"),
    [
        ("absent", "hour", np.array([1]), "Servable not found"),
        ("flights", "hours", np.array([1]), "Inputs expected to be in the set {carrier, distance, hour}"),
        ("flights", "hour", np.array([1.5], np.float32), "expected: hour: int64 [?]"),
        ("flights", "hour", np.array([[1]]), "expected: hour: int64 [?]"),
        ("flights", "hour", np.array([99]), "hour must be below 24"),
    ],
    ids=["model", "name", "type", "shape", "value"],
)
def test_says_what_a_request_must_have(model, name, array, complaint, client, protocol):
    with pytest.raises(InferenceServerException) as error:
        client.infer(model, [given(protocol, name, array)])

    assert complaint in error.value.message()


def test_an_output_that_is_not_there_is_named(client, protocol):
    wanted = [CLIENTS[protocol].InferRequestedOutput("none")]
    with pytest.raises(InferenceServerException, match="no output none; the model has probability"):
        client.infer("flights", [given(protocol, "hour", np.array([1]))], outputs=wanted)


REFUSED = [
    ({}, "Missing 'inputs'"),
    ({"inputs": [{"name": "hour"}]}, "expected name, shape"),
    ({"inputs": [{"name": "hour", "shape": [1], "datatype": "INT"}]}, "datatype 'INT' is not known; expected one of"),
    ({"inputs": [{"name": "hour", "shape": [-1], "datatype": "INT64", "data": []}]}, "none of them negative"),
    ({"inputs": [{"name": "hour", "shape": [2], "datatype": "INT64", "data": [1]}]}, "needs 2 values, 1 came"),
    ({"inputs": [{"name": "hour", "shape": [1], "datatype": "INT64", "data": [1.5]}]}, "value 0 of data"),
    ({"inputs": [{"name": "hour", "shape": [1], "datatype": "INT64", "data": [None]}]}, "value 0 of data"),
    (
        {"inputs": [{"name": "hour", "shape": [1], "datatype": "INT64", "parameters": {"binary_data_size": 8}}]},
        "binary_data_size 8 with 0 bytes left",
    ),
    ({"inputs": {"hour": 1}}, "'inputs' must be a list of objects"),
]


@pytest.mark.parametrize(("body", "complaint"), REFUSED, ids=[each[1] for each in REFUSED])
def test_refuses_over_rest_what_is_no_request(body, complaint, server):
    answer = server.predict(body, "/v2/models/flights/infer")

    assert answer.status_code == 400
    assert complaint in answer.json()["error"]


def test_rest_takes_nested_data_as_well_as_flat(server):
    nested = {"name": "values", "shape": [1, 3], "datatype": "FP32", "data": [[1, 2, 0.1]]}
    answers = [
        server.predict({"inputs": [{**nested, "data": data}], "parameters": LISTS}, "/v2/models/many/infer").json()
        for data in ([[1, 2, 0.1]], [1, 2, 0.1])
    ]

    assert answers[0] == answers[1]
    assert {each["name"]: each["data"] for each in answers[0]["outputs"]}["scaled"] == [2.0, 4.0, 0.2]


def test_rest_has_health_and_says_its_addresses(server):
    assert server.client.get("/v2/health/live").json() == {"live": True}
    assert server.client.get("/v2/health/ready").json() == {"ready": True}
    assert server.client.get("/v2/models/flights/ready").json() == {"name": "flights", "ready": True}
    wrong = server.client.get("/v2/models/flights/infer")
    assert (wrong.status_code, "expected: POST /v2/models/NAME/infer" in wrong.json()["error"]) == (400, True)
    assert json.loads(server.client.get("/v2").text)["name"] == "kfp-ct"


def test_the_service_has_not_the_clients_package(server):
    python = str(component_python(ROOT))
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('tritonclient') is not None)"

    assert subprocess.run([python, "-c", code], check=False).returncode == 0
    assert sys.executable != python
