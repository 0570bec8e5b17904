"""The bodies of the predict API: JSON to arrays and back, by column where nothing is unusual.

A request is parsed by orjson. It refuses NaN and what is not Unicode, and rounds integers beyond 64 bits; such requests
are parsed again by the standard library, whose values are exact, and converted one by one.
"""

import dataclasses
import json
from typing import Any

import numpy as np
import orjson

from kfp_ct.serving import columns, row_parts, tensors
from kfp_ct.serving.errors import InvalidRequestError
from kfp_ct.serving.values import Inputs

DEFAULT_SIGNATURE = "serving_default"
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY


@dataclasses.dataclass(frozen=True)
class Question:
    """A predict request: what its signature takes, and whether its answer is to have rows or columns."""

    signature: str
    inputs: Inputs
    by_row: bool


def decode(body: bytes, signatures: dict[str, tensors.Specs]) -> Question:
    """Returns what a request's body asks.

    Raises:
        InvalidRequestError: The body does not fit the API or the signature.
    """
    parts = row_parts.decode(body, signatures, DEFAULT_SIGNATURE)
    if parts is not None:
        return Question(*parts, by_row=True)
    return _decode_fast(body, signatures) or _decode_exactly(body, signatures)


def encode(outputs: dict[str, np.ndarray], by_row: bool) -> bytes:
    """Returns the response's body.

    Raises:
        InvalidRequestError: The outputs have no common number of rows: only the column format fits.
    """
    key = "predictions" if by_row else "outputs"
    if all(_is_plain(array) for array in outputs.values()):
        return orjson.dumps({key: _rows(outputs) if by_row else _columns(outputs)}, option=_OPTIONS)
    value = tensors.encode_rows(outputs) if by_row else tensors.encode_columns(outputs)
    # NaN and Infinity stay as they are, which TensorFlow Serving's clients know.
    return dumps({key: value})


def dumps(value: Any) -> bytes:
    """Returns a value as JSON, NaN and Infinity as JavaScript writes them."""
    return json.dumps(value, ensure_ascii=False).encode()


def parse(body: bytes) -> dict[str, Any]:
    """Returns a request's JSON object, every value exact.

    Raises:
        InvalidRequestError: It is none.
    """
    if not body:
        raise InvalidRequestError("JSON Parse error: The document is empty")
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"JSON Parse error: {error}") from None
    if not isinstance(request, dict):
        raise InvalidRequestError("JSON Value: Is not object")
    return request


def signature_name(request: dict[str, Any], signatures: dict[str, Any]) -> str:
    """Returns the name of the signature that a request is for.

    Raises:
        InvalidRequestError: There is no such signature.
    """
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise InvalidRequestError("not formatted correctly. 'signature_name' key must be a string value.")
    name = name or DEFAULT_SIGNATURE
    if name not in signatures:
        raise InvalidRequestError(
            f'Serving signature name: "{name}" not found in signature def; it has: {", ".join(sorted(signatures))}'
        )
    return name


def _decode_fast(body: bytes, signatures: dict[str, tensors.Specs]) -> Question | None:
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(request, dict) or ("instances" in request) == ("inputs" in request):
        return None
    name = request.get("signature_name", "")
    specs = signatures.get(name or DEFAULT_SIGNATURE) if isinstance(name, str) else None
    if specs is None:
        return None
    by_row = "instances" in request
    if by_row:
        inputs = columns.rows_to_arrays(request["instances"], specs)
    else:
        inputs = columns.columns_to_arrays(request["inputs"], specs)
    return None if inputs is None else Question(name or DEFAULT_SIGNATURE, inputs, by_row)


def _decode_exactly(body: bytes, signatures: dict[str, tensors.Specs]) -> Question:
    request = parse(body)
    if "instances" in request and "inputs" in request:
        raise InvalidRequestError("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" not in request and "inputs" not in request:
        raise InvalidRequestError("Missing 'inputs' or 'instances' key")
    name = signature_name(request, signatures)
    if "instances" in request:
        return Question(name, tensors.decode_rows(request["instances"], signatures[name]), True)
    return Question(name, tensors.decode_columns(request["inputs"], signatures[name]), False)


def _is_plain(array: np.ndarray) -> bool:
    """Whether orjson writes it as the standard library would: numbers that JSON has, no text."""
    if array.dtype.kind == "f":
        return array.dtype.itemsize in (4, 8) and array.ndim > 0 and bool(np.isfinite(array).all())
    return array.dtype.kind in "iub" and array.ndim > 0


def _rows(outputs: dict[str, np.ndarray]) -> Any:
    tensors.check_common_rows(outputs)
    if len(outputs) == 1:
        return np.ascontiguousarray(next(iter(outputs.values())))
    names = list(outputs)
    # By way of text, so that a float32 is its shortest decimal: 0.2, not 0.20000000298023224.
    values = (orjson.loads(orjson.dumps(np.ascontiguousarray(outputs[name]), option=_OPTIONS)) for name in names)
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _columns(outputs: dict[str, np.ndarray]) -> Any:
    arrays = {name: np.ascontiguousarray(array) for name, array in outputs.items()}
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays
