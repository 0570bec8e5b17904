"""Requests that nobody meant: valid ones of every protocol of the prediction service, damaged by a seeded random.

    .venv-components/bin/python tests/helpers/serving_fuzz.py COUNT SEED

fuzzes a service of its own with COUNT requests a protocol and prints what came back.
"""

import base64
import collections
import gzip
import json
import random
import sys

import grpc
import numpy as np
import tensorflow as tf

from kfp_ct.serving import messages

SERVER_FAULTS = {"500", "INTERNAL", "UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED"}
_ODD = [
    None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**64, -(2**63) - 1, 1e308, -0.0, float("nan"), float("inf"), 10**400,
    "", "a", "\ud800", "\x00", "é" * 50, [], [[]], [None], [[1], [2, 3]], [[[[[1]]]]], {}, {"b64": "AAE="},
    {"b64": "?"}, {"b64": 1}, {"a": {"a": []}}, "inputs", "instances", [{}], [[{}]],
]  # fmt: skip
_EXAMPLE = base64.b64encode(tf.train.Example().SerializeToString()).decode()
_PREDICT = [
    {"instances": [{"carrier": "AA", "hour": 3, "distance": 1.5}, {"hour": None}]},
    {"inputs": {"carrier": ["AA", {"b64": "/w=="}], "hour": [1, 2], "distance": [[1], [2.5]]}},
    {"signature_name": "lists", "instances": [{"values": [1, 2, 3.5]}]},
    {"signature_name": "values", "inputs": [{"b64": _EXAMPLE}]},
    {"signature_name": "ranked", "inputs": [1, 2]},
]  # fmt: skip
_EXAMPLES = [
    {"signature_name": "classes", "context": {"hour": 6}, "examples": [{}, {"hour": [12]}]},
    {"signature_name": "values", "examples": [{"hour": 6}]},
    {"examples": [{"hour": 6}]},
]
_INFER = [
    {
        "id": "1",
        "inputs": [{"name": "hour", "shape": [2], "datatype": "INT64", "data": [1, 2]}],
        "outputs": [{"name": "hour", "parameters": {"binary_data": True}}],
        "parameters": {"signature_name": "echo"},
    },
    {
        "inputs": [{"name": "hour", "shape": [1], "datatype": "INT64", "parameters": {"binary_data_size": 8}}],
        "parameters": {"signature_name": "echo", "binary_data_output": True},
    },
    {"inputs": [{"name": "carrier", "shape": [1], "datatype": "BYTES", "data": ["AA"]}], "parameters": {}},
]


def damaged_json(chance, value, depth=0):
    """Returns a JSON value with parts of it exchanged, left out or put in twice."""
    if chance.random() < 0.05:
        return chance.choice(_ODD)
    if isinstance(value, dict):
        changed = {
            (key if chance.random() > 0.03 else chance.choice(["", "hour", "x" * 40])): damaged_json(chance, item)
            for key, item in value.items()
            if chance.random() > 0.04
        }
        return {**changed, "extra": chance.choice(_ODD)} if chance.random() < 0.03 else changed
    if isinstance(value, list):
        return [damaged_json(chance, item) for item in value for _ in range(chance.choice([1, 1, 1, 1, 0, 2, 3]))]
    return value


def damaged_bytes(chance, body):
    """Returns bytes with some of them exchanged, cut, repeated or put in."""
    body = bytearray(body)
    for _ in range(chance.choice([0, 0, 0, 0, 0, 0, 1, 1, 2, 5])):
        place = chance.randrange(len(body) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            del body[place:]
        elif kind == 1:
            body[place:place] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
        elif kind == 2 and place < len(body):
            body[place] = chance.randrange(256)
        else:
            body[place:place] = body[max(0, place - 20) : place]
    return bytes(body)


def rest_request(chance, protocol):
    """Returns path, body and headers of a request over HTTP."""
    seeds, action = {
        "predict": (_PREDICT, ":predict"),
        "examples": (_EXAMPLES, chance.choice([":classify", ":regress"])),
        "infer": (_INFER, "/infer"),
    }[protocol]
    model = chance.choice(["many", "flights", "flights", "many", "absent", "flights/versions/7", "many/labels/a"])
    path = f"/{'v2' if protocol == 'infer' else 'v1'}/models/{model}{action}"
    seed = chance.choice(seeds)
    value = damaged_json(chance, seed) if chance.random() < 0.8 else seed
    body = json.dumps(value, ensure_ascii=chance.random() < 0.5).encode(errors="surrogatepass")
    headers = {}
    if protocol == "infer" and chance.random() < 0.6:
        headers["inference-header-content-length"] = str(
            chance.choice([len(body), len(body), len(body), len(body) - 1, 0, "x", 10**9])
        )
        body += np.array([3], np.int64).tobytes()[: chance.choice([8, 8, 8, 3, 0])]
    body = damaged_bytes(chance, body)
    if chance.random() < 0.1:
        headers["content-encoding"] = chance.choice(["gzip", "gzip", "br"])
        body = damaged_bytes(chance, gzip.compress(body))
    return path, body, headers


def _predict_seeds():
    request = messages.tf_serving("PredictRequest")()
    request.model_spec.name, request.model_spec.signature_name = "flights", "echo"
    for name, value in (("hour", np.array([1, 2])), ("carrier", np.array([b"AA", b""], object))):
        request.inputs[name].MergeFromString(tf.make_tensor_proto(value).SerializeToString())
    lists = messages.tf_serving("PredictRequest")()
    lists.model_spec.name, lists.model_spec.signature_name = "many", "lists"
    values = np.ones((2, 3), np.float32)
    lists.inputs["values"].MergeFromString(tf.make_tensor_proto(values).SerializeToString())
    return [request, lists]


def _classify_seed(name="ClassificationRequest", signature="classes"):
    example = tf.train.Example()
    example.features.feature["hour"].int64_list.value.append(6)
    request = messages.tf_serving(name)()
    request.model_spec.name, request.model_spec.signature_name = "many", signature
    request.input.example_list.examples.add().MergeFromString(example.SerializeToString())
    return request


def _infer_seeds():
    typed = messages.open_inference("ModelInferRequest")(model_name="flights", id="1")
    typed.inputs.add(name="hour", datatype="INT64", shape=[2]).contents.int64_contents.extend([1, 2])
    raw = messages.open_inference("ModelInferRequest")(model_name="flights")
    raw.inputs.add(name="hour", datatype="INT64", shape=[1])
    raw.raw_input_contents.append(bytes(8))
    return [typed, raw]


def grpc_seeds():
    """Returns the requests that are damaged, by method."""
    service, inference = "/tensorflow.serving.PredictionService", "/inference.GRPCInferenceService"
    multi = messages.tf_serving("MultiInferenceRequest")()
    task = multi.tasks.add(method_name="tensorflow/serving/regress")
    task.model_spec.name, task.model_spec.signature_name = "many", "values"
    multi.input.CopyFrom(_classify_seed().input)
    metadata = messages.tf_serving("GetModelMetadataRequest")(metadata_field=["signature_def"])
    metadata.model_spec.name = "many"
    status = messages.tf_serving("GetModelStatusRequest")()
    status.model_spec.name = "many"
    return {
        "tfs-grpc": {
            f"{service}/Predict": _predict_seeds(),
            f"{service}/Classify": [_classify_seed()],
            f"{service}/Regress": [_classify_seed("RegressionRequest", "values")],
            f"{service}/MultiInference": [multi],
            f"{service}/GetModelMetadata": [metadata],
            "/tensorflow.serving.ModelService/GetModelStatus": [status],
        },
        "oip-grpc": {
            f"{inference}/ModelInfer": _infer_seeds(),
            f"{inference}/ModelMetadata": [messages.open_inference("ModelMetadataRequest")(name="many")],
            f"{inference}/ModelReady": [messages.open_inference("ModelReadyRequest")(name="many", version="2")],
        },
    }


def over_rest(server, protocol, count, seed):
    """Sends requests over HTTP; returns how often each status came, and the requests that are the server's fault."""
    chance, statuses, faults = random.Random(seed), collections.Counter(), []
    for _ in range(count):
        path, body, headers = rest_request(chance, protocol)
        status = str(server.client.post(path, content=body, headers=headers).status_code)
        statuses[status] += 1
        if status in SERVER_FAULTS:
            faults.append((path, body, headers))
    return statuses, faults


def over_grpc(channel, protocol, count, seed):
    """Sends requests over gRPC, likewise."""
    chance, statuses, faults = random.Random(seed), collections.Counter(), []
    seeds = grpc_seeds()[protocol]
    for _ in range(count):
        method = chance.choice(sorted(seeds))
        body = damaged_bytes(chance, chance.choice(seeds[method]).SerializeToString())
        try:
            channel.unary_unary(method)(body, timeout=60)
            status = "OK"
        except grpc.RpcError as error:
            status = error.code().name
        statuses[status] += 1
        if status in SERVER_FAULTS:
            faults.append((method, body))
    return statuses, faults


def main():
    import tempfile
    from pathlib import Path

    from prediction_server import Server
    from saved_models import save, save_signatures

    count, seed = int(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        save_signatures(Path(folder, "many", "2"))
        save(Path(folder, "flights", "7"), 1)
        server = Server(folder, "--grpc-port", "0", "--max-body-mb", "1")
        for protocol in ("predict", "examples", "infer"):
            statuses, faults = over_rest(server, protocol, count, seed)
            print(protocol, dict(statuses), faults[:3], flush=True)
        with grpc.insecure_channel(server.grpc) as channel:
            for protocol in ("tfs-grpc", "oip-grpc"):
                statuses, faults = over_grpc(channel, protocol, count, seed)
                print(protocol, dict(statuses), faults[:3], flush=True)
        print("afterwards", server.predict({"instances": [{"hour": 1}]}).text, server.stop())


if __name__ == "__main__":
    main()
