"""The fast way from JSON rows to arrays: a column at a time, for values that need no second look.

Whatever is unusual (a value that may not fit, a number that a fast parser may have rounded, a name that is unknown)
gives None here; `kfp_ct.serving.tensors` then decides about every value by itself, and says what is wrong with it. What
is converted here equals what it would return.
"""

import itertools
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kfp_ct.serving.values import MISSING_INT, Inputs, InputSpec, Lists

Specs = dict[str, InputSpec]
# Where whole numbers stop being exact, by the width of a floating-point number in bytes.
_WHOLE = {4: 2**24, 8: 2**53}
# A number this large may have been an integer that the fast parser rounded.
_LARGEST = 2.0**63
_NONE = type(None)
# What a column of numbers is packed as, by its type.
_PACKED = {"<f4": "d", "<f8": "d", "<i8": "q"}


def rows_to_arrays(instances: Any, specs: Specs) -> Inputs | None:
    """Returns the arrays of the row format; None if anything is unusual."""
    if not isinstance(instances, list) or not instances or set(map(type, instances)) != {dict}:
        return None
    columns = _in_one_order(instances, specs) or _with_gaps(instances, specs)
    return None if columns is None else _arrays(columns, specs)


def columns_to_arrays(inputs: Any, specs: Specs) -> Inputs | None:
    """Returns the arrays of the column format; None if anything is unusual."""
    if not isinstance(inputs, dict) or inputs.keys() != specs.keys():
        return None
    if not all(isinstance(values, list) for values in inputs.values()):
        return None
    return _arrays(inputs, specs)


def _in_one_order(instances: list[dict[str, Any]], specs: Specs) -> dict[str, Sequence[Any]] | None:
    """Returns the columns of rows that all have every input, nothing else, and all in the same order.

    As no row has a name twice, all names in a row's place can only be those of the first row, repeated.
    """
    names = list(instances[0])
    every = list(itertools.chain.from_iterable(instances))
    if specs.keys() != set(names) or every != names * len(instances):
        return None
    values = list(itertools.chain.from_iterable(map(dict.values, instances)))
    return {name: values[place :: len(names)] for place, name in enumerate(names)}


def _with_gaps(instances: list[dict[str, Any]], specs: Specs) -> dict[str, Sequence[Any]] | None:
    if not specs.keys() >= set(itertools.chain.from_iterable(instances)):
        return None
    return {name: list(map(dict.get, instances, itertools.repeat(name))) for name in specs}


def _arrays(columns: dict[str, Sequence[Any]], specs: Specs) -> Inputs | None:
    arrays: dict[str, np.ndarray | Lists] = {}
    for name, spec in specs.items():
        array = _lists(columns[name], spec) if spec.is_list else _array(columns[name], spec)
        if array is None:
            return None
        arrays[name] = array
    return arrays


def _array(values: Sequence[Any], spec: InputSpec) -> np.ndarray | None:
    if not spec.is_raw_feature:
        return None
    if len(values) == 1 and (single := _single(values[0], spec)) is not None:
        return single if spec.shape == (None,) else single.reshape(-1, 1)
    plain = _encoded(values) if spec.json_type is str else _packed(values, spec)
    if plain is not None:
        return plain if spec.shape == (None,) else plain.reshape(-1, 1)
    types = set(map(type, values))
    if types == {list}:
        if set(map(len, values)) != {1}:
            return None
        values = [value[0] for value in values]
        types = set(map(type, values))
    if _NONE in types and spec.missing is None:
        return None
    convert = _CONVERTERS.get("s" if spec.dtype == "string" else spec.array_type.kind)
    array = None if convert is None else convert(values, types, spec)
    return array if array is None or spec.shape == (None,) else array.reshape(-1, 1)


def _single(value: Any, spec: InputSpec) -> np.ndarray | None:
    """Returns the array of one value of the input's own kind: most requests are of one row."""
    kind: Any = type(value)
    if kind is not spec.json_type:
        return None
    if kind is str:
        return np.array((value.encode(),), object)
    return np.array((value,), spec.array_type) if -_LARGEST < value < _LARGEST else None


def _packed(values: Sequence[Any], spec: InputSpec) -> np.ndarray | None:
    """Returns a column of numbers converted in one pass; None where any of them needs a look at its kind.

    What packs as a floating-point number is one, a whole number, or true or false, which a raw feature takes alike.
    """
    code = _PACKED.get(spec.array_type.str)
    if code is None:
        return None
    try:
        packed = np.frombuffer(struct.pack(f"{len(values)}{code}", *values), code)
    except (struct.error, OverflowError):
        return None
    if code == "q":
        return packed
    exact = packed.size and float(np.abs(packed).max()) < _WHOLE[spec.array_type.itemsize]
    return packed.astype(spec.array_type) if exact else None


def _encoded(values: Sequence[Any]) -> np.ndarray | None:
    """Returns a column of texts; None where any value is something else."""
    try:
        return np.fromiter(map(str.encode, values), object, len(values))
    except TypeError:
        return None


def _lists(values: Sequence[Any], spec: InputSpec) -> Lists | None:
    if not set(map(type, values)) <= {list, _NONE}:
        return None
    leaves = list(itertools.chain.from_iterable(value or () for value in values))
    types = set(map(type, leaves))
    convert = _CONVERTERS.get("s" if spec.dtype == "string" else spec.array_type.kind)
    array = None if convert is None or _NONE in types else convert(leaves, types, spec)
    if array is None:
        return None
    lengths = np.array([len(value or ()) for value in values], np.int64)
    return Lists(array, lengths, np.array([value is not None for value in values], bool), spec.missing)


def _floats(values: Sequence[Any], types: set[type], spec: InputSpec) -> np.ndarray | None:
    whole = _WHOLE.get(spec.array_type.itemsize)
    if whole is None or not types <= {float, int, _NONE}:
        return None
    try:
        array = np.array(values, np.float64)  # None is NaN, which is what stands for it
    except OverflowError:
        return None
    present = array[~np.isnan(array)] if _NONE in types else array
    largest = float(np.abs(present).max()) if present.size else 0.0
    # A NaN or an infinity makes the comparison false.
    return array.astype(spec.array_type) if largest < (whole if int in types else _LARGEST) else None


def _integers(values: Sequence[Any], types: set[type], spec: InputSpec) -> np.ndarray | None:
    if not types <= {int, _NONE}:
        return None
    if _NONE in types:
        values = [MISSING_INT if value is None else value for value in values]
    try:
        array = np.array(values, np.int64)
    except OverflowError:
        return None
    if spec.array_type == np.int64:
        return array
    limits = np.iinfo(spec.array_type)
    if array.size and not limits.min <= array.min() <= array.max() <= limits.max:
        return None
    return array.astype(spec.array_type)


def _booleans(values: Sequence[Any], types: set[type], spec: InputSpec) -> np.ndarray | None:
    return np.array(values, bool) if types <= {bool} else None


def _strings(values: Sequence[Any], types: set[type], spec: InputSpec) -> np.ndarray | None:
    if not types <= {str, _NONE}:
        return None
    array = np.empty(len(values), object)
    array[:] = [b"" if value is None else value.encode() for value in values]
    return array


_CONVERTERS: dict[str, Callable[[Sequence[Any], set[type], InputSpec], np.ndarray | None]] = {
    "f": _floats,
    "i": _integers,
    "u": _integers,
    "b": _booleans,
    "s": _strings,
}
