"""The Open Inference Protocol over gRPC: GRPCInferenceService."""

from typing import Any

import numpy as np

from kfp_ct.serving import oip
from kfp_ct.serving.errors import InvalidRequestError, ModelNotFoundError
from kfp_ct.serving.loaded_version import Model
from kfp_ct.serving.messages import open_inference
from kfp_ct.serving.predictor import Arrays, Call, Codec, Predictor
from kfp_ct.serving.tfs_grpc import Method
from kfp_ct.serving.values import Inputs

_INT, _UINT = "int_contents", "uint_contents"
_CONTENTS = {
    "BOOL": "bool_contents", "INT8": _INT, "INT16": _INT, "INT32": _INT, "INT64": "int64_contents", "UINT8": _UINT,
    "UINT16": _UINT, "UINT32": _UINT, "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents",
    oip.BYTES: "bytes_contents",
}  # fmt: skip
_METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")


class OpenInferenceGrpc:
    """Answers the methods; each takes the request and its id."""

    def __init__(self, predictor: Predictor) -> None:
        """Answers from a predictor's models."""
        self._predictor = predictor

    def services(self) -> dict[str, dict[str, tuple[Any, Any, Method]]]:
        """Returns request class, response class and function of every method, by service."""
        functions: tuple[Method, ...] = (
            self._live,
            self._ready,
            self._model_ready,
            self._server,
            self._model,
            self._infer,
        )
        methods = {
            name: (open_inference(f"{name}Request"), open_inference(f"{name}Response"), function)
            for name, function in zip(_METHODS, functions, strict=True)
        }
        return {"inference.GRPCInferenceService": methods}

    async def _live(self, request: Any, request_id: str) -> Any:
        return open_inference("ServerLiveResponse")(live=True)

    async def _ready(self, request: Any, request_id: str) -> Any:
        return open_inference("ServerReadyResponse")(ready=self._predictor.ready())

    async def _model_ready(self, request: Any, request_id: str) -> Any:
        try:
            with self._predictor.versions.leased(request.name, _version(request.version)):
                return open_inference("ModelReadyResponse")(ready=True)
        except ModelNotFoundError:
            return open_inference("ModelReadyResponse")(ready=False)

    async def _server(self, request: Any, request_id: str) -> Any:
        return open_inference("ServerMetadataResponse")(**oip.SERVER)

    async def _model(self, request: Any, request_id: str) -> Any:
        with self._predictor.versions.leased(request.name, _version(request.version)) as (model, _):
            available = self._predictor.versions.available(request.name)
            return open_inference("ModelMetadataResponse")(**oip.metadata(request.name, available, model))

    async def _infer(self, request: Any, request_id: str) -> Any:
        raw = bool(request.raw_input_contents)

        def decode(model: Model) -> tuple[str, Inputs]:
            return oip.question(model, request.parameters[oip.SIGNATURE].string_param, _arrays(request))

        def encode(model: Model, version: int, outputs: Arrays) -> Any:
            answer = open_inference("ModelInferResponse")(
                model_name=request.model_name, model_version=str(version), id=request.id
            )
            _fill(answer, {name: outputs[name] for name in oip.chosen([o.name for o in request.outputs], outputs)}, raw)
            return answer

        call = Call(request.model_name, _version(request.model_version), request_id, "oip-grpc", request.ByteSize())
        return await self._predictor.answer(call, Codec(decode, encode))


def _version(given: str) -> int | None:
    if not given:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= 18):
        raise InvalidRequestError(f"version {given[:40]!r}; expected: a number, or nothing for the one that answers")
    return int(given)


def _arrays(request: Any) -> Arrays:
    if not request.inputs:
        raise InvalidRequestError("there are no inputs\nexpected: name, shape, datatype and contents of each")
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise InvalidRequestError(f"{len(request.inputs)} inputs, {len(raw)} raw_input_contents; expected: as many")
    arrays: Arrays = {}
    for index, given in enumerate(request.inputs):
        tensor = oip.Tensor(given.name, given.datatype, tuple(given.shape))
        if tensor.name in arrays:
            raise InvalidRequestError(f"input {tensor.name} is there twice")
        arrays[tensor.name] = tensor.of_bytes(raw[index]) if raw else _typed(tensor, given.contents)
    return arrays


def _typed(tensor: oip.Tensor, contents: Any) -> np.ndarray:
    field = _CONTENTS.get(tensor.datatype)
    if field is None:
        raise InvalidRequestError(f"input {tensor.name}: {tensor.datatype} comes in raw_input_contents only")
    values = list(getattr(contents, field))
    if not values and tensor.count:
        raise InvalidRequestError(f"input {tensor.name}: expected {tensor.count} values in {field}")
    return tensor.of_values(values)


def _fill(answer: Any, outputs: Arrays, raw: bool) -> None:
    """Gives outputs in the form that the inputs had; types that have no contents of their own are raw."""
    tensors = [oip.described(name, array) for name, array in outputs.items()]
    raw = raw or any(tensor.datatype not in _CONTENTS for tensor in tensors)
    for tensor in tensors:
        output = answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        array = outputs[tensor.name]
        if raw:
            answer.raw_output_contents.append(oip.to_bytes(array))
        else:
            getattr(output.contents, _CONTENTS[tensor.datatype]).extend(array.reshape(-1).tolist())
