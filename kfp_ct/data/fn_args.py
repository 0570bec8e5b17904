"""What a user's run_fn or tuner_fn is given: the attributes of TFX's FnArgs, and callbacks."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import tensorflow as tf


class DataAccessor(NamedTuple):
    """How run_fn reads examples, whatever their format on disk."""

    tf_dataset_factory: Callable[..., tf.data.Dataset]
    record_batch_factory: Callable[..., Iterator[pa.RecordBatch]]
    data_view_decode_fn: None = None


@dataclasses.dataclass
class FnArgs:
    """Arguments of run_fn, named as in TFX.

    Attributes:
        working_dir: Scratch folder, removed afterwards.
        train_files: Paths of the train split's files: Parquet, or gzipped TFRecord if ingest was asked for it.
        eval_files: Paths of the eval split's files. The model is judged on them: do not select by them.
        train_steps: Steps to train for: the hyperparameter train_steps, else one pass in batches of batch_size.
        eval_steps: The same for the eval split.
        schema_path: The schema.pbtxt of the raw examples.
        schema_file: The same; TFX's old name.
        transform_graph_path: Folder that `tft.TFTransformOutput` opens.
        transform_output: The same; TFX's old name.
        data_accessor: Reads examples as a `tf.data.Dataset` or as Arrow batches.
        serving_model_dir: Where run_fn saves its SavedModel.
        eval_model_dir: Where run_fn may save an evaluation graph; nothing reads it.
        model_run_dir: Where logs go; TensorBoard reads it.
        base_model: SavedModel to start from, or None.
        hyperparameters: The user's dict without train_steps and eval_steps; what is in it is the module's business.
        custom_config: The whole dict, under the name TFX modules look for settings.
        callbacks: Keras callbacks for `model.fit`: resume after a kill, logs, progress, a stop on NaN.
    """

    working_dir: str
    train_files: list[str]
    eval_files: list[str]
    train_steps: int
    eval_steps: int
    schema_path: str
    transform_graph_path: str
    data_accessor: DataAccessor
    serving_model_dir: str
    eval_model_dir: str
    model_run_dir: str
    base_model: str | None
    hyperparameters: dict[str, Any]
    custom_config: dict[str, Any]
    callbacks: list[Any]

    @property
    def schema_file(self) -> str:
        """TFX's old name of schema_path."""
        return self.schema_path

    @property
    def transform_output(self) -> str:
        """TFX's old name of transform_graph_path."""
        return self.transform_graph_path
