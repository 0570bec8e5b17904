"""The data accessor: examples as a `tf.data.Dataset`, with TFX's options and meaning."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data import batches, layouts, reading
from kfp_ct.data.shuffling import Blocks, count_rows
from kfp_ct.data.transform_graph import TransformGraph

# Blocks transformed at once: one on each core that training leaves.
PARALLEL_BLOCKS = 2
DEFAULT_SEED = 0


@dataclasses.dataclass
class Reader:
    """Reads raw examples, with or without the transform graph.

    Attributes:
        schema: Schema of the raw rows.
        graph_path: Folder of the transform graph.
        transformed_path: Dataset of transformed rows as TFRecord; empty for none.
        datasets: What was asked for, in order: files, options and schema of every dataset made.
    """

    schema: schema_pb2.Schema
    graph_path: str
    transformed_path: str = ""
    datasets: list[tuple[list[str], Any, Any]] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self._specs = batches.feature_specs(self.schema)
        self._output = tft.TFTransformOutput(self.graph_path)

    def dataset(
        self, file_pattern: str | Sequence[str], options: Any, schema: schema_pb2.Schema | None = None
    ) -> tf.data.Dataset:
        """Makes a dataset of batches; TFX's `data_accessor.tf_dataset_factory`.

        Args:
            file_pattern: Paths or patterns of Parquet files.
            options: TFX's `TensorFlowDatasetOptions`: batch_size, drop_final_batch, num_epochs (None repeats for
                ever), shuffle, shuffle_seed, prefetch_buffer_size and label_key count.
            schema: The transformed schema, or None, yields transformed features; the raw one, raw features.

        Returns:
            Dicts of tensors, or (dict, label) if the options name a label.

        Raises:
            ConfigurationError: The schema is neither, or the label is no feature.
            DataError: There are no files or no rows.
        """
        files = _expand(file_pattern)
        if self._are_transformed(files):
            return self._materialized(files, options, schema)
        rows = count_rows(files)
        if not rows:
            raise DataError(f"no rows to train on in {files}\nexpected: at least one row\nfix: widen the window")
        self.datasets.append((files, options, schema))
        if options.label_key in self._specs:
            _require_two_classes(files, options.label_key)
        transform, columns = self._choose(schema)
        dataset = self._blocks(files, columns, options).map(transform, PARALLEL_BLOCKS, deterministic=True)
        dataset = dataset.rebatch(options.batch_size, drop_remainder=options.drop_final_batch)
        if options.num_epochs is not None:
            total = rows * options.num_epochs / options.batch_size
            count = math.floor(total) if options.drop_final_batch else math.ceil(total)
            dataset = dataset.apply(tf.data.experimental.assert_cardinality(count))
        if options.label_key is not None:
            dataset = dataset.map(_split_label(dataset, options.label_key))
        return dataset.with_options(_options()).prefetch(options.prefetch_buffer_size)

    def batch_size(self) -> int:
        """Returns the batch size of the first dataset made, which is the one trained on; 0 before there is one."""
        return self.datasets[0][1].batch_size if self.datasets else 0

    def record_batches(
        self, file_pattern: str | Sequence[str], options: Any, schema: schema_pb2.Schema | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yields raw rows as Arrow batches of lists; TFX's `data_accessor.record_batch_factory`."""
        names = [feature.name for feature in (schema or self.schema).feature]
        files = _expand(file_pattern)
        if self._are_transformed(files):
            raise _not_raw()
        blocks = Blocks(files, names, None, options.num_epochs, options.batch_size)
        for batch in blocks:
            if batch.num_rows == options.batch_size or not options.drop_final_batch:
                yield batches.to_lists(batch, names)

    def _are_transformed(self, files: Sequence[str]) -> bool:
        above = Path(self.transformed_path).resolve()
        return bool(self.transformed_path) and all(Path(file).resolve().is_relative_to(above) for file in files)

    def _materialized(self, files: list[str], options: Any, schema: schema_pb2.Schema | None) -> tf.data.Dataset:
        """Makes a dataset of rows that are transformed already, as TFX's own accessor does."""
        specs = self._output.transformed_feature_spec()
        transformed = {feature.name for feature in self._output.transformed_metadata.schema.feature}
        if schema is not None and {feature.name for feature in schema.feature} != transformed:
            raise _not_raw()
        self.datasets.append((files, options, schema))
        return tf.data.experimental.make_batched_features_dataset(
            files,
            options.batch_size,
            specs,
            reader=lambda names: tf.data.TFRecordDataset(names, "GZIP"),
            reader_args=None,
            label_key=options.label_key,
            num_epochs=options.num_epochs,
            shuffle=options.shuffle,
            shuffle_seed=options.shuffle_seed if options.shuffle_seed is not None else DEFAULT_SEED,
            drop_final_batch=options.drop_final_batch,
        )

    def _choose(self, schema: schema_pb2.Schema | None) -> tuple[Callable[..., Any], list[str]]:
        """Returns the function from raw columns to features, and the columns it reads."""
        transformed = self._output.transformed_metadata.schema
        names = {feature.name for feature in schema.feature} if schema is not None else set()
        if schema is None or names == {feature.name for feature in transformed.feature}:
            return self._transform, self._transform_columns()
        if names <= self._specs.keys():
            specs = batches.feature_specs(schema)
            return (lambda columns: batches.to_features(columns, specs)), list(specs)
        raise ConfigurationError(
            "run_fn asks for a dataset whose schema is neither the raw nor the transformed one\n"
            f"unknown features: {sorted(names - self._specs.keys())}\n"
            "expected: tf_transform_output.transformed_metadata.schema, or the schema at fn_args.schema_path"
        )

    @tf.autograph.experimental.do_not_convert
    def _transform(self, columns: Mapping[str, tf.Tensor]) -> dict[str, batches.Tensor]:
        return self._graph(batches.to_features(columns, self._specs))

    @functools.cached_property
    def _graph(self) -> TransformGraph:
        return TransformGraph(self._output)

    def _transform_columns(self) -> list[str]:
        summary = f"{self.graph_path}/{layouts.SUMMARY}"
        return layouts.read_json(summary)["columns"]

    def _blocks(self, files: list[str], columns: list[str], options: Any) -> tf.data.Dataset:
        specs = {name: self._specs[name] for name in columns}
        lists = reading.list_columns(files)
        seed = options.shuffle_seed if options.shuffle_seed is not None else DEFAULT_SEED
        blocks = Blocks(files, columns, seed if options.shuffle else None, options.num_epochs)
        return tf.data.Dataset.from_generator(
            lambda: (batches.to_columns(block, specs) for block in blocks),
            output_signature={name: batches.column_spec(spec, name in lists) for name, spec in specs.items()},
        )


def _not_raw() -> ConfigurationError:
    return ConfigurationError(
        "run_fn asks for raw rows of files that hold transformed ones\n"
        "expected: the schema tf_transform_output.transformed_metadata.schema, or none\n"
        "fix: take `materialize_format: tfrecord` out of the settings"
    )


def _require_two_classes(files: Sequence[str], label: str) -> None:
    """Raises `DataError` if a label column has fewer than two values; stops reading at the second one."""
    seen: set[Any] = set()
    if label in reading.list_columns(files):
        return  # of many labels a row each has classes of its own
    for batch in reading.iter_batches(files, [label]):
        seen.update(pa.compute.unique(batch.column(0)).to_pylist()[:2])
        if len(seen - {None}) > 1:
            return
    raise DataError(
        f"the label {label} has one value only in the train split: {seen}\nexpected: at least two classes\n"
        "fix: widen the window, or correct how the query computes the label"
    )


def _expand(file_pattern: str | Sequence[str]) -> list[str]:
    patterns = [file_pattern] if isinstance(file_pattern, str) else list(file_pattern)
    files = [file for pattern in patterns for file in (sorted(tf.io.gfile.glob(pattern)) or [pattern])]
    if not files:
        raise DataError("no files to train on\nexpected: at least one file in the split")
    return files


def _split_label(dataset: tf.data.Dataset, label_key: str) -> Callable[..., Any]:
    if label_key not in dataset.element_spec:
        raise ConfigurationError(
            f"label_key {label_key!r} is no feature of the dataset\nexpected: one of {sorted(dataset.element_spec)}"
        )
    return lambda features: (features, features.pop(label_key))


def _options() -> tf.data.Options:
    options = tf.data.Options()
    # A generator has no files to deal out: each worker takes every n-th batch.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
