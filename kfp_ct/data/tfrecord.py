"""TFRecord files of tf.Example, plain or gzipped, as record batches and back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders import example_coder

from kfp_ct.base.errors import DataError
from kfp_ct.data import batches, layouts

_FEATURE_TYPES = {
    "int": schema_pb2.INT,
    "float": schema_pb2.FLOAT,
    "string": schema_pb2.BYTES,
    "bytes": schema_pb2.BYTES,
}
_VALUE_TYPES = {"int": pa.int64(), "float": pa.float32(), "string": pa.string(), "bytes": pa.binary()}


def read(file: str | Path, rows: int) -> Iterator[list[bytes]]:
    """Yields a file's records, at most so many at a time.

    Raises:
        DataError: It is no TFRecord file, or a broken one.
    """
    try:
        yield from (list(records) for records in _records(file).batch(rows).as_numpy_iterator())
    except tf.errors.OpError as error:
        raise DataError(
            f"{file} cannot be read as TFRecord: {error.message}\nexpected: a whole TFRecord file, plain or gzipped\n"
            "fix: write the file again"
        ) from error


def count(file: str | Path) -> int:
    """Returns the number of records in a file, which is read for it."""
    return sum(len(records) for records in read(file, layouts.BATCH_ROWS))


def iter_batches(files: Sequence[str], columns: Sequence[str] | None, rows: int) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a dataset's TFRecord files with the types that Parquet files have.

    Args:
        files: Files of one dataset; its manifest says the types, which tf.Examples only have where there are values.
        columns: What to read; all if None.
        rows: Rows of a batch, at most.
    """
    kinds = layouts.read_manifest(Path(files[0]).parents[1]).columns
    chosen = {name: kind for name, kind in kinds.items() if columns is None or name in columns}
    schema = schema_pb2.Schema(
        feature=[
            schema_pb2.Feature(name=name, type=_FEATURE_TYPES[kind.removesuffix("[]")]) for name, kind in chosen.items()
        ]
    )
    decoder = example_coder.ExamplesToRecordBatchDecoder(schema.SerializeToString())
    for file in files:
        for records in read(file, rows):
            decoded = decode(decoder, records, file)
            arrays = [_typed(decoded.column(n), name, kind) for n, (name, kind) in enumerate(chosen.items())]
            yield pa.RecordBatch.from_arrays(arrays, names=list(chosen))


def decode(decoder: Any, records: list[bytes], file: str | Path) -> pa.RecordBatch:
    """Decodes tf.Examples: a column of lists for every feature.

    Raises:
        DataError: A record is no tf.Example, or a feature has values of two types.
    """
    try:
        return decoder.DecodeBatch(records)
    except RuntimeError as error:
        raise DataError(
            f"{file} holds other records than tf.Examples of one type a feature: {error}\n"
            "expected: tf.Example, a feature's values all int64, all float or all bytes\nfix: write the file again"
        ) from error


def write(path: Path, rows: Iterable[pa.RecordBatch], kinds: Mapping[str, str]) -> None:
    """Writes rows as a gzipped TFRecord file of tf.Example; what is null is left out.

    Raises:
        DataError: A list has a null among its values, which tf.Example cannot say.
    """
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for batch in rows:
            for example in batches.to_examples(pa.RecordBatch.from_arrays(batch.columns, names=list(kinds))):
                writer.write(example)


def are_texts(values: pa.Array) -> bool:
    """Whether bytes are UTF-8, all of them."""
    try:
        values.cast(pa.large_string())
    except pa.ArrowInvalid:
        return False
    return True


def relisted(lists: pa.Array, values: pa.Array, list_class: Any) -> pa.Array:
    """Returns lists of the same lengths, null where they were, with other values (not every pyarrow casts in lists)."""
    lengths = _lengths(lists)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32 if list_class is pa.ListArray else np.int64)
    missing = np.append(~lists.is_valid().to_numpy(zero_copy_only=False), [False])
    # An offset that is null makes the list at it null.
    return list_class.from_arrays(pa.array(ends, mask=missing), values)


def _lengths(lists: pa.Array) -> Any:
    return pa.compute.fill_null(pa.compute.list_value_length(lists), 0).to_numpy(zero_copy_only=False)


def _records(file: str | Path) -> tf.data.TFRecordDataset:
    with Path(file).open("rb") as opened:
        gzipped = opened.read(2) == b"\x1f\x8b"
    return tf.data.TFRecordDataset(str(file), compression_type="GZIP" if gzipped else "")


def _typed(column: pa.Array, name: str, kind: str) -> pa.Array:
    value_type = _VALUE_TYPES[kind.removesuffix("[]")]
    if kind.endswith("[]"):
        return relisted(column, _values(column, name, value_type), pa.ListArray)
    lengths = _lengths(column)
    if lengths.max(initial=0) > 1:
        raise DataError(f"column {name} has rows with several values\nexpected: at most one, as the manifest says")
    positions = pa.array(np.cumsum(lengths) - 1, mask=lengths == 0)
    return _values(column, name, value_type).take(positions)


def _values(column: pa.Array, name: str, value_type: pa.DataType) -> pa.Array:
    try:
        return column.flatten().cast(value_type)
    except pa.ArrowInvalid as error:
        raise DataError(f"column {name} holds other values than its manifest says: {error}") from error
