"""TensorFlow's TensorProto to arrays and back; what a caller writes into one is not trusted."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from kfp_ct.serving.errors import InvalidRequestError

_INT = "int_val"
_FIELDS = {
    "float32": "float_val", "float64": "double_val", "int32": _INT, "int16": _INT, "int8": _INT, "uint16": _INT,
    "uint8": _INT, "int64": "int64_val", "uint32": "uint32_val", "uint64": "uint64_val", "bool": "bool_val",
    "string": "string_val",
}  # fmt: skip
# A proto may say "this value, so many times"; it costs the caller nothing and the server the memory.
_MOST_REPEATED = 1_000_000


def to_array(name: str, tensor: Any) -> np.ndarray:
    """Returns the array of a TensorProto.

    Raises:
        InvalidRequestError: It is of a type that is not served, or does not hold together.
    """
    kind = _kind(name, tensor)
    if tensor.tensor_shape.unknown_rank or any(dim.size < 0 for dim in tensor.tensor_shape.dim):
        raise InvalidRequestError(f"input {name}: a tensor has a shape without unknown dimensions")
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    count = math.prod(shape)
    if tensor.tensor_content and kind != tf.string:
        return _of_content(name, tensor.tensor_content, kind.as_numpy_dtype, shape)
    values = list(getattr(tensor, _FIELDS[kind.name])) if kind.name in _FIELDS else []
    if len(values) != count:
        if not 0 < len(values) < count <= _MOST_REPEATED:
            raise InvalidRequestError(
                f"input {name}: its shape {list(shape)} needs {count} values of {_FIELDS.get(kind.name)}, "
                f"or tensor_content; {len(values)} came"
            )
        values += values[-1:] * (count - len(values))
    return _of_values(name, values, kind.as_numpy_dtype, shape)


def to_proto(array: np.ndarray, tensor: Any) -> None:
    """Fills a TensorProto, values as values: clients read `float_val` and its like."""
    kind = tf.string if array.dtype == object else tf.as_dtype(array.dtype)
    tensor.dtype = kind.as_datatype_enum
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    field = _FIELDS.get(kind.name)
    if field is None:
        tensor.tensor_content = np.ascontiguousarray(array).tobytes()
    else:
        getattr(tensor, field).extend(array.reshape(-1).tolist())


def _kind(name: str, tensor: Any) -> tf.DType:
    try:
        kind = tf.as_dtype(tensor.dtype)
        np.dtype(kind.as_numpy_dtype)
    except (TypeError, KeyError, ValueError):
        raise InvalidRequestError(f"input {name}: the data type {tensor.dtype} is not served") from None
    if kind.name not in _FIELDS and not (kind.is_floating or kind.is_complex):
        raise InvalidRequestError(f"input {name}: the data type {kind.name} is not served")
    return kind


def _of_content(name: str, content: bytes, kind: Any, shape: tuple[int, ...]) -> np.ndarray:
    size = np.dtype(kind).itemsize * math.prod(shape)
    if len(content) != size:
        raise InvalidRequestError(f"input {name}: tensor_content has {len(content)} bytes\nexpected: {size}")
    array = np.frombuffer(content, np.uint8 if kind is np.bool_ else kind).reshape(shape)
    return array != 0 if kind is np.bool_ else array


def _of_values(name: str, values: list[Any], kind: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.empty(len(values), kind)
        array[:] = np.array(values, kind) if kind is not object else values
    except (OverflowError, ValueError) as error:
        raise InvalidRequestError(f"input {name}: {error}") from None
    return array.reshape(shape)
