"""Rows with their predictions as TFX's BulkInferrer writes them: tf.Examples, or PredictionLogs, gzipped TFRecord."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.predict_batch import outputs
from kfp_ct.components.predict_batch.settings import EXAMPLES
from kfp_ct.data import batches

# What BulkInferrer calls the input of serialized examples.
_INPUT = "examples"
Arrays = Mapping[str, npt.NDArray[Any]]


def file_name(kind: str, predictions: str) -> str:
    """Returns the name of a shard's file beside its Parquet file."""
    numbered = predictions.removeprefix("predictions-").removesuffix(".parquet")
    return f"{kind}_tfrecord-{numbered}.gz"


def columns(chosen: Mapping[str, str], model_outputs: Sequence[str], present: Sequence[str]) -> dict[str, str]:
    """Returns the columns that predictions are written to, by output: all outputs under their names by default.

    Raises:
        ConfigurationError: An output is none of the model's, or a column is there already.
    """
    if unknown := sorted(set(chosen) - set(model_outputs)):
        raise ConfigurationError(
            f"destination.output_columns names {', '.join(unknown)}, which the signature does not give\n"
            f"expected: outputs among {', '.join(model_outputs)}\nfix: correct the settings"
        )
    found = dict(chosen) or {name: name for name in model_outputs}
    names = [*present, *found.values()]
    if twice := sorted({name for name in found.values() if names.count(name) > 1}):
        raise ConfigurationError(
            f"an example would have two features named {', '.join(twice)}\n"
            "expected: names of their own for predictions\n"
            f"fix: destination: {{output_columns: {{{sorted(found)[0]}: another name}}}}"
        )
    return found


class Writer:
    """Writes a shard's rows with their predictions."""

    def __init__(self, path: Path, kind: str, signature: str, named: Mapping[str, str]) -> None:
        """Opens the file.

        Args:
            path: The file.
            kind: `examples` or `prediction_log`.
            signature: Signature that is asked.
            named: Columns by output, for examples.
        """
        self._writer = tf.io.TFRecordWriter(str(path), "GZIP")
        self._kind, self._signature, self._named = kind, signature, named

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, batch: pa.RecordBatch, predicted: Arrays) -> None:
        """Writes a batch's rows, of all their columns."""
        of_kind = self._examples if self._kind == EXAMPLES else self._logs
        for record in of_kind(batch, predicted):
            self._writer.write(record)

    def _examples(self, batch: pa.RecordBatch, predicted: Arrays) -> list[bytes]:
        found = {name: batch.column(name) for name in batch.schema.names}
        for output, column in self._named.items():
            found[column] = outputs.to_column(output, _storable(predicted[output]), batch.num_rows)
        return batches.to_examples(pa.RecordBatch.from_arrays(list(found.values()), names=list(found)))

    def _logs(self, batch: pa.RecordBatch, predicted: Arrays) -> Iterator[bytes]:
        for row, example in enumerate(batches.to_examples(batch)):
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.model_spec.signature_name = self._signature
            log.predict_log.request.inputs[_INPUT].CopyFrom(tf.make_tensor_proto([example]))
            log.predict_log.response.model_spec.signature_name = self._signature
            for name, array in predicted.items():
                log.predict_log.response.outputs[name].CopyFrom(tf.make_tensor_proto(array[row : row + 1]))
            yield log.SerializeToString(deterministic=True)


def _storable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns an output as tf.Example has numbers: int64 and float32."""
    if array.dtype.kind in "biu":
        return array.astype(np.int64)
    return array.astype(np.float32) if array.dtype.kind == "f" else array
