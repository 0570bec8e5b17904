"""The Open Inference Protocol's tensors: https://github.com/kserve/open-inference-protocol, REST and gRPC alike."""

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from kfp_ct.serving import typed_inputs
from kfp_ct.serving.bodies import DEFAULT_SIGNATURE, signature_name
from kfp_ct.serving.errors import InvalidRequestError
from kfp_ct.serving.loaded_version import Model
from kfp_ct.serving.values import Inputs

BYTES = "BYTES"
BINARY = "binary_tensor_data"
SERVER = {"name": "kfp-ct", "version": "0.1.0", "extensions": [BINARY]}
PLATFORM = "tensorflow_savedmodel"
# The request parameter by which another signature than the default is asked.
SIGNATURE = "signature_name"
_KINDS = {
    "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "INT8": "int8",
    "INT16": "int16", "INT32": "int32", "INT64": "int64", "FP16": "float16", "BF16": "bfloat16", "FP32": "float32",
    "FP64": "float64", BYTES: "string",
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}
_LENGTH_BYTES = 4
Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Tensor:
    """What is said of a tensor, besides its values."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuses what no array can have."""
        if self.datatype not in _KINDS:
            raise InvalidRequestError(
                f"input {self.name}: datatype {self.datatype!r} is not known; expected one of {', '.join(_KINDS)}"
            )
        if any(type(size) is not int or size < 0 for size in self.shape):
            raise InvalidRequestError(f"input {self.name}: shape must be a list of sizes, none of them negative")

    @property
    def count(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)

    @property
    def array_type(self) -> np.dtype:
        """The NumPy type of its values."""
        return np.dtype(tf.as_dtype(_KINDS[self.datatype]).as_numpy_dtype)

    def of_values(self, values: Any) -> np.ndarray:
        """Returns the array of values that fit its type.

        Raises:
            InvalidRequestError: There are more or fewer.
        """
        if len(values) != self.count:
            raise InvalidRequestError(
                f"input {self.name}: shape {list(self.shape)} needs {self.count} values, {len(values)} came"
            )
        array = np.empty(len(values), self.array_type)
        try:
            array[:] = values
        except (OverflowError, ValueError) as error:
            raise InvalidRequestError(f"input {self.name}: {error}") from None
        return array.reshape(self.shape)

    def of_bytes(self, raw: bytes) -> np.ndarray:
        """Returns the array of the binary form: little-endian, row-major; BYTES with their lengths before them.

        Raises:
            InvalidRequestError: There are more or fewer bytes than its shape needs.
        """
        if self.datatype == BYTES:
            return self.of_values(_split(self.name, raw))
        size = self.count * self.array_type.itemsize
        if len(raw) != size:
            raise InvalidRequestError(f"input {self.name}: {len(raw)} bytes came; its shape and datatype need {size}")
        if self.datatype == "BOOL":
            return np.frombuffer(raw, np.uint8).reshape(self.shape) != 0
        return np.frombuffer(raw, self.array_type).reshape(self.shape)


def datatype(kind: str) -> str:
    """Returns the protocol's name of a type that TensorFlow calls so."""
    return _NAMES.get(tf.as_dtype(kind).name, kind.upper())


def described(name: str, array: np.ndarray) -> Tensor:
    """Returns what is to be said of an output."""
    kind = "string" if array.dtype == object else array.dtype.name
    if kind not in _NAMES:
        raise InvalidRequestError(
            f"output {name} has the type {kind}, which the protocol has not; use TensorFlow's API"
        )
    return Tensor(name, _NAMES[kind], array.shape)


def to_bytes(array: np.ndarray) -> bytes:
    """Returns an output in binary form."""
    if array.dtype == object:
        return b"".join(len(value).to_bytes(_LENGTH_BYTES, "little") + value for value in array.reshape(-1).tolist())
    return np.ascontiguousarray(array).tobytes()


def question(model: Model, signature: Any, arrays: Arrays) -> tuple[str, Inputs]:
    """Returns the signature's name and its inputs.

    Raises:
        InvalidRequestError: They do not fit.
    """
    name = signature_name({SIGNATURE: signature or ""}, model.specs)
    return name, typed_inputs.fitted(arrays, model.specs[name])


def chosen(wanted: list[str], outputs: Arrays) -> list[str]:
    """Returns the names of the outputs that are asked for: all, if none is named.

    Raises:
        InvalidRequestError: There is no such output.
    """
    unknown = sorted(set(wanted) - outputs.keys())
    if unknown:
        raise InvalidRequestError(f"no output {', '.join(unknown)}; the model has {', '.join(sorted(outputs))}")
    return wanted or list(outputs)


def metadata(name: str, versions: list[int], model: Model) -> dict[str, Any]:
    """Returns a model's metadata: the default signature's tensors."""
    definition = model.definitions.get(DEFAULT_SIGNATURE)
    inputs, outputs = ({}, {}) if definition is None else (definition.inputs, definition.outputs)
    return {
        "name": name,
        "versions": [str(version) for version in versions],
        "platform": PLATFORM,
        "inputs": [_info(key, info) for key, info in sorted(inputs.items())],
        "outputs": [_info(key, info) for key, info in sorted(outputs.items())],
    }


def _info(name: str, info: Any) -> dict[str, Any]:
    kind = tf.as_dtype(info.dtype).name
    return {"name": name, "datatype": _NAMES.get(kind, kind), "shape": [dim.size for dim in info.tensor_shape.dim]}


def _split(name: str, raw: bytes) -> list[bytes]:
    values, start = [], 0
    while start < len(raw):
        end = start + _LENGTH_BYTES
        size = int.from_bytes(raw[start:end], "little") if end <= len(raw) else len(raw)
        if end + size > len(raw):
            raise InvalidRequestError(f"input {name}: its bytes end within a value")
        values.append(raw[end : end + size])
        start = end + size
    return values
