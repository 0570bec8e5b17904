"""The one way from rows on disk to a model's inputs, used by transform, train and evaluate.

A model is asked with raw columns: one tensor a column, named after it, of shape `[n]` or `[n, 1]`, dtype float32,
int64 or string. TensorFlow has no null, so a missing value is the dtype's entry in `MISSING`.
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

# What stands for null in a tensor. A float that is NaN in the file counts as missing too.
MISSING: dict[tf.DType, Any] = {tf.float32: float("nan"), tf.int64: -(2**63), tf.string: b""}

FeatureSpec: TypeAlias = tf.io.FixedLenFeature | tf.io.VarLenFeature
Tensor: TypeAlias = tf.Tensor | tf.SparseTensor

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
    """Returns how TFX reads each feature: required and of a fixed shape is dense, else sparse.

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
    return tf.SparseTensorSpec([None, None], spec.dtype)


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
        Tensors of shape `[n]` or `[n, 1]`, as the signature has it.
    """
    arrays = to_arrays(batch, {name: spec.dtype for name, spec in inputs.items()})
    return {
        name: tf.constant(array.reshape(-1, 1) if inputs[name].shape.rank == 2 else array, inputs[name].dtype)
        for name, array in arrays.items()
    }


def to_features(columns: Mapping[str, tf.Tensor], specs: Mapping[str, FeatureSpec]) -> dict[str, Tensor]:
    """Converts raw columns to the tensors that TFX would have parsed; runs in a graph.

    Args:
        columns: Tensors of shape `[n]` or `[n, 1]`, missing as in `MISSING`.
        specs: How each is read, from `feature_specs`.

    Returns:
        Dense `[n, 1]` (or the spec's own shape) for required features, sparse for optional ones.
    """
    return {name: _to_feature(values, specs[name]) for name, values in columns.items()}


def to_lists(batch: pa.RecordBatch, columns: Iterable[str]) -> pa.RecordBatch:
    """Converts columns to lists of at most one value, as TFX's libraries take them; null and NaN become a null list."""
    arrays = {name: _column(batch, name) for name in columns}
    return pa.RecordBatch.from_arrays([_to_list(array) for array in arrays.values()], names=list(arrays))


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


def _to_list(column: pa.Array) -> pa.LargeListArray:
    if pa.types.is_large_list(column.type) or pa.types.is_list(column.type):
        return column
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.binary())
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    present = column.is_valid().to_numpy(zero_copy_only=False)
    # An offset that is null makes the list at it null.
    ends = np.concatenate([[0], np.cumsum(present)]).astype(np.int64)
    offsets = pa.array(ends, mask=np.concatenate([~present, [False]]))
    return pa.LargeListArray.from_arrays(offsets, column.drop_null())


def _to_feature(values: tf.Tensor, spec: FeatureSpec) -> Tensor:
    if isinstance(spec, tf.io.FixedLenFeature):
        return tf.reshape(values, [-1, *spec.shape])
    values = tf.reshape(values, [-1, 1])
    missing = MISSING[spec.dtype]
    present = ~tf.math.is_nan(values) if spec.dtype == tf.float32 else tf.not_equal(values, missing)
    indices = tf.where(present)
    shape = tf.shape(values, out_type=tf.int64)
    return tf.SparseTensor(indices, tf.gather_nd(values, indices), shape)
