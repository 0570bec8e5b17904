"""The one way from rows on disk to a model's inputs, used by transform, train and evaluate.

A model is asked with raw columns: one tensor a column, named after it, of shape `[n]` or `[n, 1]`, dtype float32,
int64 or string; of shape `[n, k]` where every row is a list of k values, `[n, longest]` where lists have any length.
TensorFlow has no null, so a missing value is the dtype's entry in `MISSING`; so is what fills up shorter lists.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders import example_coder
from tfx_bsl.tfxio import tensor_representation_util

from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data import list_columns

# What stands for null in a tensor. A float that is NaN in the file counts as missing too.
MISSING: dict[tf.DType, Any] = {tf.float32: float("nan"), tf.int64: -(2**63), tf.string: b""}

FeatureSpec: TypeAlias = tf.io.FixedLenFeature | tf.io.VarLenFeature | tf.io.RaggedFeature
Tensor: TypeAlias = tf.Tensor | tf.SparseTensor | tf.RaggedTensor
Column: TypeAlias = np.ndarray | tf.RaggedTensor

_ARROW_TYPES = {tf.float32: pa.float32(), tf.int64: pa.int64(), tf.string: pa.binary()}


def read_schema(path: str | Path) -> schema_pb2.Schema:
    """Reads a schema in TensorFlow Metadata's text format.

    Raises:
        ConfigurationError: There is no such file, or it is no schema.
    """
    try:
        return text_format.Parse(Path(path).read_text(), schema_pb2.Schema())
    except (OSError, text_format.ParseError) as error:
        raise ConfigurationError(f"{path} cannot be read as a schema: {error}\nexpected: a schema.pbtxt") from error


def feature_specs(schema: schema_pb2.Schema, environment: str = "") -> dict[str, FeatureSpec]:
    """Returns how TFX reads each feature: of a fixed shape is dense, else sparse, or ragged if the schema says so.

    Args:
        schema: The schema.
        environment: Leaves out the features that are not in this environment (the label when SERVING).
    """
    representations = tensor_representation_util.InferTensorRepresentationsFromMixedSchema(schema)
    return {
        feature.name: tensor_representation_util.CreateTfExampleParserConfig(
            representations[feature.name], feature.type
        )
        for feature in schema.feature
        if feature.name in representations and (not environment or environment not in feature.not_in_environment)
    }


def type_spec(spec: FeatureSpec) -> tf.TypeSpec:
    """Returns the type of the tensor that a feature is read into."""
    if isinstance(spec, tf.io.FixedLenFeature):
        return tf.TensorSpec([None, *spec.shape], spec.dtype)
    if isinstance(spec, tf.io.RaggedFeature):
        return tf.RaggedTensorSpec([None, None], spec.dtype, ragged_rank=1, row_splits_dtype=spec.row_splits_dtype)
    return tf.SparseTensorSpec([None, None], spec.dtype)


def to_columns(batch: pa.RecordBatch, specs: Mapping[str, FeatureSpec]) -> dict[str, Column]:
    """Converts columns of a record batch to what `to_features` takes: arrays, ragged tensors for lists of any length.

    Raises:
        DataError: A column is not in the batch, holds values of another type, or lists of another length.
    """
    return {name: _to_column(_column(batch, name), name, spec) for name, spec in specs.items()}


def to_tensors(columns: Mapping[str, Column]) -> dict[str, tf.Tensor | tf.RaggedTensor]:
    """Returns what `to_columns` made as tensors only."""
    return {name: tf.constant(each) if isinstance(each, np.ndarray) else each for name, each in columns.items()}


def column_spec(spec: FeatureSpec, is_list: bool) -> tf.TypeSpec:
    """Returns the type of what `to_columns` makes of a feature."""
    if not is_list:
        return tf.TensorSpec([None], spec.dtype)
    if isinstance(spec, tf.io.FixedLenFeature):
        return tf.TensorSpec([None, *spec.shape], spec.dtype)
    return tf.RaggedTensorSpec([None, None], spec.dtype, ragged_rank=1)


def input_spec(spec: FeatureSpec, name: str, is_list: bool = False) -> tf.TensorSpec:
    """Returns the input of a raw-column signature for a feature: `[n]`, `[n, k]`, or `[n, longest]` for other lists."""
    if isinstance(spec, tf.io.FixedLenFeature) and int(np.prod(spec.shape)) != 1:
        return tf.TensorSpec([None, *spec.shape], spec.dtype, name)
    return tf.TensorSpec([None, None] if is_list else [None], spec.dtype, name)


def is_list_feature(feature: schema_pb2.Feature) -> bool:
    """Whether a schema says that a feature may have several values a row."""
    if feature.HasField("value_count"):
        return feature.value_count.max != 1
    return int(np.prod([dim.size for dim in feature.shape.dim])) > 1


def to_arrays(batch: pa.RecordBatch, dtypes: Mapping[str, tf.DType]) -> dict[str, np.ndarray]:
    """Converts columns of a record batch to arrays of shape `[n]`, nulls to `MISSING`.

    Raises:
        DataError: A column is not in the batch, or holds values of another type.
    """
    return {name: _to_array(_column(batch, name), name, dtype) for name, dtype in dtypes.items()}


def to_signature_inputs(batch: pa.RecordBatch, inputs: Mapping[str, tf.TensorSpec]) -> dict[str, tf.Tensor]:
    """Converts a record batch to the inputs of a raw-feature signature.

    Args:
        batch: Rows with at least the columns that the signature names.
        inputs: The signature's inputs by name: `loaded.signatures[key].structured_input_signature[1]`.

    Returns:
        Tensors of shape `[n]` or `[n, 1]`, as the signature has it; of lists `[n, k]`, or as wide as the longest.

    Raises:
        DataError: A column is not there, of another type, or has lists of other lengths than the signature.
    """
    return {name: tf.constant(_to_input(_column(batch, name), name, spec), spec.dtype) for name, spec in inputs.items()}


def to_features(columns: Mapping[str, tf.Tensor], specs: Mapping[str, FeatureSpec]) -> dict[str, Tensor]:
    """Converts raw columns to the tensors that TFX would have parsed; runs in a graph.

    Args:
        columns: Tensors of shape `[n]` or `[n, 1]`, missing as in `MISSING`; of lists `[n, k]`, ragged or filled up.
        specs: How each is read, from `feature_specs`.

    Returns:
        Dense `[n, 1]` (or the spec's own shape) for required features, sparse or ragged for others.
    """
    return {name: _to_feature(values, specs[name]) for name, values in columns.items()}


def to_lists(
    batch: pa.RecordBatch, columns: Iterable[str], specs: Mapping[str, FeatureSpec] | None = None
) -> pa.RecordBatch:
    """Converts columns to lists, as TFX's libraries take them; null and NaN become a null list, lists stay as they are.

    Args:
        batch: Rows.
        columns: The columns to convert.
        specs: Features of the schema: a column without any value is of the feature's type, whatever the file says.

    Raises:
        DataError: A column is not there, or a list has a missing value among its values.
    """
    arrays = {name: _typed_if_empty(_column(batch, name), (specs or {}).get(name)) for name in columns}
    return pa.RecordBatch.from_arrays([_to_list(array, name) for name, array in arrays.items()], names=list(arrays))


def to_examples(batch: pa.RecordBatch, columns: Iterable[str] | None = None) -> list[bytes]:
    """Converts rows to serialized `tf.Example`s, for models whose only input is text; null and NaN are absent."""
    names = batch.schema.names if columns is None else columns
    return example_coder.RecordBatchToExamples(to_lists(batch, names))


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    index = batch.schema.get_field_index(name)
    if index < 0:
        raise DataError(
            f"the examples have no column {name}\nexpected: one of {batch.schema.names}\n"
            "fix: select it in the query, or take it out of the schema and the model's inputs"
        )
    return batch.column(index)


def _typed_if_empty(column: pa.Array, spec: FeatureSpec | None) -> pa.Array:
    """Files cannot say of what type a column without a value is, and call it text; the schema can."""
    if spec is None or column.null_count < len(column) or list_columns.is_list(column.type):
        return column
    return pa.nulls(len(column), _ARROW_TYPES[spec.dtype])


def _to_array(column: pa.Array, name: str, dtype: tf.DType) -> np.ndarray:
    if dtype == tf.string:
        return _to_bytes(column)
    try:
        column = column.cast(_ARROW_TYPES[dtype])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError) as error:
        raise DataError(
            f"column {name} is {column.type}, the schema or the model says {dtype.name}\nexpected: one type in both\n"
            "fix: cast it in the query, or correct the schema"
        ) from error
    return column.fill_null(MISSING[dtype]).to_numpy(zero_copy_only=False)


def _to_bytes(column: pa.Array) -> np.ndarray:
    # Text repeats: Python objects are made once a distinct value.
    encoded = column.cast(pa.binary()).fill_null(MISSING[tf.string]).dictionary_encode()
    return encoded.dictionary.to_numpy(zero_copy_only=False)[encoded.indices.to_numpy(zero_copy_only=False)]


def _to_column(column: pa.Array, name: str, spec: FeatureSpec) -> Column:
    if not list_columns.is_list(column.type):
        return _to_array(column, name, spec.dtype)
    if isinstance(spec, tf.io.FixedLenFeature):
        return list_columns.to_dense(column, name, spec.dtype, spec.shape)
    return list_columns.to_ragged(column, name, spec.dtype)


def _to_input(column: pa.Array, name: str, spec: tf.TensorSpec) -> np.ndarray:
    sizes: list[Any] = spec.shape.as_list()[1:] if spec.shape.rank is not None else [None]
    if not list_columns.is_list(column.type):
        array = _to_array(column, name, spec.dtype)
        return array.reshape(-1, *([1] * len(sizes)))
    if None in sizes:
        return list_columns.to_padded(column, name, spec.dtype, MISSING[spec.dtype])
    return list_columns.to_dense(column, name, spec.dtype, sizes)


def _to_list(column: pa.Array, name: str) -> pa.LargeListArray:
    if list_columns.is_list(column.type):
        return _of_lists(column, name)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.binary())
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    present = column.is_valid().to_numpy(zero_copy_only=False)
    return _relisted(column.drop_null(), present.astype(np.int64), present)


def _of_lists(column: pa.Array, name: str) -> pa.LargeListArray:
    values = column.flatten()
    list_columns.require_elements(values, name)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        values = values.cast(pa.binary())
    return _relisted(values, list_columns.lengths(column), column.is_valid().to_numpy(zero_copy_only=False))


def _relisted(values: pa.Array, lengths: np.ndarray, present: np.ndarray) -> pa.LargeListArray:
    # An offset that is null makes the list at it null.
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return pa.LargeListArray.from_arrays(pa.array(ends, mask=np.concatenate([~present, [False]])), values)


def _to_feature(values: tf.Tensor | tf.RaggedTensor, spec: FeatureSpec) -> Tensor:
    if isinstance(spec, tf.io.FixedLenFeature):
        return tf.reshape(values, [-1, *spec.shape])
    found = values.to_sparse() if isinstance(values, tf.RaggedTensor) else _to_sparse(values, spec)
    if not isinstance(spec, tf.io.RaggedFeature):
        return found
    ragged = values if isinstance(values, tf.RaggedTensor) else tf.RaggedTensor.from_sparse(found)
    return ragged.with_row_splits_dtype(spec.row_splits_dtype)


def _to_sparse(values: tf.Tensor, spec: FeatureSpec) -> tf.SparseTensor:
    missing = MISSING[spec.dtype]
    if values.shape.rank == 2 and values.shape[1] != 1:
        present = ~tf.math.is_nan(values) if spec.dtype == tf.float32 else tf.not_equal(values, missing)
        return list_columns.unpadded(values, present)
    values = tf.reshape(values, [-1, 1])
    present = ~tf.math.is_nan(values) if spec.dtype == tf.float32 else tf.not_equal(values, missing)
    indices = tf.where(present)
    shape = tf.shape(values, out_type=tf.int64)
    return tf.SparseTensor(indices, tf.gather_nd(values, indices), shape)
