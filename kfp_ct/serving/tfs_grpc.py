"""TensorFlow Serving's gRPC API: PredictionService and ModelService, as its protos describe them."""

from collections.abc import Awaitable, Callable
from typing import Any

from kfp_ct.serving import examples, results, tensor_protos, typed_inputs
from kfp_ct.serving.bodies import DEFAULT_SIGNATURE, signature_name
from kfp_ct.serving.errors import InvalidRequestError
from kfp_ct.serving.loaded_version import Model
from kfp_ct.serving.messages import tf_serving
from kfp_ct.serving.predictor import Arrays, Call, Codec, Predictor
from kfp_ct.serving.values import Inputs

_METHODS = ("tensorflow/serving/classify", "tensorflow/serving/regress")
_STATES = {"UNKNOWN": 0, "START": 10, "LOADING": 20, "AVAILABLE": 30, "UNLOADING": 40, "END": 50}
_UNKNOWN_ERROR = 2
Method = Callable[[Any, str], Awaitable[Any]]


class TensorFlowServingGrpc:
    """Answers the methods; each takes the request and its id."""

    def __init__(self, predictor: Predictor) -> None:
        """Answers from a predictor's models."""
        self._predictor = predictor

    def services(self) -> dict[str, dict[str, tuple[Any, Any, Method]]]:
        """Returns request class, response class and function of every method, by service."""
        inference = "MultiInference"
        return {
            "tensorflow.serving.PredictionService": {
                "Predict": _method("Predict", self.predict),
                "Classify": _method("Classification", self.classify),
                "Regress": _method("Regression", self.regress),
                inference: _method(inference, self.multi_inference),
                "GetModelMetadata": _method("GetModelMetadata", self.metadata),
            },
            "tensorflow.serving.ModelService": {"GetModelStatus": _method("GetModelStatus", self.status)},
        }

    async def predict(self, request: Any, request_id: str) -> Any:
        """Answers Predict; `output_filter` chooses outputs."""

        def decode(model: Model) -> tuple[str, Inputs]:
            name = signature_name({"signature_name": request.model_spec.signature_name}, model.specs)
            arrays = {alias: tensor_protos.to_array(alias, tensor) for alias, tensor in request.inputs.items()}
            return name, typed_inputs.fitted(arrays, model.specs[name])

        def encode(model: Model, version: int, outputs: Arrays) -> Any:
            response = tf_serving("PredictResponse")()
            _fill_spec(response.model_spec, request.model_spec, version)
            for name in _chosen(list(request.output_filter), outputs):
                tensor_protos.to_proto(outputs[name], response.outputs[name])
            return response

        return await self._predictor.answer(_call(request, request_id), Codec(decode, encode))

    async def classify(self, request: Any, request_id: str) -> Any:
        """Answers Classify."""
        return await self._of_examples(request, request_id, "ClassificationResponse", _fill_classes)

    async def regress(self, request: Any, request_id: str) -> Any:
        """Answers Regress."""
        return await self._of_examples(request, request_id, "RegressionResponse", _fill_values)

    async def multi_inference(self, request: Any, request_id: str) -> Any:
        """Answers MultiInference: classifications and regressions of one input by one model's signatures."""
        if not request.tasks:
            raise InvalidRequestError("Inference request has no tasks.")
        names = {task.model_spec.name for task in request.tasks}
        if len(names) != 1:
            raise InvalidRequestError("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        response = tf_serving("MultiInferenceResponse")()
        for task in request.tasks:
            if task.method_name not in _METHODS:
                raise InvalidRequestError(
                    f"Unsupported signature method_name: {task.method_name}; expected: {' or '.join(_METHODS)}"
                )
            classify = task.method_name == _METHODS[0]
            single = tf_serving("ClassificationRequest" if classify else "RegressionRequest")()
            single.model_spec.CopyFrom(task.model_spec)
            single.input.CopyFrom(request.input)
            answer = await (self.classify if classify else self.regress)(single, request_id)
            result = response.results.add()
            result.model_spec.CopyFrom(answer.model_spec)
            (result.classification_result if classify else result.regression_result).CopyFrom(answer.result)
        return response

    async def metadata(self, request: Any, request_id: str) -> Any:
        """Answers GetModelMetadata with the signatures."""
        if list(request.metadata_field) != ["signature_def"]:
            raise InvalidRequestError('GetModelMetadata: metadata_field must be ["signature_def"]')
        response = tf_serving("GetModelMetadataResponse")()
        with self._predictor.versions.leased(request.model_spec.name, _version(request.model_spec)) as (model, version):
            signatures = tf_serving("SignatureDefMap")()
            for name, definition in model.definitions.items():
                signatures.signature_def[name].MergeFromString(definition.SerializeToString())
        _fill_spec(response.model_spec, request.model_spec, version)
        response.metadata["signature_def"].Pack(signatures)
        return response

    async def status(self, request: Any, request_id: str) -> Any:
        """Answers GetModelStatus."""
        response = tf_serving("GetModelStatusResponse")()
        for state in self._predictor.versions.status(request.model_spec.name, _version(request.model_spec)):
            entry = response.model_version_status.add(version=int(state["version"]), state=_STATES[state["state"]])
            message = state["status"]["error_message"]
            entry.status.error_code = _UNKNOWN_ERROR if message else 0
            entry.status.error_message = message
        return response

    async def _of_examples(
        self, request: Any, request_id: str, response_name: str, fill: Callable[[Any, str, Arrays, int], None]
    ) -> Any:
        rows = examples.of_input(request.input)

        def decode(model: Model) -> tuple[str, Inputs]:
            name = signature_name({"signature_name": request.model_spec.signature_name}, model.specs)
            return name, examples.to_inputs(rows, model.specs[name])

        def encode(model: Model, version: int, outputs: Arrays) -> Any:
            response = tf_serving(response_name)()
            _fill_spec(response.model_spec, request.model_spec, version)
            fill(response.result, request.model_spec.signature_name or DEFAULT_SIGNATURE, outputs, len(rows))
            return response

        return await self._predictor.answer(_call(request, request_id), Codec(decode, encode))


def _method(name: str, function: Method) -> tuple[Any, Any, Method]:
    return tf_serving(f"{name}Request"), tf_serving(f"{name}Response"), function


def _call(request: Any, request_id: str) -> Call:
    if not request.model_spec.name:
        raise InvalidRequestError("Missing ModelSpec: model_spec.name is empty")
    return Call(request.model_spec.name, _version(request.model_spec), request_id, "grpc", request.ByteSize())


def _version(spec: Any) -> int | str | None:
    choice = spec.WhichOneof("version_choice")
    if choice is None:
        return None
    return str(spec.version_label) if choice == "version_label" else int(spec.version.value)


def _fill_spec(spec: Any, asked: Any, version: int) -> None:
    spec.name = asked.name
    spec.version.value = version
    spec.signature_name = asked.signature_name or DEFAULT_SIGNATURE


def _chosen(wanted: list[str], outputs: Arrays) -> list[str]:
    unknown = sorted(set(wanted) - outputs.keys())
    if unknown:
        raise InvalidRequestError(
            f"output tensor alias not found in signature: {', '.join(unknown)} Outputs expected to be in the set "
            f"{{{', '.join(sorted(outputs))}}}."
        )
    return wanted or list(outputs)


def _fill_classes(result: Any, signature: str, outputs: Arrays, rows: int) -> None:
    for row in results.classes(signature, outputs, rows):
        classification = result.classifications.add()
        for label, score in row:
            classification.classes.add(label=label, score=score)


def _fill_values(result: Any, signature: str, outputs: Arrays, rows: int) -> None:
    for value in results.values(signature, outputs, rows):
        result.regressions.add(value=value)
