"""Requests and responses of the predict API as arrays, in row and in column format.

Source: https://www.tensorflow.org/tfx/serving/api_rest, "Predict API".
Beyond TensorFlow Serving, an input of shape [None] or [None, 1] (a raw feature) takes a plain value per row, and
an absent or null one means missing: NaN, "" or -2**63. An input of shape [None, None] takes lists of any lengths.
"""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np

from kfp_ct.serving.errors import InvalidRequestError
from kfp_ct.serving.values import B64, BadValueError, Inputs, InputSpec, Lists, convert, missing_rows, shown

Specs = dict[str, InputSpec]


def decode_rows(instances: Any, specs: Specs) -> Inputs:
    """Decodes the row format ("instances").

    Raises:
        InvalidRequestError: A value, a name or a shape does not fit; the message says which and in what row.
    """
    if not isinstance(instances, list):
        raise InvalidRequestError(f"JSON Value: {shown(instances)} Excepting 'instances' to be an list/array")
    if not instances:
        raise InvalidRequestError("JSON Value: {} No values in 'instances' array")

    def fail(name: str, row: int, reason: str) -> InvalidRequestError:
        return InvalidRequestError(f"Failed to process element: {row} key: {name} of 'instances' list. Error: {reason}")

    columns = _columns_of(instances, specs)
    return {name: _decode(specs[name], values, fail) for name, values in columns.items()}


def decode_columns(inputs: Any, specs: Specs) -> Inputs:
    """Decodes the column format ("inputs").

    Raises:
        InvalidRequestError: A value, a name or a shape does not fit; the message says which and in what row.
    """

    def fail(name: str, row: int, reason: str) -> InvalidRequestError:
        return InvalidRequestError(f"Failed to process input: {name} row: {row} of 'inputs'. Error: {reason}")

    if not _is_object(inputs):
        if len(specs) > 1:
            raise InvalidRequestError(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        inputs = {next(iter(specs)): inputs}
    _check_names(inputs, specs, "in 'inputs' object")
    arrays = {name: _decode(specs[name], values, fail) for name, values in inputs.items() if values is not None}
    return {**arrays, **_fill(arrays, specs)}


def encode_rows(outputs: dict[str, np.ndarray]) -> Any:
    """Encodes outputs for the row format: a list of values, of objects where there are several outputs.

    Raises:
        InvalidRequestError: The outputs have no common number of rows: only the column format fits.
    """
    check_common_rows(outputs)
    columns = {name: _to_json(name, array) for name, array in outputs.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def check_common_rows(outputs: dict[str, np.ndarray]) -> None:
    """Demands outputs that have as many rows as each other.

    Raises:
        InvalidRequestError: They have not.
    """
    sizes = {array.shape[0] if array.ndim else None for array in outputs.values()}
    if len(sizes) != 1 or None in sizes:
        raise InvalidRequestError(
            "the outputs have no common batch size\nexpected: a request in column format ('inputs') for this signature"
        )


def encode_columns(outputs: dict[str, np.ndarray]) -> Any:
    """Encodes outputs for the column format: an object of lists, a plain list where there is one output."""
    columns = {name: _to_json(name, array) for name, array in outputs.items()}
    return next(iter(columns.values())) if len(columns) == 1 else columns


def _columns_of(instances: list[Any], specs: Specs) -> dict[str, list[Any]]:
    if not _is_object(instances[0]):
        if len(specs) > 1:
            raise InvalidRequestError(
                "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
                "tensorinfo_map"
            )
        for row, instance in enumerate(instances):
            if _is_object(instance):
                raise InvalidRequestError(f"Expecting value/list but got object at item {row} of input list")
        return {next(iter(specs)): instances}
    for row, instance in enumerate(instances):
        if not _is_object(instance):
            raise InvalidRequestError(f"Expecting object but got list at item {row} of input list")
        _check_names(instance, specs, f"in element {row} of 'instances' list")
    return {name: [instance.get(name) for instance in instances] for name in specs}


def _check_names(given: dict[str, Any], specs: Specs, where: str) -> None:
    unknown = sorted(given.keys() - specs.keys())
    if unknown:
        raise InvalidRequestError(
            f"JSON object: does not have named input: {', '.join(unknown)} ({where}); "
            f"the signature's inputs are: {', '.join(sorted(specs))}"
        )
    for name, spec in specs.items():
        if given.get(name) is None and spec.missing is None:
            raise InvalidRequestError(f"Missing named input: {name} {where}.")


def _fill(arrays: Inputs, specs: Specs) -> Inputs:
    absent = [spec for name, spec in specs.items() if name not in arrays]
    if not absent:
        return {}
    sizes = {len(array) for array in arrays.values() if array.ndim}
    if len(sizes) != 1:
        raise InvalidRequestError(
            f"Missing named input: {absent[0].name} in 'inputs' object, and the other inputs give no common number "
            "of rows that it could be filled for."
        )
    rows = sizes.pop()
    return {spec.name: missing_rows(spec, rows) for spec in absent}


Fail = Callable[[str, int, str], InvalidRequestError]


def _decode(spec: InputSpec, values: Any, fail: Fail) -> np.ndarray | Lists:
    if spec.is_list:
        return _decode_lists(spec, values, fail)
    rows = len(values) if isinstance(values, list) else 1
    leaves, shape = (_one_per_row(values), (rows,)) if spec.is_raw_feature else _flatten(spec, values, fail)
    try:
        array = np.empty(len(leaves), spec.array_type)
        array[:] = convert(leaves, spec)
    except BadValueError as error:
        raise fail(spec.name, error.index * rows // max(len(leaves), 1), str(error)) from None
    array = array.reshape((rows, 1) if spec.shape == (None, 1) else shape)
    if not _fits(array.shape, spec.shape):
        wanted = ",".join("?" if size is None else str(size) for size in spec.shape or ())
        raise fail(spec.name, 0, f"Expecting shape [{wanted}] but got: [{','.join(map(str, array.shape))}]")
    return array


def _decode_lists(spec: InputSpec, values: Any, fail: Fail) -> Lists:
    rows = values if isinstance(values, list) else [values]
    for row, value in enumerate(rows):
        if value is not None and not isinstance(value, list):
            raise fail(spec.name, row, f"Expecting a list of values but got: {shown(value)}")
        if value is not None and (None in value or any(isinstance(each, list) for each in value)):
            raise fail(spec.name, row, "Expecting a list of values, none of them null or a list")
    lengths = np.array([len(value or ()) for value in rows], np.int64)
    leaves = [each for value in rows for each in value or ()]
    array = np.empty(len(leaves), spec.array_type)
    try:
        array[:] = convert(leaves, spec)
    except BadValueError as error:
        raise fail(spec.name, int(np.searchsorted(np.cumsum(lengths), error.index, "right")), str(error)) from None
    return Lists(array, lengths, np.array([value is not None for value in rows], bool), spec.missing)


def _one_per_row(values: Any) -> list[Any]:
    if not isinstance(values, list):
        return [values]
    if list not in set(map(type, values)):
        return values
    return [value[0] if isinstance(value, list) and len(value) == 1 else value for value in values]


def _flatten(spec: InputSpec, values: Any, fail: Fail) -> tuple[list[Any], tuple[int, ...]]:
    """Returns all values of nested lists in order, and the lists' common shape."""
    shape: list[int] = []
    level = [values]
    while level and isinstance(level[0], list):
        size = len(level[0])
        for index, item in enumerate(level):
            if not isinstance(item, list) or len(item) != size:
                row = index * (shape[0] if shape else 1) // len(level)
                raise fail(spec.name, row, f"Encountered list at unexpected size: expected {size} values everywhere")
        shape.append(size)
        level = [value for item in level for value in item]
    return level, tuple(shape)


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...] | None) -> bool:
    if expected is None:
        return True
    return len(shape) == len(expected) and all(
        want is None or size == want for size, want in zip(shape, expected, strict=True)
    )


def _is_object(value: Any) -> bool:
    """Whether it is an object of named inputs, not a binary value."""
    return isinstance(value, dict) and not (value.keys() == {B64} and isinstance(value[B64], str))


def _to_json(name: str, array: np.ndarray) -> Any:
    if array.dtype == object:
        return _texts(array.tolist(), name.endswith("_bytes"))
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        # Via the shortest decimal that is this float32: 0.2, not 0.20000000298023224.
        return array.astype("U32").astype(np.float64).tolist()
    return array.tolist()


def _texts(value: Any, binary: bool) -> Any:
    if isinstance(value, list):
        return [_texts(item, binary) for item in value]
    try:
        if not binary:
            return value.decode()
    except UnicodeDecodeError:
        pass  # JSON has no other way for bytes
    return {B64: base64.b64encode(value).decode()}
