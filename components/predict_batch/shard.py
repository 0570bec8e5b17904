"""Scores one shard into one file: batch by batch, under a temporary name, renamed when it is whole."""

import dataclasses
import datetime
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from kfp_ct.components.predict_batch import bucket, outputs
from kfp_ct.components.predict_batch.outputs import Tally
from kfp_ct.components.predict_batch.plan import Shard
from kfp_ct.data import layouts
from kfp_ct.data.saved_model import Role, SavedModel

# Beside the data a file a finished shard; readers of folders pass over names that begin with an underscore.
RECORDS = bucket.RECORDS


@dataclasses.dataclass(frozen=True)
class Job:
    """What is the same for every shard of a prediction.

    Attributes:
        identity: Of the prediction.
        folder: Where the files go.
        model_path: Model artifact.
        model_version: Its version, written into every row.
        signature: Signature of the SavedModel.
        columns: Keys and carried columns.
        available: All columns of the examples.
        started: When the prediction started, ISO 8601; written into every row.
        table: BigQuery table that the rows go to as well; empty for none.
        published: Folder of an object store that finished shards go to; empty for none.
    """

    identity: str
    folder: str
    model_path: str
    model_version: str
    signature: str
    columns: tuple[str, ...]
    available: tuple[str, ...]
    started: str
    table: str = ""
    published: str = ""


def load_model(job: Job) -> SavedModel:
    """Loads the model of a job.

    Raises:
        ConfigurationError: It cannot be loaded, or needs columns that the examples do not have.
    """
    title = f"the model{f' v{job.model_version}' if job.model_version else ''}"
    return SavedModel(job.model_path, job.signature, job.available, Role(title, fix_signature="correct signature"))


def read_tally(job: Job, shard: Shard) -> Tally | None:
    """Returns what a shard's file holds if it is whole and of this prediction, else None."""
    path = Path(job.folder) / shard.file
    try:
        record = layouts.read_json(_record(job, shard))
        whole = path.stat().st_size == record["bytes"] and record["identity"] == job.identity
        return Tally(**record["tally"]) if whole and record["tally"]["rows"] == shard.rows else None
    except (OSError, ValueError, LookupError, TypeError):  # absent, or not written by this version
        return None


def score(job: Job, shard: Shard, model: SavedModel, batch_rows: int = layouts.BATCH_ROWS) -> Tally:
    """Writes a shard's predictions.

    Raises:
        ConfigurationError: The model fails on the rows.
        DataError: A column does not have the type the model takes.
    """
    path = Path(job.folder) / shard.file
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    tally, writer = Tally(), None
    needed = sorted({*(model.inputs or job.available), *job.columns})
    try:
        with pyarrow.parquet.ParquetFile(shard.source) as parquet:
            for batch in parquet.iter_batches(batch_rows, row_groups=list(shard.groups), columns=needed):
                table = _predict_batch(job, model, batch, tally)
                writer = writer or pyarrow.parquet.ParquetWriter(partial, table.schema, compression="zstd")
                writer.write_batch(table)
        if writer is not None:
            writer.close()
            writer = None
        size = partial.stat().st_size
        partial.replace(path)
    finally:
        if writer is not None:
            writer.close()
        partial.unlink(missing_ok=True)
    record = {"identity": job.identity, "bytes": size, "tally": dataclasses.asdict(tally)}
    layouts.write_json(_record(job, shard), record)
    if job.published:
        bucket.publish(job.published, Path(job.folder), shard.file)
    return tally


def _record(job: Job, shard: Shard) -> Path:
    return Path(job.folder) / RECORDS / f"{shard.file}.json"


def _predict_batch(job: Job, model: SavedModel, batch: pa.RecordBatch, tally: Tally) -> pa.RecordBatch:
    arrays = model.run(batch)
    columns: dict[str, Any] = {name: batch.column(name) for name in job.columns}
    for name, array in sorted(arrays.items()):
        columns[name] = outputs.to_column(name, array, batch.num_rows)
    tally.add(arrays, batch.num_rows)
    started = pa.scalar(datetime.datetime.fromisoformat(job.started), pa.timestamp("us", "UTC"))
    columns[outputs.MODEL_VERSION] = pa.repeat(pa.scalar(job.model_version), batch.num_rows)
    columns[outputs.PREDICTED_AT] = pa.repeat(started, batch.num_rows)
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
