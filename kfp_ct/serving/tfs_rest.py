"""TensorFlow Serving's REST API: https://www.tensorflow.org/tfx/serving/api_rest."""

import re

from starlette.requests import Request
from starlette.responses import Response

from kfp_ct.serving import bodies, examples, http, results
from kfp_ct.serving.errors import InvalidRequestError, ServingError
from kfp_ct.serving.loaded_version import Model
from kfp_ct.serving.predictor import UNREAD, Arrays, Call, Codec, Predictor
from kfp_ct.serving.values import Inputs

_SPEC = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_STATUS = re.compile(rf"(?i){_SPEC}(?P<metadata>/metadata)?")
_PREDICTION = re.compile(rf"(?i){_SPEC}:(?P<method>predict|classify|regress)")
_INT64_MAX = 2**63 - 1


class TensorFlowServingRest:
    """Answers what lies below /v1."""

    def __init__(self, predictor: Predictor) -> None:
        """Answers from a predictor's models."""
        self._predictor = predictor

    async def answer(self, request: Request) -> Response:
        """Answers the model APIs."""
        return await self._post(request) if request.method == "POST" else self._get(request)

    def _get(self, request: Request) -> Response:
        path, versions = request.scope["path"], self._predictor.versions
        if re.fullmatch("(?i)/v1/models/?", path):
            raise InvalidRequestError("Missing model name in request.")
        match = _STATUS.fullmatch(path)
        if match is None:
            raise InvalidRequestError(f"Malformed request: {request.method} {path}")
        name, version = match["name"], _version(match)
        if not match["metadata"]:
            return http.json_response({"model_version_status": versions.status(name, version)})
        with versions.leased(name, version) as (model, number):
            spec = {"name": name, "signature_name": "", "version": str(number)}
            metadata = {"signature_def": {"signature_def": model.metadata()}}
        return http.json_response({"model_spec": spec, "metadata": metadata})

    async def _post(self, request: Request) -> Response:
        match = _PREDICTION.fullmatch(request.scope["path"])
        if match is None:
            raise InvalidRequestError(f"Malformed request: {request.method} {request.scope['path']}")
        call = Call(match["name"], _version(match), request.state.id, "rest", UNREAD)
        try:
            with self._predictor.admitted():
                body = await http.body_of(request, self._predictor.limits.body_bytes)
                call = Call(call.model, call.version, call.request_id, call.protocol, len(body))
                method = match["method"].lower()
                codec = _PredictCodec(body) if method == "predict" else _ExamplesCodec(body, method)
                answer = await self._predictor.answer(call, Codec(codec.decode, codec.encode))
        except ServingError as error:
            if call.size == UNREAD:  # else the predictor has counted it
                self._predictor.count_error(call, error.status, type(error).__name__)
            raise
        return Response(answer, media_type=http.JSON)


class _PredictCodec:
    """A predict request in row or column format."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._by_row = True

    def decode(self, model: Model) -> tuple[str, Inputs]:
        question = bodies.decode(self._body, model.specs)
        self._by_row = question.by_row
        return question.signature, question.inputs

    def encode(self, model: Model, version: int, outputs: Arrays) -> bytes:
        return bodies.encode(outputs, self._by_row)


class _ExamplesCodec:
    """A classify or regress request."""

    def __init__(self, body: bytes, method: str) -> None:
        self._body = body
        self._method = method
        self._signature = ""
        self._rows = 0

    def decode(self, model: Model) -> tuple[str, Inputs]:
        request = bodies.parse(self._body)
        self._signature = bodies.signature_name(request, model.specs)
        rows = examples.from_json(request)
        self._rows = len(rows)
        return self._signature, examples.to_inputs(rows, model.specs[self._signature])

    def encode(self, model: Model, version: int, outputs: Arrays) -> bytes:
        if self._method == "classify":
            return bodies.dumps({"results": results.classes(self._signature, outputs, self._rows)})
        return bodies.dumps({"results": results.values(self._signature, outputs, self._rows)})


def _version(match: re.Match[str]) -> int | str | None:
    if match["label"]:
        return match["label"]
    if match["version"] is None:
        return None
    number = int(match["version"])
    if number > _INT64_MAX:
        raise InvalidRequestError(f"Failed to convert version: {match['version']} to numeric.")
    return number
