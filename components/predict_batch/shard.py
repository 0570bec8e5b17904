"""Scores one shard into one file: batch by batch, under a temporary name, renamed when it is whole."""

import contextlib
import dataclasses
import datetime
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet

from kfp_ct.components.predict_batch import bucket, inferred, outputs
from kfp_ct.components.predict_batch.outputs import Tally
from kfp_ct.components.predict_batch.plan import Shard
from kfp_ct.components.predict_batch.settings import EXAMPLES
from kfp_ct.data import layouts
from kfp_ct.data.saved_model import Role, SavedModel

# Beside the data a file a finished shard; readers of folders pass over names that begin with an underscore.
RECORDS = bucket.RECORDS


class Model(Protocol):
    """What gives predictions: a SavedModel, or what another place predicted for these rows."""

    inputs: list[str]
    outputs: list[str]

    def run(self, batch: pa.RecordBatch) -> dict[str, npt.NDArray[Any]]:
        """Returns every output for a batch's rows, by name."""


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
        tfrecord: What is written beside as TFRecord: examples, prediction_log, or nothing.
        output_columns: Features of those examples by output; empty for all outputs.
        scored_by: The batch prediction job of Vertex AI that scored; empty for none.
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
    tfrecord: str = ""
    output_columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    scored_by: str = ""
    shapes: Mapping[str, Sequence[int]] = dataclasses.field(default_factory=dict)


def load_model(job: Job) -> SavedModel:
    """Loads the model of a job.

    Raises:
        ConfigurationError: It cannot be loaded, or needs columns that the examples do not have, or in another shape.
    """
    title = f"the model{f' v{job.model_version}' if job.model_version else ''}"
    model = SavedModel(job.model_path, job.signature, job.available, Role(title, fix_signature="correct signature"))
    model.require_shapes(job.shapes)
    return model


def read_tally(job: Job, shard: Shard) -> Tally | None:
    """Returns what a shard's file holds if it is whole and of this prediction, else None."""
    path = Path(job.folder) / shard.file
    try:
        record = layouts.read_json(_record(job, shard))
        whole = path.stat().st_size == record["bytes"] and record["identity"] == job.identity
        if job.tfrecord:
            beside = path.with_name(inferred.file_name(job.tfrecord, path.name))
            whole = whole and beside.stat().st_size == record["tfrecord_bytes"]
        return Tally(**record["tally"]) if whole and record["tally"]["rows"] == shard.rows else None
    except (OSError, ValueError, LookupError, TypeError):  # absent, or not written by this version
        return None


def score(job: Job, shard: Shard, model: Model, batch_rows: int = layouts.BATCH_ROWS) -> Tally:
    """Writes a shard's predictions.

    Raises:
        ConfigurationError: The model fails on the rows.
        DataError: A column does not have the type the model takes.
    """
    path = Path(job.folder) / shard.file
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    beside = path.with_name(inferred.file_name(job.tfrecord, path.name))
    other = beside.with_name(f".{beside.name}.{os.getpid()}.partial")
    try:
        with _tfrecord_writer(job, model, other) as also:
            tally = _score_into(partial, job, shard, (model, also, batch_rows))
        sizes = {"bytes": partial.stat().st_size}
        if job.tfrecord:
            sizes["tfrecord_bytes"] = other.stat().st_size
            other.replace(beside)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
        other.unlink(missing_ok=True)
    layouts.write_json(_record(job, shard), {"identity": job.identity, **sizes, "tally": dataclasses.asdict(tally)})
    if job.published:
        bucket.publish(job.published, Path(job.folder), shard.file)
    return tally


def _tfrecord_writer(job: Job, model: Model, path: Path) -> Any:
    """Opens the file beside the Parquet file; a context without one if there is none."""
    if not job.tfrecord:
        return contextlib.nullcontext()
    named = {}
    if job.tfrecord == EXAMPLES:
        named = inferred.columns(job.output_columns, model.outputs, job.available)
    return inferred.Writer(path, job.tfrecord, job.signature, named)


def _score_into(partial: Path, job: Job, shard: Shard, by: tuple[Model, inferred.Writer | None, int]) -> Tally:
    model, also, batch_rows = by
    tally, writer = Tally(), None
    needed = list(job.available) if also else sorted({*(model.inputs or job.available), *job.columns})
    try:
        with pyarrow.parquet.ParquetFile(shard.source) as parquet:
            for batch in parquet.iter_batches(batch_rows, row_groups=list(shard.groups), columns=needed):
                arrays = model.run(batch)
                table = _table(job, batch, arrays, tally)
                writer = writer or pyarrow.parquet.ParquetWriter(partial, table.schema, compression="zstd")
                writer.write_batch(table)
                if also:
                    also.write(batch, arrays)
    finally:
        if writer is not None:
            writer.close()
    return tally


def _record(job: Job, shard: Shard) -> Path:
    return Path(job.folder) / RECORDS / f"{shard.file}.json"


def _table(job: Job, batch: pa.RecordBatch, arrays: Mapping[str, Any], tally: Tally) -> pa.RecordBatch:
    columns: dict[str, Any] = {name: batch.column(name) for name in job.columns}
    for name, array in sorted(arrays.items()):
        columns[name] = outputs.to_column(name, array, batch.num_rows)
    tally.add(arrays, batch.num_rows)
    started = pa.scalar(datetime.datetime.fromisoformat(job.started), pa.timestamp("us", "UTC"))
    columns[outputs.MODEL_VERSION] = pa.repeat(pa.scalar(job.model_version), batch.num_rows)
    columns[outputs.PREDICTED_AT] = pa.repeat(started, batch.num_rows)
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
