"""Served versions without TensorFlow: JSON says what a version answers; the service around it is the real one."""

import asyncio
import json
from pathlib import Path

import numpy as np

from kfp_ct.serving.batching import Batching
from kfp_ct.serving.errors import InvalidRequestError
from kfp_ct.serving.limits import LOOPBACK_NAMES, Limits
from kfp_ct.serving.predictor import Call, Codec, Predictor
from kfp_ct.serving.values import InputSpec
from kfp_ct.serving.versions import Versions

SPECS = {"serving_default": {"x": InputSpec("x", "float", np.dtype(np.float32), (None,))}}


class NumpyModel:
    """A logistic model of one input: slope and bias from its folder; it may break when loaded or when asked."""

    def __init__(self, folder):
        self.said = json.loads((folder / "saved_model.pb").read_text())
        if self.said.get("broken"):
            raise ValueError("cannot parse saved_model.pb")
        self.specs, self.definitions = SPECS, {}

    def batches(self, signature):
        return True

    def run(self, signature, inputs):
        if self.said.get("fails"):
            raise InvalidRequestError("no such feature")
        logits = self.said.get("slope", 1.0) * inputs["x"].astype(np.float64) + self.said.get("bias", 0.0)
        return {"probability": 1 / (1 + np.exp(-logits))}

    def metadata(self):
        return {}

    def warm_up(self):
        pass


def save_version(folder, **said):
    """Writes a version as a folder that is a SavedModel by its name."""
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_text(json.dumps(said))
    return folder


def service(root, request_log=None):
    """Returns the service's predictor over the models below a root; its folder was looked at once."""
    versions = Versions(Path(root), NumpyModel)
    versions.poll()
    return Predictor(versions, Limits(1 << 20, 256, 1, LOOPBACK_NAMES), Batching("off"), request_log)


def ask(predictor, requests, model="m"):
    """Asks for the answers of (id, values of x), one after the other; returns version and probabilities of each."""

    async def all_of_them():
        answers = []
        for request_id, values in requests:
            inputs = {"x": np.asarray(values, np.float32)}
            codec = Codec(
                lambda model, inputs=inputs: ("serving_default", inputs),
                lambda model, version, outputs: (version, outputs["probability"].tolist()),
            )
            answers.append(await predictor.answer(Call(model, None, request_id, "rest", 1), codec))
        return answers

    return asyncio.run(all_of_them())
