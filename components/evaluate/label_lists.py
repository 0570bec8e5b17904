"""Labels that are lists: of class names, of class numbers, or a number 0 or 1 for every class (multi-hot)."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kfp_ct.base.errors import DataError
from kfp_ct.components.evaluate.samples import Floats
from kfp_ct.data import list_columns
from kfp_ct.pages.formats import quoted

NAMES, NUMBERS, MULTI_HOT = "names", "numbers", "multi-hot"


def form(column: pa.ChunkedArray, width: int, are_names: bool) -> str:
    """Returns what the lists of a column are; told once, by all rows that are judged.

    Args:
        column: Lists.
        width: How many classes the model has.
        are_names: Whether the values are names of classes: texts, or whole numbers that classes are called.
    """
    lists = column.combine_chunks()
    if pa.types.is_floating(lists.type.value_type) or _is_multi_hot(lists, width):
        return MULTI_HOT
    return NAMES if are_names else NUMBERS


def matrix(name: str, column: pa.ChunkedArray, kind: str, classes: tuple[str, ...], width: int) -> Floats:
    """Returns which classes each row has, 0 or 1, shape (rows, width).

    Args:
        name: The label, for messages.
        column: Lists, none of them missing.
        kind: What `form` found.
        classes: The classes' names, where the lists are of those.
        width: How many classes the model has.

    Raises:
        DataError: A list is none of the form, or has a value that is no class.
    """
    lists = column.combine_chunks()
    values = pc.list_flatten(lists)
    list_columns.require_elements(values, name)
    if kind == MULTI_HOT:
        return _from_multi_hot(name, lists, values, width)
    rows = np.repeat(np.arange(len(lists)), list_columns.lengths(lists))
    numbers = _named(name, values, classes) if kind == NAMES else _numbered(name, values, width)
    counts = np.bincount(rows * width + numbers, minlength=len(column) * width)
    if (counts > 1).any():
        row, number = divmod(int(counts.argmax()), width)
        raise DataError(
            f"the label {name} has the class {classes[number] if kind == NAMES else number} more than once in row "
            f"{row:,}\nexpected: every class of a row once, or lists of 0 and 1 as long as the model has outputs, "
            f"{width}\nfix: list_distinct({name}) in the query, or make the two equally long"
        )
    return counts.reshape(-1, width).astype(np.float32)


def _is_multi_hot(lists: pa.Array, width: int) -> bool:
    whole = pa.types.is_integer(lists.type.value_type) or pa.types.is_boolean(lists.type.value_type)
    if not whole or (list_columns.lengths(lists) != width).any():
        return False
    return set(pc.unique(pc.list_flatten(lists)).to_pylist()) <= {0, 1}


def _from_multi_hot(name: str, lists: pa.Array, values: pa.Array, width: int) -> Floats:
    lengths = list_columns.lengths(lists)
    if (lengths != width).any():
        raise DataError(
            f"the label {name} has a row of {int(lengths[lengths != width][0])} values\n"
            f"expected: {width} in every row, as many as the model has outputs\nfix: make the two equally long"
        )
    numbers = values.cast(pa.float32()).to_numpy(zero_copy_only=False)
    if not np.isin(numbers, (0, 1)).all():
        raise DataError(
            f"the label {name} has the value {numbers[~np.isin(numbers, (0, 1))][0]:g}\n"
            "expected: 0 or 1 for every class\nfix: round it in the query"
        )
    return numbers.reshape(-1, width)


def _named(name: str, values: pa.Array, classes: tuple[str, ...]) -> npt.NDArray[np.int64]:
    texts = values.cast(pa.string())
    found = pc.index_in(texts, pa.array(classes, pa.string()))
    if found.null_count:
        strange = sorted(set(pc.unique(texts).to_pylist()) - set(classes))
        raise DataError(
            f"the label {name} has the value {quoted(strange[0])}, which is no class\n"
            f"expected: some of {list(classes[:20])}\nfix: name every class in gates.classes, in order; "
            f"or leave it out: list_filter({name}, lambda x: …) in the query"
        )
    return found.to_numpy(zero_copy_only=False).astype(np.int64)


def _numbered(name: str, values: pa.Array, width: int) -> npt.NDArray[np.int64]:
    if not (pa.types.is_integer(values.type) or pa.types.is_boolean(values.type)):
        raise DataError(f"the label {name} is lists of {values.type}\nexpected: whole numbers, or names of classes")
    numbers = values.cast(pa.int64()).to_numpy(zero_copy_only=False)
    strange = numbers[(numbers < 0) | (numbers >= width)]
    if len(strange):
        raise DataError(
            f"the label {name} has the value {int(strange[0])}\nexpected: class numbers from 0 to {width - 1}, as many "
            f"as the model has outputs, or {width} numbers 0 or 1 in every row\n"
            "fix: name the classes in gates.classes, or correct the labels"
        )
    return numbers
