"""Requests that a service answers before it is ready, in the SavedModel itself, as TensorFlow Serving reads them.

`assets.extra/tf_serving_warmup_requests` is a TFRecord file of PredictionLog, at most 1,000.
Source: https://www.tensorflow.org/tfx/serving/saved_model_warmup.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from kfp_ct.base import exception_texts, task_log
from kfp_ct.base.errors import ComponentError, ConfigurationError
from kfp_ct.data.saved_model import Role, SavedModel

FILE = "assets.extra/tf_serving_warmup_requests"


def write(model_folder: str, loaded: Any, rows: pa.RecordBatch, logged: pa.RecordBatch | None = None) -> int:
    """Writes requests of one row and of all rows for every signature that answers them.

    What a signature does not answer is left out: TensorFlow Serving does not serve a model whose warm-up fails.

    Args:
        model_folder: The SavedModel.
        loaded: The same, as TensorFlow loads it.
        rows: Rows of the examples.
        logged: Rows that clients asked, taken in place of those by signatures that answer them.

    Returns:
        How many requests were written; 0 leaves no file.
    """
    sources = [rows] if logged is None else [logged, rows]
    logs = [log for name in sorted(loaded.signatures) for log in _of_first(loaded, name, sources)]
    if logs:
        path = Path(model_folder) / FILE
        path.parent.mkdir(exist_ok=True)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for log in logs:
                writer.write(log.SerializeToString(deterministic=True))
    return len(logs)


def _of_first(loaded: Any, name: str, sources: Sequence[pa.RecordBatch]) -> Sequence[prediction_log_pb2.PredictionLog]:
    """Returns the requests of the first rows that a signature answers."""
    return next((found for rows in sources if (found := list(_of_signature(loaded, name, rows)))), [])


def _of_signature(loaded: Any, name: str, rows: pa.RecordBatch) -> Iterator[prediction_log_pb2.PredictionLog]:
    try:
        model = SavedModel.of_loaded(loaded, name, rows.schema.names, Role(f"the signature {name}"))
        sizes = sorted({1, rows.num_rows})
        feeds = [_feed(model, rows.slice(0, size)) for size in sizes]
        for size in sizes:
            model.run(rows.slice(0, size))
    except (ComponentError, ConfigurationError) as error:
        task_log.progress(f"no warm-up request for the signature {name}: {exception_texts.first_line(error)}")
        return
    yield from (_log(name, feed) for feed in feeds)


def _feed(model: SavedModel, rows: pa.RecordBatch) -> dict[str, tf.Tensor]:
    fed = model.feed(rows)
    if model.inputs:
        return fed
    return {name: tf.constant(_ordered(examples.numpy().tolist())) for name, examples in fed.items()}


def _log(signature: str, feed: dict[str, tf.Tensor]) -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    # A service knows the model's name: it is what the model's folder is called.
    request.model_spec.signature_name = signature
    for name, tensor in feed.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(tensor))
    return log


def _ordered(examples: list[bytes]) -> list[bytes]:
    """Returns tf.Examples with their features in one order: a model's files are the same whenever it is trained."""
    return [tf.train.Example.FromString(each).SerializeToString(deterministic=True) for each in examples]


def read(model_folder: str | Path) -> Sequence[prediction_log_pb2.PredictionLog]:
    """Returns the requests of a SavedModel; none if it has none."""
    path = Path(model_folder) / FILE
    if not path.is_file():
        return []
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record) for record in records]


def arrays(log: prediction_log_pb2.PredictionLog) -> dict[str, Any]:
    """Returns the inputs of a request for a prediction."""
    return {name: np.asarray(tf.make_ndarray(tensor)) for name, tensor in log.predict_log.request.inputs.items()}
