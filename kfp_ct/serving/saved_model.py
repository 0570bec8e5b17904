"""A SavedModel as a service answers from it."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from kfp_ct.serving import bodies, signature_calls, tensors, warm_up
from kfp_ct.serving.batch_trial import rows_are_independent, varied_rows
from kfp_ct.serving.errors import InvalidRequestError
from kfp_ct.serving.model_check import check_files, check_graph, check_manifest
from kfp_ct.serving.values import Inputs, InputSpec, Lists, missing_rows

_SERVE_TAG = "serve"
# One row, and enough rows for TensorFlow to have allocated what larger requests need.
_WARM_UP_ROWS = (1, 64)


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A response's body, and what the model took and gave for it."""

    body: bytes
    signature: str
    inputs: Inputs
    outputs: dict[str, np.ndarray]


class SavedModel:
    """A loaded model; `predict` may be called from several threads."""

    def __init__(self, path: Path) -> None:
        """Loads a SavedModel; whatever TensorFlow raises means that it cannot be served."""
        check_files(path)
        check_manifest(path)
        self._path = path
        self.definitions = _signature_definitions(path)
        self._loaded = tf.saved_model.load(str(path))
        self._signatures: dict[str, Callable[..., dict[str, tf.Tensor]]] = dict(self._loaded.signatures)
        self.specs = {name: _specs(self.definitions[name]) for name in self._signatures}
        self._types = {name: _types(specs) for name, specs in self.specs.items()}
        self._calls = {
            name: signature_calls.by_name(call, self._types[name]) for name, call in self._signatures.items()
        }
        self._batches: set[str] = set()
        self.warmed_up = 0  # requests of the model's own that were answered

    def predict(self, body: bytes) -> Prediction:
        """Answers the body of a predict request with the body of its response.

        Raises:
            InvalidRequestError: The request does not fit the API or the signature.
        """
        question = bodies.decode(body, self.specs)
        outputs = self.run(question.signature, question.inputs)
        return Prediction(bodies.encode(outputs, question.by_row), question.signature, question.inputs, outputs)

    def batches(self, signature: str) -> bool:
        """Whether requests for a signature may be put together: its rows were seen not to depend on each other."""
        return signature in self._batches

    def warm_up(self) -> None:
        """Answers the requests that the model brings along, and made-up rows, so that the first real one is not slow.

        The made-up rows also tell whether rows may be batched.

        Raises:
            InvalidRequestError: A request is refused; all others were answered before.
        """
        refusals = []
        for name, specs in self.specs.items():
            if [spec.dtype for spec in specs.values()] == ["string"]:
                continue  # most likely serialized tf.Examples, which cannot be made up
            examples = _fed(varied_rows(specs))
            self._calls[name] = signature_calls.fastest(self._signatures[name], self._types[name], examples)
            if rows_are_independent(functools.partial(self.run, name), specs):
                self._batches.add(name)
            try:
                for rows in _WARM_UP_ROWS:
                    self.run(name, {spec.name: _made_up(spec, rows) for spec in specs.values()})
            except InvalidRequestError as error:
                refusals.append(error)
        try:
            for name, inputs in warm_up.requests(self._path, self.specs):
                self.run(name, inputs)
                self.warmed_up += 1
        except InvalidRequestError as error:
            refusals.append(error)
        if refusals:
            raise refusals[0]

    def metadata(self) -> dict[str, Any]:
        """Returns the signatures as TensorFlow Serving's metadata API gives them."""
        return {name: _definition_json(definition) for name, definition in sorted(self.definitions.items())}

    def run(self, name: str, arrays: Inputs) -> dict[str, np.ndarray]:
        """Returns a signature's outputs for inputs that fit it.

        Raises:
            InvalidRequestError: The model refuses them.
        """
        try:
            return self._calls[name](_fed(arrays))
        except (tf.errors.InvalidArgumentError, ValueError) as error:
            raise InvalidRequestError(f"the model cannot take this request: {error}") from error


def _fed(inputs: Inputs) -> dict[str, np.ndarray]:
    return {name: array.padded() if isinstance(array, Lists) else array for name, array in inputs.items()}


def _types(specs: tensors.Specs) -> dict[str, tf.DType]:
    return {name: tf.as_dtype(spec.dtype) for name, spec in specs.items()}


def _signature_definitions(path: Path) -> dict[str, meta_graph_pb2.SignatureDef]:
    saved_model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    for graph in saved_model.meta_graphs:
        if _SERVE_TAG in graph.meta_info_def.tags:
            check_graph(graph)
            # A copy of each, so that the graph itself is not kept in memory.
            return {
                name: meta_graph_pb2.SignatureDef.FromString(definition.SerializeToString())
                for name, definition in graph.signature_def.items()
            }
    raise ValueError(f"no graph with the tag {_SERVE_TAG!r} in {path}")


def _specs(definition: meta_graph_pb2.SignatureDef) -> tensors.Specs:
    return {name: _spec(name, info) for name, info in definition.inputs.items()}


def _spec(name: str, info: meta_graph_pb2.TensorInfo) -> InputSpec:
    dtype = types_pb2.DataType.Name(info.dtype).removeprefix("DT_").lower()
    array_type = np.dtype(object) if dtype == "string" else np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype)
    shape = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
    return InputSpec(name, dtype, array_type, None if info.tensor_shape.unknown_rank else shape)


def _made_up(spec: InputSpec, rows: int) -> np.ndarray | Lists:
    if spec.missing is not None:
        return missing_rows(spec, rows)
    shape = spec.shape if spec.shape is not None else (None,)
    sizes = [rows if axis == 0 and size is None else size or 1 for axis, size in enumerate(shape)]
    return np.full(sizes, b"" if spec.dtype == "string" else 0, spec.array_type)


def _definition_json(definition: meta_graph_pb2.SignatureDef) -> dict[str, Any]:
    return {
        "inputs": {name: _info_json(info) for name, info in sorted(definition.inputs.items())},
        "outputs": {name: _info_json(info) for name, info in sorted(definition.outputs.items())},
        "method_name": definition.method_name,
    }


def _info_json(info: meta_graph_pb2.TensorInfo) -> dict[str, Any]:
    dims = [{"size": str(dim.size), "name": dim.name} for dim in info.tensor_shape.dim]
    return {
        "dtype": types_pb2.DataType.Name(info.dtype),
        "tensor_shape": {"dim": dims, "unknown_rank": info.tensor_shape.unknown_rank},
        "name": info.name,
    }
