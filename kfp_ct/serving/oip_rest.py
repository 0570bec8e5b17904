"""The Open Inference Protocol over REST, with the binary tensor extension."""

import re
from typing import Any

import numpy as np
import orjson
from starlette.requests import Request
from starlette.responses import Response

from kfp_ct.serving import bodies, http, oip
from kfp_ct.serving.errors import InvalidRequestError, ServingError
from kfp_ct.serving.loaded_version import Model
from kfp_ct.serving.predictor import UNREAD, Arrays, Call, Codec, Predictor
from kfp_ct.serving.values import BadValueError, Inputs, InputSpec, convert

HEADER_LENGTH = "inference-header-content-length"
_BINARY_TYPE = "application/octet-stream"
_SIZE = "binary_data_size"
_MODEL = re.compile(r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>\d{1,18}))?(?P<what>/ready|/infer)?")


class OpenInferenceRest:
    """Answers what lies below /v2."""

    def __init__(self, predictor: Predictor) -> None:
        """Answers from a predictor's models."""
        self._predictor = predictor

    async def server(self, request: Request) -> Response:
        """Answers what this server is."""
        return http.json_response(oip.SERVER)

    async def ready(self, request: Request) -> Response:
        """Answers whether the server is ready."""
        ready = self._predictor.ready()
        return http.json_response({"ready": ready}, 200 if ready else 503)

    async def answer(self, request: Request) -> Response:
        """Answers the model APIs."""
        match = _MODEL.fullmatch(request.url.path)
        if match is None or (match["what"] == "/infer") != (request.method == "POST"):
            raise InvalidRequestError(
                f"Malformed request: {request.method} {request.url.path}\nexpected: POST /v2/models/NAME/infer, or GET "
                "/v2/models/NAME, /v2/models/NAME/ready, with /versions/NUMBER after NAME if wanted"
            )
        version = None if match["version"] is None else int(match["version"])
        if match["what"] == "/infer":
            return await self._infer(request, match["name"], version)
        with self._predictor.versions.leased(match["name"], version) as (model, _):
            if match["what"]:
                return http.json_response({"name": match["name"], "ready": True})
            available = self._predictor.versions.available(match["name"])
            return http.json_response(oip.metadata(match["name"], available, model))

    async def _infer(self, request: Request, name: str, version: int | None) -> Response:
        call = Call(name, version, request.state.id, "oip-rest", UNREAD)
        try:
            with self._predictor.admitted():
                body = await http.body_of(request, self._predictor.limits.body_bytes)
                codec = _Codec(name, body, request.headers.get(HEADER_LENGTH))
                call = Call(name, version, request.state.id, "oip-rest", len(body))
                return await self._predictor.answer(call, Codec(codec.decode, codec.encode))
        except ServingError as error:
            if call.size == UNREAD:  # else the predictor has counted it
                self._predictor.count_error(call, error.status, type(error).__name__)
            raise


class _Codec:
    """An inference request: JSON, and behind it the bytes of tensors in binary form."""

    def __init__(self, model: str, body: bytes, header_length: str | None) -> None:
        length = _header_length(header_length, len(body))
        self._model = model
        self._header = body[:length]
        self._tail = self._binary = memoryview(body)[length:]
        self._request: dict[str, Any] = {}

    def decode(self, model: Model) -> tuple[str, Inputs]:
        self._request = request = bodies.parse(self._header)
        self._binary = self._tail  # a candidate of other inputs decodes again
        inputs = _objects(request, "inputs")
        if not inputs:
            raise InvalidRequestError(
                'Missing \'inputs\'\nexpected: {"inputs": [{"name": …, "shape": […], "datatype": …, "data": […]}, …]}'
            )
        arrays: Arrays = {}
        for given in inputs:
            tensor = _tensor(given)
            if tensor.name in arrays:
                raise InvalidRequestError(f"input {tensor.name} is there twice")
            arrays[tensor.name] = self._array(tensor, given)
        if len(self._binary):
            raise InvalidRequestError(f"{len(self._binary)} bytes follow the last binary input")
        _objects(request, "outputs")
        return oip.question(model, _parameters(request).get(oip.SIGNATURE), arrays)

    def encode(self, model: Model, version: int, outputs: Arrays) -> Response:
        wanted = {_name(given): given for given in _objects(self._request, "outputs")}
        by_default = _parameters(self._request).get("binary_data_output") is True
        described, binary = [], []
        for name in oip.chosen(list(wanted), outputs):
            tensor = oip.described(name, outputs[name])
            entry: dict[str, Any] = {"name": name, "shape": list(tensor.shape), "datatype": tensor.datatype}
            if _parameters(wanted.get(name, {})).get("binary_data", by_default) is True:
                binary.append(oip.to_bytes(outputs[name]))
                entry["parameters"] = {_SIZE: len(binary[-1])}
            else:
                entry["data"] = _data(name, outputs[name])
            described.append(entry)
        answer = {"model_name": self._model, "model_version": str(version), "outputs": described}
        if "id" in self._request:
            answer["id"] = self._request["id"]
        header = bodies.dumps(answer)
        if not binary:
            return Response(header, media_type=http.JSON)
        headers = {HEADER_LENGTH: str(len(header))}
        return Response(b"".join([header, *binary]), headers=headers, media_type=_BINARY_TYPE)

    def _array(self, tensor: oip.Tensor, given: dict[str, Any]) -> np.ndarray:
        size = _parameters(given).get(_SIZE)
        if size is None:
            return _of_json(tensor, given.get("data"))
        if "data" in given or type(size) is not int or not 0 <= size <= len(self._binary):
            raise InvalidRequestError(
                f"input {tensor.name}: {_SIZE} {size!r} with {len(self._binary)} bytes left; expected: as many bytes "
                f"behind the JSON, whose length {HEADER_LENGTH} says, and no data"
            )
        raw, self._binary = bytes(self._binary[:size]), self._binary[size:]
        return tensor.of_bytes(raw)


def _header_length(given: str | None, length: int) -> int:
    if given is None:
        return length
    if not re.fullmatch(r"\d{1,18}", given) or int(given) > length:
        raise InvalidRequestError(f"{HEADER_LENGTH}: {given[:40]!r}; expected: at most the body's {length} bytes")
    return int(given)


def _objects(request: dict[str, Any], key: str) -> list[dict[str, Any]]:
    values = request.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise InvalidRequestError(f"'{key}' must be a list of objects")
    for value in values:
        _name(value)
    return values


def _name(given: dict[str, Any]) -> str:
    name = given.get("name")
    if not isinstance(name, str):
        raise InvalidRequestError("every input and output has a name, which is a string")
    return name


def _parameters(given: dict[str, Any]) -> dict[str, Any]:
    parameters = given.get("parameters", {})
    if not isinstance(parameters, dict):
        raise InvalidRequestError("'parameters' must be an object")
    return parameters


def _tensor(given: dict[str, Any]) -> oip.Tensor:
    shape, datatype = given.get("shape"), given.get("datatype")
    if not isinstance(shape, list) or not isinstance(datatype, str):
        raise InvalidRequestError(
            f"input {given['name']}: expected name, shape (a list of sizes), datatype (as FP32) and data"
        )
    return oip.Tensor(given["name"], datatype, tuple(shape))


def _of_json(tensor: oip.Tensor, data: Any) -> np.ndarray:
    """Converts values that stand in JSON, flat or nested; each by the rules of the predict API."""
    if not isinstance(data, list):
        raise InvalidRequestError(f"input {tensor.name}: expected data, a list of values")
    while data and isinstance(data[0], list):
        if not all(isinstance(item, list) for item in data):
            raise InvalidRequestError(f"input {tensor.name}: data is nested in one place and flat in another")
        data = [value for item in data for value in item]
    kind = "string" if tensor.datatype == oip.BYTES else tensor.array_type.name
    try:
        return tensor.of_values(convert(data, InputSpec(tensor.name, kind, tensor.array_type, None)))
    except BadValueError as error:
        raise InvalidRequestError(f"input {tensor.name}: value {error.index} of data: {error}") from None


def _data(name: str, array: np.ndarray) -> Any:
    flat = array.reshape(-1)
    if array.dtype == object:
        try:
            return [value.decode() for value in flat.tolist()]
        except UnicodeDecodeError:
            raise InvalidRequestError(f'output {name} is not text; ask for it with "binary_data": true') from None
    if array.dtype.kind == "f" and np.isfinite(flat).all() and array.dtype.itemsize > 2:
        # By way of text, so that a float32 is its shortest decimal.
        return orjson.loads(orjson.dumps(np.ascontiguousarray(flat), option=orjson.OPT_SERIALIZE_NUMPY))
    return flat.astype(np.float64).tolist() if array.dtype.kind in "fV" else flat.tolist()
