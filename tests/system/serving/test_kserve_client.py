"""The Open Inference Protocol asked with KServe's own client, where a Python that has it is named."""

import json
import os
import subprocess

import numpy as np
import pytest

from kfp_ct.project.environments import component_python
from prediction_server import Server
from repository import ROOT

PYTHON = os.environ.get("CT_KSERVE_PYTHON", "")
VALUES = [[0.1, 2.5, -3.0], [1e-8, 0.3, 4.0]]
HELPERS = ROOT / "tests" / "helpers"

pytestmark = pytest.mark.skipif(not PYTHON, reason="CT_KSERVE_PYTHON names no Python: docs/serving-protocols.md")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root, python = tmp_path_factory.mktemp("kserve"), str(component_python(ROOT))
    script = [python, str(HELPERS / "saved_models.py"), str(root / "many" / "2"), "signatures"]
    subprocess.run(script, check=True, capture_output=True)
    server = Server(root, "--grpc-port", "0", python=python)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def found(server):
    command = [PYTHON, str(HELPERS / "kserve_client.py"), server.url, server.grpc]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
@pytest.mark.parametrize("form", ["json", "binary"])
def test_kserves_client_gets_what_tensorflow_servings_api_answers(protocol, form, found, server):
    answer = found[protocol][form]

    body = {"signature_name": "lists", "inputs": {"values": VALUES}}
    expected = server.predict(body, "/v1/models/many:predict").json()["outputs"]
    # KServe's client leaves the version out of what it reads over REST (0.21, `InferResponse.from_bytes`).
    version = {"rest": None, "grpc": "2"}[protocol]
    assert (answer["id"], answer["model"], answer["version"]) == ("mine", "many", version)
    for name, datatype in (("scaled", "FP32"), ("sum", "FP32"), ("count", "INT32")):
        kind, shape, values = answer["outputs"][name]
        assert (kind, shape) == (datatype, list(np.shape(expected[name])))
        np.testing.assert_array_equal(np.array(values, np.float32), np.array(expected[name], np.float32))


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_health_and_readiness(protocol, found):
    answer = found[protocol]

    assert (answer["live"], answer["ready"], answer["model"]) == (True, True, [True, False])


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_what_is_refused_is_said(protocol, found):
    assert "Servable not found for request: Latest(absent)" in found[protocol]["refused"]
