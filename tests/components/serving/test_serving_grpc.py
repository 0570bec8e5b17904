"""TensorFlow Serving's gRPC API, asked with the stubs of tensorflow-serving-api, and gRPC's health protocol."""

import importlib
import json
import shutil

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from kfp_ct.serving import messages
from prediction_server import Server
from saved_models import save, save_signatures


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("grpc")
    save_signatures(root / "many" / "2")
    save(root / "flights" / "7", 1)
    (root / "many" / "labels.json").write_text('{"stable": 2}')
    return root


@pytest.fixture(scope="module")
def server(root):
    server = Server(root, "--grpc-port", "0", "--max-body-mb", "1")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc) as channel:
        yield channel


@pytest.fixture(scope="module")
def prediction(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def request(model, signature="", **inputs):
    """Returns a request; whole numbers are int64, as the models take them."""
    asked = predict_pb2.PredictRequest()
    asked.model_spec.name, asked.model_spec.signature_name = model, signature
    for name, value in inputs.items():
        if not hasattr(value, "tensor_shape"):
            whole = isinstance(value, list) and isinstance(value[0], int)
            value = tf.make_tensor_proto(np.array(value, np.int64) if whole else value)
        asked.inputs[name].CopyFrom(value)
    return asked


def arrays(response):
    return {name: tf.make_ndarray(tensor).tolist() for name, tensor in response.outputs.items()}


def example(hour):
    made = tf.train.Example()
    made.features.feature["hour"].int64_list.value.append(hour)
    return made


def refused(call, asked):
    with pytest.raises(grpc.RpcError) as error:
        call(asked, timeout=30)
    return error.value.code().name, error.value.details()


def test_predicts(prediction):
    answer = prediction.Predict(request("many", "lists", values=np.array([[1, 2, 3], [0, 0, 0.5]], np.float32)))

    assert arrays(answer) == {"scaled": [[2, 4, 6], [0, 0, 1]], "sum": [6, 0.5], "count": [3, 3]}
    assert (answer.model_spec.version.value, answer.model_spec.signature_name) == (2, "lists")
    assert list(answer.outputs["sum"].float_val) == [6, 0.5], "clients read the typed values"


def test_an_output_filter_and_a_label_are_followed(prediction):
    asked = request("many", "lists", values=np.zeros((1, 3), np.float32))
    asked.output_filter.append("sum")
    asked.model_spec.version_label = "stable"

    assert list(prediction.Predict(asked).outputs) == ["sum"]


def test_strings_and_missing_raw_features(prediction):
    answer = prediction.Predict(request("flights", "echo", carrier=[b"AA", b"\xff"]))

    assert arrays(answer)["carrier"] == [b"AA", b"\xff"]
    assert arrays(answer)["hour"] == [-(2**63)] * 2


@pytest.mark.parametrize("value", [[1, 2, 3], [7]], ids=str)
def test_typed_values_content_and_repeated_values_are_the_same(value, prediction):
    tensor = tf.make_tensor_proto(np.array(value, np.int64))
    content = tensor.__class__(dtype=tensor.dtype, tensor_shape=tensor.tensor_shape)
    content.tensor_content = np.array(value, np.int64).tobytes()
    echoed = [arrays(prediction.Predict(request("flights", "echo", hour=each)))["hour"] for each in (tensor, content)]

    assert echoed == [value, value]
    repeated = tensor.__class__(dtype=tensor.dtype, int64_val=[5])
    repeated.tensor_shape.dim.add(size=3)
    assert arrays(prediction.Predict(request("flights", "echo", hour=repeated)))["hour"] == [5, 5, 5]


def test_classifies_and_regresses(prediction):
    classify, regress = classification_pb2.ClassificationRequest(), regression_pb2.RegressionRequest()
    for asked, signature in ((classify, "classes"), (regress, "values")):
        asked.model_spec.name, asked.model_spec.signature_name = "many", signature
        asked.input.example_list.examples.extend([example(6), example(12)])

    classes = prediction.Classify(classify).result.classifications
    values = prediction.Regress(regress).result.regressions

    assert [[(c.label, c.score) for c in row.classes] for row in classes] == [
        [("in time", 0.75), ("late", 0.25)],
        [("in time", 0.5), ("late", 0.5)],
    ]
    assert [row.value for row in values] == [0.25, 0.5]


def test_infers_by_several_signatures_at_once(prediction):
    asked = inference_pb2.MultiInferenceRequest()
    for signature, method in (("classes", "classify"), ("values", "regress")):
        task = asked.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = "many", signature
    asked.input.example_list_with_context.context.CopyFrom(example(6))
    asked.input.example_list_with_context.examples.add()

    results = prediction.MultiInference(asked).results

    assert results[0].classification_result.classifications[0].classes[1].score == 0.25
    assert results[1].regression_result.regressions[0].value == 0.25


def test_reports_metadata_and_status(channel, prediction):
    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name = "many"
    metadata = prediction.GetModelMetadata(asked)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert metadata.metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["lists"].inputs["values"].dtype == tf.float32.as_datatype_enum

    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "many"
    states = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(status).model_version_status
    assert [(state.version, state.state) for state in states] == [(2, 30)]


def test_says_what_a_request_must_have(prediction):
    tensor = tf.make_tensor_proto(np.zeros(2, np.int64))
    tensor.tensor_shape.dim[0].size = 10**12
    cases = {
        "Servable not found": request("absent", hour=[1]),
        "name is empty": request(""),
        '"none" not found in signature def; it has: classes': request("many", "none"),
        "alias not found in signature: hours. Inputs expected to be in the set {carrier, distance, hour}": request(
            "flights", hours=[1]
        ),
        "Missing named input: values\nexpected: values: float [?, 3]": request("many", "lists"),
        "has the type float32\nexpected: hour: int64 [?]": request("flights", hour=[1.0]),
        "has the shape [1, 1]\nexpected: hour: int64 [?]": request("flights", hour=np.array([[1]])),
        "hour must be below 24": request("flights", hour=np.array([99])),
        "tensor_content has 16 bytes": request("flights", hour=tensor),
    }
    for message, asked in cases.items():
        code, details = refused(prediction.Predict, asked)
        assert message in details
        assert code == ("NOT_FOUND" if "Servable" in message else "INVALID_ARGUMENT")


def test_a_small_tensor_that_says_it_is_huge_costs_no_memory(prediction):
    tensor = tf.make_tensor_proto(np.zeros(1, np.int64)).__class__(dtype=tf.int64.as_datatype_enum, int64_val=[1])
    tensor.tensor_shape.dim.add(size=10**11)

    assert "needs 100000000000 values" in refused(prediction.Predict, request("flights", hour=tensor))[1]


def test_a_request_that_is_too_large_is_refused(prediction):
    assert refused(prediction.Predict, request("flights", carrier=[b"x" * 1_100_000]))[0] == "RESOURCE_EXHAUSTED"


def test_the_answers_of_rest_and_grpc_are_equal(server, prediction):
    values = [[0.1, 2.5, -3.0], [1e-8, 0.3, 7.0]]
    by_grpc = arrays(prediction.Predict(request("many", "lists", values=np.array(values, np.float32))))
    by_rest = server.predict({"signature_name": "lists", "inputs": {"values": values}}, "/v1/models/many:predict")

    for name, value in by_rest.json()["outputs"].items():
        assert np.float32(value).tolist() == by_grpc[name]


def test_health_and_request_ids(channel):
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=messages.health("HealthCheckRequest").SerializeToString,
        response_deserializer=messages.health("HealthCheckResponse").FromString,
    )
    assert check(messages.health("HealthCheckRequest")()).status == 1
    assert check(messages.health("HealthCheckRequest")(service="tensorflow.serving.PredictionService")).status == 1
    assert refused(check, messages.health("HealthCheckRequest")(service="x"))[0] == "NOT_FOUND"
    _, call = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict.with_call(
        request("flights", hour=[1]), metadata=(("x-request-id", "mine"),)
    )
    assert ("x-request-id", "mine") in call.trailing_metadata()


def test_a_token_is_asked_for(root, tmp_path):
    (tmp_path / "token").write_text("secret")
    server = Server(root, "--grpc-port", "0", "--token-file", str(tmp_path / "token"))
    try:
        with grpc.insecure_channel(server.grpc) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            assert refused(stub.Predict, request("flights", hour=[1]))[0] == "UNAUTHENTICATED"
            stub.Predict(request("flights", hour=[1]), metadata=(("authorization", "Bearer secret"),))
    finally:
        server.stop()


def test_a_taken_port_is_said(root, server, tmp_path):
    shutil.copytree(root / "flights", tmp_path / "flights")
    with pytest.raises(json.JSONDecodeError):
        Server(tmp_path, "--grpc-port", server.grpc.rpartition(":")[2])


@pytest.mark.parametrize(
    "name", ["predict", "classification", "regression", "inference", "get_model_metadata", "model"]
)
def test_the_messages_are_those_of_tensorflow_serving(name):
    theirs = importlib.import_module(f"tensorflow_serving.apis.{name}_pb2").DESCRIPTOR
    for message in theirs.message_types_by_name.values():
        expected, ours = descriptor_pb2.DescriptorProto(), descriptor_pb2.DescriptorProto()
        message.CopyToProto(expected)
        messages.tf_serving(message.name).DESCRIPTOR.CopyToProto(ours)
        assert ours == expected
