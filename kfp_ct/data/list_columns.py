"""Columns of lists as tensors: dense where the shape is fixed, ragged or padded where it is not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from kfp_ct.base.errors import DataError

Array = npt.NDArray[Any]
_ARROW_TYPES = {tf.float32: pa.float32(), tf.int64: pa.int64(), tf.string: pa.binary()}


def is_list(kind: Any) -> bool:
    """Whether a column has a list of values a row."""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def lengths(column: Any) -> Array:
    """Returns how many values each row has; none where the list is missing."""
    return pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)


def values(column: Any, name: str, dtype: tf.DType) -> Array:
    """Returns the values of all rows, one after the other.

    Raises:
        DataError: A list has a missing value among its values, or they are of another type.
    """
    flat = column.flatten()
    require_elements(flat, name)
    try:
        return flat.cast(_ARROW_TYPES[dtype]).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError) as error:
        raise DataError(
            f"column {name} is {column.type}, the schema or the model says {dtype.name}\nexpected: one type in both\n"
            "fix: cast it in the query, or correct the schema"
        ) from error


def require_elements(flat: Any, name: str) -> None:
    """Raises `DataError` where values of lists are missing, which neither a tensor nor a tf.Example can hold."""
    if flat.null_count:
        raise DataError(
            f"column {name} has lists with missing values, which tf.Example cannot hold\nexpected: lists of values\n"
            f"fix: list_filter({name}, lambda x: x IS NOT NULL) in the query, or give them a value there"
        )


def to_dense(column: Any, name: str, dtype: tf.DType, shape: Sequence[int]) -> Array:
    """Returns lists that all have as many values as the shape, as an array `[n, *shape]`.

    Raises:
        DataError: A row has another number of values.
    """
    width = int(np.prod(shape))
    found = lengths(column)
    if (found != width).any():
        wrong = int(found[found != width][0])
        raise DataError(
            f"column {name} has a row of {wrong} values; the schema or the model says the shape {list(shape)}\n"
            f"expected: {width} values in every row\n"
            "fix: fill or cut the lists in the query; or take the feature's shape out of the schema, and give it "
            "value_count { min: … max: … }"
        )
    return values(column, name, dtype).reshape(-1, *shape)


def to_ragged(column: Any, name: str, dtype: tf.DType) -> tf.RaggedTensor:
    """Returns lists of any lengths as a ragged tensor; a missing one has no values."""
    lists = tf.constant(values(column, name, dtype), dtype)
    return tf.RaggedTensor.from_row_lengths(lists, lengths(column), validate=False)


def to_padded(column: Any, name: str, dtype: tf.DType, missing: Any) -> Array:
    """Returns lists of any lengths as an array `[n, longest]`, filled up at the end by what stands for missing.

    Raises:
        DataError: A list ends in the value that stands for missing, and would come out shorter.
    """
    found, flat = lengths(column), values(column, name, dtype)
    width = max(1, int(found.max(initial=0)))
    kept = np.arange(width) < found[:, np.newaxis]
    last = flat[np.cumsum(found)[found > 0] - 1]
    if any(_is_missing(value, missing) for value in last):
        raise DataError(
            f"column {name} has a list that ends in {missing!r}, by which a model's input tells that a list has ended\n"
            f"expected: other values, or a signature that takes serialised tf.Examples\n"
            f"fix: leave such values out in the query: list_filter({name}, lambda x: …)"
        )
    padded = np.full((len(found), width), missing, flat.dtype)
    padded[kept] = flat
    return padded


def unpadded(padded: tf.Tensor, present: tf.Tensor) -> tf.SparseTensor:
    """Returns `to_padded`'s array as a sparse tensor without what lists were filled up with; runs in a graph."""
    places = tf.range(1, tf.shape(padded)[1] + 1)
    ends = tf.reduce_max(tf.where(present, places[tf.newaxis, :], 0), axis=1)
    indices = tf.where(tf.sequence_mask(ends, tf.shape(padded)[1]))
    return tf.SparseTensor(indices, tf.gather_nd(padded, indices), tf.shape(padded, out_type=tf.int64))


def _is_missing(value: Any, missing: Any) -> bool:
    return bool(value == missing or (value != value and missing != missing))
