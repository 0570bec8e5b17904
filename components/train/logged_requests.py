"""What clients asked a prediction service last, by its request log: rows that a model is warmed up with."""

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from kfp_ct.base import task_log
from kfp_ct.storage import storage

# Files without a row say what was counted; looking at more of them would not be worth what it takes.
_FILES = 50


def newest(log: str, most: int) -> pa.RecordBatch | None:
    """Returns the inputs of the newest rows that were asked; None if there are none yet.

    Args:
        log: Folder of the request log of one model: a path, s3:// or gs://.
        most: Rows at most, of files that have the newest file's columns.

    Raises:
        ConfigurationError: The bucket cannot be read.
    """
    found: list[pa.Table] = []
    for inputs in _inputs(log):
        if found and inputs.schema != found[0].schema:
            break
        found.append(inputs.slice(max(0, len(inputs) - (most - sum(map(len, found))))))
        if sum(map(len, found)) == most:
            break
    if not found:
        task_log.progress(f"no requests are logged at {log} yet: rows of the examples are the warm-up requests")
        return None
    batch: pa.RecordBatch = pa.concat_tables(found).combine_chunks().to_batches()[0]
    return batch


def _inputs(log: str) -> Iterator[pa.Table]:
    """Yields the inputs in each file that has some, newest first: the names of files begin with a time."""
    files = [each for each in storage.list_folder(log) if each.uri.endswith(".parquet")]
    for each in sorted(files, key=lambda file: file.uri.rpartition("/")[2], reverse=True)[:_FILES]:
        content = storage.read(each.uri)
        if content is None:  # the service has deleted it since
            continue
        try:
            table = pq.read_table(io.BytesIO(content.data))
        except (pa.ArrowException, OSError) as error:
            task_log.progress(f"{each.uri} is no file of a request log: {error}")
            continue
        if "inputs" in table.column_names and len(table):
            struct = pa.concat_arrays(table["inputs"].chunks)
            yield pa.table(dict(zip([field.name for field in struct.type], struct.flatten(), strict=True)))
