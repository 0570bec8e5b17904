"""An OpenAPI description of what is served now, made from the signatures, with examples that can be sent."""

from typing import Any

from kfp_ct.serving import oip
from kfp_ct.serving.bodies import DEFAULT_SIGNATURE
from kfp_ct.serving.loaded_version import Model
from kfp_ct.serving.values import InputSpec
from kfp_ct.serving.versions import Versions

_JSON_TYPES = {"s": "string", "f": "number", "i": "integer", "u": "integer", "b": "boolean"}
_EXAMPLES: dict[str, Any] = {"string": "a", "number": 1.5, "integer": 1, "boolean": True}
_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
_REFUSALS = {
    "400": "The request does not fit; the message says what it must have.",
    "404": "No such model, or no version of it answers.",
    "413": "More bytes or rows than the service takes.",
    "503": "Too many requests wait; `Retry-After` says when to ask again.",
}


def describe(versions: Versions) -> dict[str, Any]:
    """Returns the description of every model that answers."""
    paths: dict[str, Any] = {}
    for name, number in sorted(versions.serving().items()):
        with versions.leased(name, None) as (model, _):
            paths[f"/v1/models/{name}:predict"] = {"post": _predict(name, number, model)}
            if DEFAULT_SIGNATURE in model.specs:
                paths[f"/v2/models/{name}/infer"] = {"post": _infer(name, number, model)}
        paths[f"/v1/models/{name}"] = {"get": _get("The states of its versions.")}
        paths[f"/v1/models/{name}/metadata"] = {"get": _get("Its signatures.")}
    info = {"title": "Prediction service", "version": oip.SERVER["version"]}
    return {"openapi": "3.1.0", "info": info, "paths": paths}


def _predict(name: str, number: int, model: Model) -> dict[str, Any]:
    examples, schemas = {}, []
    for signature, specs in sorted(model.specs.items()):
        schemas.append(_body_schema(signature, specs))
        if not _takes_examples(specs):
            row = {spec.name: _value(spec) for spec in specs.values()}
            examples[signature] = {"value": {"signature_name": signature, "instances": [row]}}
    return _operation(f"Predictions of {name} v{number}, TensorFlow Serving's API.", {"oneOf": schemas}, examples)


def _infer(name: str, number: int, model: Model) -> dict[str, Any]:
    specs = model.specs[DEFAULT_SIGNATURE]
    schema = {"type": "object", "required": ["inputs"], "properties": {"inputs": {"type": "array"}}}
    summary = f"Predictions of {name} v{number}, Open Inference Protocol."
    if _takes_examples(specs):
        return _operation(summary, schema, {})
    inputs = [
        {"name": spec.name, "shape": _shape(spec), "datatype": oip.datatype(spec.dtype), "data": _flat(spec)}
        for spec in specs.values()
    ]
    return _operation(summary, schema, {DEFAULT_SIGNATURE: {"value": {"inputs": inputs}}})


def _operation(summary: str, schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, **({"examples": examples} if examples else {})}}
    refusals = {
        status: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
        for status, text in _REFUSALS.items()
    }
    answer = {"description": "The predictions.", "content": {"application/json": {"schema": {"type": "object"}}}}
    body = {"required": True, "content": content}
    return {"summary": summary, "requestBody": body, "responses": {"200": answer, **refusals}}


def _get(summary: str) -> dict[str, Any]:
    answer = {"description": summary, "content": {"application/json": {"schema": {"type": "object"}}}}
    return {"summary": summary, "responses": {"200": answer}}


def _body_schema(signature: str, specs: dict[str, InputSpec]) -> dict[str, Any]:
    required = [spec.name for spec in specs.values() if spec.missing is None]
    row = {"type": "object", "properties": {spec.name: _schema(spec) for spec in specs.values()}, "required": required}
    properties = {
        "signature_name": {"const": signature},
        "instances": {"type": "array", "items": row if len(specs) > 1 else {}},
        "inputs": {},
    }
    named = [] if signature == DEFAULT_SIGNATURE else ["signature_name"]
    return {"title": signature, "type": "object", "properties": properties, "required": named}


def _schema(spec: InputSpec) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": [_json_type(spec), "null"] if spec.missing is not None else _json_type(spec)}
    for _ in () if spec.is_raw_feature or spec.shape is None else spec.shape[1:]:
        schema = {"type": "array", "items": schema}
    return schema


def _takes_examples(specs: dict[str, InputSpec]) -> bool:
    """Whether it most likely takes serialized tf.Examples, which cannot be made up."""
    return [spec.dtype for spec in specs.values()] == ["string"]


def _json_type(spec: InputSpec) -> str:
    return _JSON_TYPES.get("s" if spec.dtype == "string" else spec.array_type.kind, "number")


def _shape(spec: InputSpec) -> list[int]:
    return [size or 1 for size in spec.shape or (1,)]


def _flat(spec: InputSpec) -> list[Any]:
    count = 1
    for size in _shape(spec):
        count *= size
    return [_EXAMPLES[_json_type(spec)]] * count


def _value(spec: InputSpec) -> Any:
    """Returns a row's value: nested as deep as the input is."""
    value = _EXAMPLES[_json_type(spec)]
    for size in () if spec.is_raw_feature else reversed(_shape(spec)[1:]):
        value = [value] * size
    return value
