"""JSON values to array values: TensorFlow Serving's mapping and messages, and what stands for a missing value.

Source of the mapping: https://www.tensorflow.org/tfx/serving/api_rest, "JSON mapping". A raw feature takes more, as
long as no precision is lost, since a client's data has one kind of number: whole numbers written either way, true and
false for 1 and 0, and 1 and 0 for true and false.
"""

import base64
import dataclasses
import functools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

MISSING_INT = -(2**63)
B64 = "b64"
_JSON_TYPES = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number", type(None): "Null"}
# Whole numbers up to here are exact as JSON's floating-point numbers.
_WHOLE = 2**53
_SHOWN = 80


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """One input of a signature.

    Attributes:
        name: Its name in the signature.
        dtype: TensorFlow's name of its type: "float", "int64", "string", …
        array_type: The NumPy type; object for strings.
        shape: Its dimensions, None where any size is taken; None for any number of dimensions.
    """

    name: str
    dtype: str
    array_type: np.dtype
    shape: tuple[int | None, ...] | None

    @functools.cached_property
    def is_raw_feature(self) -> bool:
        """Whether it takes one value per row."""
        return self.shape in ((None,), (None, 1))

    @functools.cached_property
    def is_list(self) -> bool:
        """Whether it takes a list of any length per row, filled up to the longest (kfp_ct/data/list_columns.py)."""
        return self.shape == (None, None) and self.array_type.kind in "fiO"

    @functools.cached_property
    def json_type(self) -> type | None:
        """What its values usually are when they are parsed; None where no kind says that a value fits."""
        if self.dtype == "string":
            return str
        if self.array_type.kind == "f" and self.array_type.itemsize in (4, 8):
            return float
        return int if self.array_type == np.int64 else None

    @functools.cached_property
    def missing(self) -> Any:
        """What stands for a missing value; None if nothing can."""
        if not self.is_raw_feature and not self.is_list:
            return None
        if self.array_type.kind == "f":
            return math.nan
        return {"string": b"", "int64": MISSING_INT}.get(self.dtype)


class BadValueError(Exception):
    """A value that does not fit; `index` is its place among all values of the input."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


@dataclasses.dataclass(frozen=True)
class Lists:
    """A list of values per row, as it was sent: what a model is given is filled up to the longest.

    Attributes:
        values: The values of all rows, one after the other.
        lengths: How many each row has.
        present: Whether a row has a list at all, if an empty one.
        missing: What lists are filled up with.
    """

    values: np.ndarray
    lengths: np.ndarray
    present: np.ndarray
    missing: Any

    ndim = 2

    def __len__(self) -> int:
        return len(self.lengths)

    def padded(self) -> np.ndarray:
        """Returns them as an array of shape (rows, longest), at least one wide."""
        width = max(1, int(self.lengths.max(initial=0)))
        array = np.full((len(self), width), self.missing, self.values.dtype)
        array[np.arange(width) < self.lengths[:, np.newaxis]] = self.values
        return array


# What a signature takes, by name.
Inputs = Mapping[str, np.ndarray | Lists]


def common_rows(inputs: Inputs) -> int:
    """Returns the number of rows that all inputs have; 0 if there is none."""
    sizes = {len(array) if array.ndim else 0 for array in inputs.values()}
    return sizes.pop() if len(sizes) == 1 else 0


def joined(parts: Sequence[np.ndarray | Lists]) -> np.ndarray | Lists:
    """Returns the rows of several requests as those of one."""
    lists = [part for part in parts if isinstance(part, Lists)]
    if not lists:
        return np.concatenate([part for part in parts if isinstance(part, np.ndarray)])
    values, lengths, present = (
        np.concatenate([getattr(part, name) for part in lists]) for name in ("values", "lengths", "present")
    )
    return Lists(values, lengths, present, lists[0].missing)


def missing_rows(spec: InputSpec, rows: int) -> np.ndarray | Lists:
    """Returns an input in which every row is missing."""
    if spec.is_list:
        nothing = np.zeros(rows, np.int64)
        return Lists(np.empty(0, spec.array_type), nothing, nothing.astype(bool), spec.missing)
    return np.full((rows,) if spec.shape == (None,) else (rows, 1), spec.missing, spec.array_type)


def convert(leaves: list[Any], spec: InputSpec) -> Sequence[Any]:
    """Converts JSON values to what an array of the input's type takes; null becomes its missing value.

    Raises:
        BadValueError: The first value that does not fit.
    """
    kind = "s" if spec.dtype == "string" else spec.array_type.kind
    converter = {"f": _floats, "i": _integers, "u": _integers, "b": _booleans, "s": _strings}.get(kind)
    if converter is None:
        raise BadValueError(0, f"Conversion of JSON values to type: {spec.dtype} is not supported")
    return converter(leaves, spec)


def _floats(leaves: list[Any], spec: InputSpec) -> Sequence[Any]:
    types = _check_types(leaves, spec, (float, int, bool) if spec.is_raw_feature else (float, int))
    largest = float(np.finfo(spec.array_type).max)
    if int in types:
        _check(leaves, lambda value: type(value) is not int or _is_exact(value, spec, largest), _lossy(spec))
    if types & {float}:
        _check(leaves, lambda value: value is None or abs(value) <= largest or not math.isfinite(value), _lossy(spec))
    return _filled(leaves, types, spec)


def _is_exact(value: int, spec: InputSpec, largest: float) -> bool:
    return abs(value) <= largest and int(spec.array_type.type(value)) == value


def _integers(leaves: list[Any], spec: InputSpec) -> Sequence[Any]:
    if spec.is_raw_feature and not set(map(type, leaves)) <= {int, type(None)}:
        leaves = [_as_integer(value, spec) for value in leaves]
    types = _check_types(leaves, spec, (int,))
    limits = np.iinfo(spec.array_type)
    _check(leaves, lambda value: value is None or limits.min <= value <= limits.max, _type_error(spec))
    return _filled(leaves, types, spec)


def _as_integer(value: Any, spec: InputSpec) -> Any:
    """A whole number, however it is written; NaN is missing where something can be."""
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, float):
        return value
    if math.isnan(value) and spec.missing is not None:
        return None
    return int(value) if value.is_integer() and abs(value) <= _WHOLE else value


def _booleans(leaves: list[Any], spec: InputSpec) -> Sequence[Any]:
    if spec.is_raw_feature:
        leaves = [bool(value) if type(value) in (int, float) and value in (0, 1) else value for value in leaves]
    _check_types(leaves, spec, (bool,))
    return leaves


def _strings(leaves: list[Any], spec: InputSpec) -> Sequence[Any]:
    types = _check_types(leaves, spec, (str, dict))
    return [
        value if value is spec.missing else _bytes(value, index)
        for index, value in enumerate(_filled(leaves, types, spec))
    ]


def _bytes(value: Any, index: int) -> bytes:
    try:
        if isinstance(value, str):
            return value.encode()
        if value.keys() == {B64} and isinstance(value[B64], str):
            return base64.b64decode(value[B64], validate=True)
    except UnicodeEncodeError:
        raise BadValueError(index, "a string that is not valid Unicode") from None
    except ValueError:  # binascii.Error, or a letter beyond ASCII
        raise BadValueError(index, "Unable to base64 decode") from None
    raise BadValueError(index, f"JSON Value: {shown(value)} not formatted correctly for base64 data")


def _check_types(leaves: list[Any], spec: InputSpec, allowed: tuple[type, ...]) -> set[type]:
    if spec.missing is not None:
        allowed = (*allowed, type(None))
    types = set(map(type, leaves))
    if not types <= set(allowed):
        _check(leaves, lambda value: type(value) in allowed, _type_error(spec))
    return types


def _check(leaves: Iterable[Any], fits: Callable[[Any], bool], reason: Callable[[Any], str]) -> None:
    for index, value in enumerate(leaves):
        if not fits(value):
            raise BadValueError(index, reason(value))


def _filled(leaves: list[Any], types: set[type], spec: InputSpec) -> list[Any]:
    missing = spec.missing
    return [missing if value is None else value for value in leaves] if type(None) in types else leaves


def _type_error(spec: InputSpec) -> Callable[[Any], str]:
    def reason(value: Any) -> str:
        kind = str(value) if isinstance(value, bool) else _JSON_TYPES.get(type(value), "?")
        return f"JSON Value: {shown(value)} Type: {kind} is not of expected type: {spec.dtype}"

    return reason


def _lossy(spec: InputSpec) -> Callable[[Any], str]:
    def reason(value: Any) -> str:
        message = f"Cannot convert JSON value: {shown(value)} to {spec.dtype} without loss of precision."
        rounding = isinstance(value, int) and abs(value) < _WHOLE
        return f"{message} To have it rounded, send {value}.0." if rounding else message

    return reason


def shown(value: Any) -> str:
    """Returns a value as JSON for a message, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
