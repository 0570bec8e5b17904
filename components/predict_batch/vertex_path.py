"""Scores shards by a batch prediction job of Vertex AI: the same files, with the predictions that its replicas gave."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.predict_batch import shard as shards
from kfp_ct.components.predict_batch.plan import Shard
from kfp_ct.components.predict_batch.vertex_job import KEY, Asked, VertexJob
from kfp_ct.components.predict_batch.vertex_settings import VertexBatch
from kfp_ct.data import json_rows, layouts
from kfp_ct.data.saved_model import SavedModel


class Predicted:
    """What Vertex AI predicted for a shard, as the model itself would give it, batch by batch in order."""

    def __init__(self, model: SavedModel, predictions: Sequence[Any]) -> None:
        self.inputs, self.outputs = model.inputs, model.outputs
        self._specs, self._predictions, self._next = model.output_specs, predictions, 0

    def run(self, batch: pa.RecordBatch) -> dict[str, npt.NDArray[Any]]:
        """Returns every output for the next rows, by name.

        Raises:
            DataError: A prediction is not one of this model.
        """
        found = self._predictions[self._next : self._next + batch.num_rows]
        self._next += batch.num_rows
        if len(self.outputs) == 1:
            (name,) = self.outputs
            found = [each if isinstance(each, dict) and name in each else {name: each} for each in found]
        return {name: self._array(name, [each.get(name) for each in found]) for name in self.outputs}

    def _array(self, name: str, values: list[Any]) -> npt.NDArray[Any]:
        spec = self._specs[name]
        kind = np.dtype(spec.dtype.as_numpy_dtype)
        try:
            found = np.array(_bytes(values) if kind == np.dtype(object) else values, dtype=kind)  # null is NaN
            if not spec.shape[1:].is_compatible_with(found.shape[1:]):
                raise ValueError(f"the shape is {list(found.shape[1:])}, the model's {spec.shape[1:]}")
            return found
        except (TypeError, ValueError) as error:
            raise DataError(
                f"Vertex AI's predictions are no {name} of this model: {error}\n"
                "expected: values of one shape, as the prediction service gives them\n"
                "fix: look at the results in engine.vertex.folder"
            ) from error


def score(job: shards.Job, todo: Mapping[int, Shard], model: SavedModel, chosen: VertexBatch) -> str:
    """Writes the predictions of shards; returns the name of the job that gave them.

    Args:
        job: What is the same for every shard.
        todo: The shards, by their number among all of the prediction.
        model: The model, for the types of its inputs and outputs.
        chosen: The settings of the job.

    Raises:
        ConfigurationError: A column of the model is called as rows are known by.
        DataError: Not every row was predicted.
    """
    if KEY in model.inputs:
        raise ConfigurationError(f"the model has an input {KEY}, by which rows are known\nfix: rename that input")
    fingerprint = layouts.tree_fingerprint(f"{job.model_path}/{layouts.SERVING_MODEL}")
    running = VertexJob(chosen, Asked(job.identity, job.model_version, fingerprint))
    done = running.run((number, _rows(each, model)) for number, each in todo.items())
    found: dict[int, list[Any]] = {number: [None] * each.rows for number, each in todo.items()}
    seen = {number: np.zeros(each.rows, bool) for number, each in todo.items()}
    for key, prediction in running.results(done):
        place, row = map(int, key.split("/"))
        if place in found:  # shards that a run before has finished are not asked for
            found[place][row] = prediction
            seen[place][row] = True
    if missing := sum(int((~each).sum()) for each in seen.values()):
        raise DataError(
            f"{done['name']} has no prediction for {missing:,} rows\nexpected: one for each row\n"
            f"fix: look at {running.folder}; delete the job, run again"
        )
    for number, each in todo.items():
        shards.score(job, each, Predicted(model, found[number]))
        task_log.progress(f"{each.file}: {each.rows:,} rows")
    return str(done["name"])


def _rows(shard: Shard, model: SavedModel) -> Iterator[Any]:
    with pyarrow.parquet.ParquetFile(shard.source) as parquet:
        for batch in parquet.iter_batches(layouts.BATCH_ROWS, row_groups=list(shard.groups)):
            yield from json_rows.instances(batch, model)


def _bytes(values: Any) -> Any:
    if isinstance(values, list):
        return [_bytes(each) for each in values]
    if isinstance(values, dict):
        return base64.b64decode(str(values.get("b64", "")))
    return str(values).encode()
