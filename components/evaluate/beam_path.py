"""Scoring and TFMA's metrics on Beam's workers: a file is one element, so that rows never travel to be scored."""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.proto import config_pb2

from kfp_ct.base import task_log
from kfp_ct.components.evaluate import results, scoring
from kfp_ct.components.evaluate.model import Model
from kfp_ct.components.evaluate.samples import Floats
from kfp_ct.components.evaluate.scoring import Predicted
from kfp_ct.components.evaluate.tasks import Decoder
from kfp_ct.data import beam_runner, reading

# Below the evaluation until its metrics are written; readers of folders pass over names that begin with an underscore.
SCORES = "_scores"
_ADVICE = {
    "scores": "expected: every file of the eval split to be scored\nfix: see the step's log, and run again",
    "computes the metrics": (
        "expected: metrics that TFMA can compute of these labels and predictions\n"
        "fix: see the step's log; correct the evaluation config, or run again"
    ),
}

Loaders = Mapping[str, Callable[[], Model]]
Predictions = dict[str, dict[str, Floats]]


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of the eval split, and the file its predictions go to."""

    source: str
    file: str


class Score(beam.DoFn):
    """Scores files with models that each worker loads once."""

    def __init__(self, loaders: Loaders) -> None:
        self._loaders = loaders
        self._models: dict[str, Model] = {}

    def setup(self) -> None:
        """Loads the models."""
        self._models = {name: load() for name, load in self._loaders.items()}

    def process(self, shard: Shard) -> Iterator[Any]:
        """Writes a file's predictions, four bytes a number, and yields nothing."""
        columns = scoring.wanted(self._models.values(), [])
        _save(shard, scoring.score(reading.iter_batches([shard.source], columns), self._models))
        yield from ()


@dataclasses.dataclass(frozen=True)
class Rows:
    """How scored rows are read again.

    Attributes:
        columns: Those that TFMA may need; None for all.
        decoders: How the outputs are read.
        titles: Model name → what messages call it.
    """

    columns: Sequence[str] | None
    decoders: Sequence[Decoder]
    titles: Mapping[str, str]


class ReadScored(beam.DoFn):
    """Reads files and their predictions as TFMA takes them, in its batches."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def process(self, shard: Shard) -> Iterator[Any]:
        """Yields a file's rows as record batches."""
        rows, start = self._rows, 0
        predictions = _load(shard)
        for batch in reading.iter_batches([shard.source], rows.columns):
            part = slice(start, start := start + batch.num_rows)
            given = {name: {key: values[part] for key, values in of.items()} for name, of in predictions.items()}
            predicted = Predicted(pa.Table.from_batches([batch]), given)
            yield from results.record_batches(scoring.read(predicted, rows.decoders, rows.titles))


class Workers:
    """The eval rows on Beam's workers, which must see the same folders as this process."""

    def __init__(self, shards: Sequence[Shard], beam_pipeline_args: list[str]) -> None:
        self._shards = shards
        self._arguments = beam_pipeline_args

    def predict(self, loaders: Loaders, keep: Sequence[str]) -> Predicted:
        """Predicts every row of the eval split with every model.

        This process holds the columns to keep, and four bytes for each number that a model puts out.

        Args:
            loaders: TFMA's model name → what loads the model on a worker.
            keep: Columns that the gates read.

        Raises:
            ComponentError: A file could not be scored.
            DataError: There are no rows.
        """
        task_log.progress(f"{len(self._shards):,} files are scored on Beam's workers")
        with self._pipeline("scores") as shards:
            _ = shards | "Score" >> beam.ParDo(Score(loaders))
        kept = scoring.concatenate([table for shard in self._shards for table in _kept(shard, keep)])
        parts = [_load(shard) for shard in self._shards]
        outputs = {name: list(of) for part in parts for name, of in part.items()}
        return Predicted(
            kept,
            {
                name: {key: np.concatenate([part[name][key] for part in parts if part]) for key in keys}
                for name, keys in outputs.items()
            },
        )

    def write(self, folder: str, rows: Rows, config: config_pb2.EvalConfig, schema: schema_pb2.Schema) -> None:
        """Lets TFMA compute the metrics of the scored rows on the workers and write its result folder.

        Raises:
            ComponentError: It could not.
        """
        task_log.progress("TFMA computes the metrics on Beam's workers")
        with self._pipeline("computes the metrics") as shards:
            batches = shards | "Read" >> beam.ParDo(ReadScored(rows)).with_output_types(pa.RecordBatch)
            results.write_batches(batches, folder, config, schema)
        results.write_config(folder, config)

    @contextlib.contextmanager
    def _pipeline(self, doing: str) -> Iterator[Any]:
        with beam_runner.report_beam_failure(doing, _ADVICE[doing]), beam_runner.pipeline(self._arguments) as pipeline:
            yield pipeline | "Files" >> beam.Create(list(self._shards)) | "Spread" >> beam.Reshuffle()


@contextlib.contextmanager
def workers(files: Sequence[str], evaluation_path: str, beam_pipeline_args: list[str]) -> Iterator[Workers]:
    """Gives the workers a folder for their scores, and removes it.

    Args:
        files: Files of the splits to judge on.
        evaluation_path: TFMA's result folder.
        beam_pipeline_args: Beam options; without a runner among them it runs in this process.
    """
    folder = Path(evaluation_path) / SCORES
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shards = [Shard(file, str(folder / f"scores-{n:05d}.npz")) for n, file in enumerate(files)]
    try:
        yield Workers(shards, beam_pipeline_args)
    finally:
        shutil.rmtree(folder)


def _kept(shard: Shard, keep: Sequence[str]) -> Iterator[pa.Table]:
    for batch in reading.iter_batches([shard.source], keep):
        yield pa.Table.from_batches([batch]).select(list(keep))


def _save(shard: Shard, predictions: Predictions) -> None:
    path = Path(shard.file)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    named: dict[str, Any] = {f"{name}/{key}": values for name, of in predictions.items() for key, values in of.items()}
    try:
        with partial.open("wb") as file:
            np.savez(file, **named)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _load(shard: Shard) -> Predictions:
    """Returns a file's predictions: model → output → (rows, width); no model where the file has no rows."""
    found: Predictions = {}
    with np.load(shard.file) as arrays:
        for named in arrays.files:
            name, key = named.split("/", 1)
            found.setdefault(name, {})[key] = arrays[named]
    return found
