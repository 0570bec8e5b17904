"""Reads the rows of a dataset's files, whichever of the layouts they have."""

from collections.abc import Iterator, Sequence
from typing import Any

from kfp_ct.data.layouts import BATCH_ROWS, is_tfrecord


def iter_batches(
    files: Sequence[str], columns: Sequence[str] | None = None, batch_rows: int = BATCH_ROWS
) -> Iterator[Any]:
    """Yields the rows of a dataset's files as `pyarrow.RecordBatch`es of at most `batch_rows` rows, in file order."""
    import pyarrow.parquet

    if files and is_tfrecord(files[0]):
        # Imported here: it needs TensorFlow, which readers of Parquet do without.
        from kfp_ct.data import tfrecord

        yield from tfrecord.iter_batches(files, columns, batch_rows)
        return
    for file in files:
        with pyarrow.parquet.ParquetFile(file) as parquet:
            yield from parquet.iter_batches(batch_size=batch_rows, columns=columns)


def list_columns(files: Sequence[str]) -> set[str]:
    """Returns the columns of a dataset's files that have a list of values a row."""
    import pyarrow as pa

    for batch in iter_batches(files[:1], batch_rows=1):
        return {
            field.name for field in batch.schema if pa.types.is_list(field.type) or pa.types.is_large_list(field.type)
        }
    return set()
