"""Requests that a model brings along to be answered before it is ready, as TensorFlow Serving reads them.

Source: https://www.tensorflow.org/tfx/serving/saved_model_warmup.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf import message

from kfp_ct.serving import examples, tensor_protos, typed_inputs
from kfp_ct.serving.bodies import signature_name
from kfp_ct.serving.errors import InvalidRequestError
from kfp_ct.serving.messages import tf_serving
from kfp_ct.serving.tensors import Specs
from kfp_ct.serving.values import Inputs

FILE = "assets.extra/tf_serving_warmup_requests"
# TensorFlow Serving refuses more.
MOST = 1_000


def requests(folder: Path, specs: dict[str, Specs]) -> Iterator[tuple[str, Inputs]]:
    """Yields signature and inputs of the requests in a SavedModel's folder.

    Raises:
        InvalidRequestError: The file or a request cannot be read, or does not fit the signature.
    """
    path = folder / FILE
    if not path.is_file():
        return
    log_class = tf_serving("PredictionLog")
    try:
        for number, record in enumerate(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()):
            if number == MOST:
                raise InvalidRequestError(f"{FILE} holds more than {MOST} requests")
            yield from _of_log(log_class.FromString(record), specs)
    except (tf.errors.OpError, message.DecodeError, ValueError) as error:
        raise InvalidRequestError(f"{FILE} cannot be read: {error}") from error


def _of_log(log: Any, specs: dict[str, Specs]) -> Iterator[tuple[str, Inputs]]:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        request = log.predict_log.request
        name = signature_name({"signature_name": request.model_spec.signature_name}, specs)
        arrays = {alias: tensor_protos.to_array(alias, tensor) for alias, tensor in request.inputs.items()}
        yield name, typed_inputs.fitted(arrays, specs[name])
    elif kind in ("classify_log", "regress_log"):
        request = getattr(log, kind).request
        yield _of_examples(request.model_spec.signature_name, request.input, specs)
    elif kind == "multi_inference_log":
        request = log.multi_inference_log.request
        for task in request.tasks:
            yield _of_examples(task.model_spec.signature_name, request.input, specs)
    else:
        raise InvalidRequestError(f"{FILE} holds a request of the kind {kind}, which is not answered here")


def _of_examples(signature: str, given: Any, specs: dict[str, Specs]) -> tuple[str, Inputs]:
    name = signature_name({"signature_name": signature}, specs)
    return name, examples.to_inputs(examples.of_input(given), specs[name])
