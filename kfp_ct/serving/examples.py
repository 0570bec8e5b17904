"""Examples, as classify and regress take them, as the inputs of a signature.

A signature of one string input takes serialized tf.Examples, as TensorFlow Serving demands. Beyond TensorFlow Serving,
one of raw features takes the examples' features by name.
"""

import base64
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2

from kfp_ct.serving import tensors
from kfp_ct.serving.errors import InvalidRequestError
from kfp_ct.serving.values import B64, Inputs, shown

Row = dict[str, Any]
_INT64 = 2**63


def from_json(request: dict[str, Any]) -> list[Row]:
    """Returns the examples of a request, each with the features of its context.

    Raises:
        InvalidRequestError: It has none.
    """
    examples, context = request.get("examples"), request.get("context", {})
    if not isinstance(examples, list) or not examples:
        raise InvalidRequestError(
            "When method is classify or regress, key 'examples' is expected and was not found, or is no list of objects"
            '; send {"examples": [{"feature": value, …}, …]}'
        )
    if not isinstance(context, dict):
        raise InvalidRequestError(f"Example context must be JSON object but got {shown(context)}")
    for index, example in enumerate(examples):
        if not isinstance(example, dict):
            raise InvalidRequestError(f"Example must be JSON object but got {shown(example)} at element {index}")
    return [{**context, **example} for example in examples]


def to_inputs(rows: list[Row], specs: tensors.Specs) -> Inputs:
    """Returns a signature's inputs for examples.

    Raises:
        InvalidRequestError: They do not fit it.
    """
    if not rows:
        raise InvalidRequestError("Input is empty.")
    if [(spec.dtype, spec.shape) for spec in specs.values()] == [("string", (None,))]:
        array = np.empty(len(rows), object)
        array[:] = [_example(row, index).SerializeToString() for index, row in enumerate(rows)]
        return {next(iter(specs)): array}
    lists = {name for name, spec in specs.items() if not spec.is_raw_feature}
    as_sent = [{name: _single(value, name in lists) for name, value in row.items()} for row in rows]
    return tensors.decode_rows(as_sent, specs)


def of_input(given: Any) -> list[Row]:
    """Returns the examples of TensorFlow Serving's Input, each with the features of its context.

    Raises:
        InvalidRequestError: It has none.
    """
    kind = given.WhichOneof("kind")
    if kind is None:
        raise InvalidRequestError("Input is empty: expected an example_list, or an example_list_with_context")
    context = from_proto(given.example_list_with_context.context) if kind.endswith("context") else {}
    rows = [{**context, **from_proto(example)} for example in getattr(given, kind).examples]
    if not rows:
        raise InvalidRequestError("Input is empty.")
    return rows


def from_proto(example: example_pb2.Example) -> Row:
    """Returns the features of a tf.Example as JSON would have them."""
    row: Row = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        values = list(getattr(feature, kind).value) if kind else []
        if kind == "bytes_list":
            values = [{B64: base64.b64encode(value).decode()} for value in values]
        row[name] = values
    return row


def _single(value: Any, is_list: bool) -> Any:
    """Returns what a feature of one value, or of none, is as a raw feature; a list stays one."""
    if is_list and not isinstance(value, list):
        return None if value is None else [value]
    if not is_list and isinstance(value, list) and len(value) <= 1:
        return value[0] if value else None
    return value


def _example(row: Row, index: int) -> example_pb2.Example:
    example = example_pb2.Example()
    for name, value in row.items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        try:
            _fill(example.features.feature[name], values)
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidRequestError(
                f"examples: element {index}, feature {name}: {error}; expected: a number, a string, "
                f'{{"{B64}": "…"}} or a list of one kind of these'
            ) from None
    return example


def _fill(feature: Any, values: list[Any]) -> None:
    kinds = set(map(type, values))
    if kinds <= {int, bool}:
        if values:
            feature.int64_list.value.extend(int(value) for value in values)
    elif kinds <= {int, float, bool}:
        feature.float_list.value.extend(float(value) for value in values)
    elif kinds <= {str, dict}:
        feature.bytes_list.value.extend(_bytes(value) for value in values)
    else:
        raise TypeError(f"unsupported value {shown(values)}")


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if value.keys() == {B64} and isinstance(value[B64], str):
        try:
            return base64.b64decode(value[B64], validate=True)
        except ValueError:  # binascii.Error, or a letter beyond ASCII
            raise ValueError("Unable to base64 decode") from None
    raise TypeError(f"unsupported value {shown(value)}")
