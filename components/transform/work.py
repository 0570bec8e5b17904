"""Runs the user's preprocessing_fn over the train split with TensorFlow Transform."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.options.pipeline_options import GoogleCloudOptions
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io
from tfx_bsl.tfxio import tensor_adapter, tensor_representation_util

from kfp_ct.base import setting_problems, task_log
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.transform import materialized, preprocessing, split_statistics
from kfp_ct.components.transform.settings import Options
from kfp_ct.data import batches, beam_runner, layouts, reading

NOT_MATERIALIZED = "NOT_MATERIALIZED"
# Rows analysed at a time. TFT sums in float32 within a batch: of 50,000 rows, z-scores are 3e-4 off, of these
# 3e-5, which costs half a second a million rows; TFX's batches of 1,000 are 7e-6 off and cost six.
ANALYZED_ROWS = 5_000


@dataclasses.dataclass(frozen=True)
class TransformRequest:
    """What is transformed and how: a dataset, its schema, the user's module and where Beam runs."""

    examples_path: str
    schema_file: str
    module: str
    beam_pipeline_args: list[str] = dataclasses.field(default_factory=list)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    format: str = layouts.PARQUET  # of the transformed rows

    @property
    def settings(self) -> Options:
        """The options, read."""
        return setting_problems.read(Options, self.options, "options")


class ReadBatches(beam.DoFn):
    """Reads files in batches of lists, on the worker: rows never pass through Beam's pickling."""

    def __init__(self, specs: Mapping[str, batches.FeatureSpec]) -> None:
        self._specs = dict(specs)

    def process(self, file: str) -> Iterator[pa.RecordBatch]:
        """Yields the batches of one Parquet file."""
        for batch in reading.iter_batches([file], list(self._specs), ANALYZED_ROWS):
            yield batches.to_lists(batch, self._specs, self._specs)


def analyze(request: TransformRequest, output_path: str) -> dict[str, Any]:
    """Analyses the train split, or those that options say, and writes the transform graph.

    Args:
        request: The dataset, its schema and the module with `preprocessing_fn`.
        output_path: Folder that `tft.TFTransformOutput` opens afterwards; summary.json stands beside.

    Returns:
        Metadata of the artifact: rows analysed, columns read and features made.

    Raises:
        ConfigurationError: The preprocessing_fn fails, reads a column that is not there, or yields nothing.
        DataError: A split to analyse is empty.
    """
    rows = sum(split.rows for split in _analyzed(request))
    schema = batches.read_schema(request.schema_file)
    function = preprocessing.load(request.module, request.settings.custom_config)
    columns = preprocessing.columns_read(function, batches.feature_specs(schema))
    task_log.progress(f"analysing {len(columns)} columns of {rows:,} rows")
    _run_beam(request, function, columns, output_path)
    raw_metadata = dataset_metadata.DatasetMetadata(schema)
    metadata_io.write_metadata(raw_metadata, str(Path(output_path) / tft.TFTransformOutput.RAW_METADATA_DIR))
    return _write_summary(output_path, rows, columns)


def write_statistics(request: TransformRequest, graph_path: str) -> None:
    """Writes statistics of the rows that were analysed, and of all transformed rows, if the options ask for them.

    Args:
        request: The dataset, its schema and the module.
        graph_path: Output of `analyze`, which gets them.

    Raises:
        ConfigurationError: The module's stats_options_updater_fn fails.
    """
    if not request.settings.statistics:
        return
    every = [split.name for split in layouts.read_manifest(request.examples_path).splits]
    files = {"pre": _files(request, list(request.settings.analyze)), "post": _files(request, every)}
    paths = (request.schema_file, graph_path)
    split_statistics.write(request.module, paths, files, request.beam_pipeline_args)


def write_examples(request: TransformRequest, graph_path: str, output_path: str, materialize: bool) -> None:
    """Writes the transformed rows of every split, or an empty dataset.

    Args:
        request: The dataset and its schema.
        graph_path: Output of `analyze`.
        output_path: Dataset folder; Parquet columns are lists, as wide as the feature.
        materialize: Whether to write rows; else the trainer applies the graph as it reads.
    """
    if not materialize:
        layouts.write_text(Path(output_path) / NOT_MATERIALIZED, "The trainer applies the transform graph itself.\n")
        return
    how = materialized.How(request.schema_file, graph_path, request.format)
    materialized.write(how, request.examples_path, output_path, request.beam_pipeline_args)


def _run_beam(
    request: TransformRequest, function: preprocessing.PreprocessingFn, columns: list[str], output_path: str
) -> None:
    files = _files(request, [split.name for split in _analyzed(request)])
    every = batches.feature_specs(batches.read_schema(request.schema_file))
    specs = {name: every[name] for name in columns}
    config = _adapter_config(request, files, columns)
    with _pipeline(request.beam_pipeline_args) as (pipeline, temp_dir), tft_beam.Context(temp_dir=temp_dir):
        rows = (
            pipeline
            | "Files" >> beam.Create(files, reshuffle=len(files) > 1)
            | "Read" >> beam.ParDo(ReadBatches(specs)).with_output_types(pa.RecordBatch)
        )
        transform_fn = (rows, config) | "Analyze" >> tft_beam.AnalyzeDataset(function)
        _ = transform_fn | "Write" >> tft_beam.WriteTransformFn(output_path)


def _analyzed(request: TransformRequest) -> list[layouts.Split]:
    manifest = layouts.read_manifest(request.examples_path)
    known = {split.name: split for split in manifest.splits}
    for name in request.settings.analyze:
        if name not in known:
            raise ConfigurationError(
                f"options.analyze names the split {name!r}, which the dataset has not\n"
                f"expected: some of {', '.join(known)}\nfix: correct it"
            )
        if not known[name].rows:
            raise DataError(
                f"the {name} split of {request.examples_path} has no rows\nexpected: rows to analyse\n"
                "fix: widen the window"
            )
    return [known[name] for name in request.settings.analyze]


def _files(request: TransformRequest, splits: list[str]) -> list[str]:
    return [file for name in splits for file in layouts.split_files(request.examples_path, name)]


def _adapter_config(
    request: TransformRequest, files: list[str], columns: list[str]
) -> tensor_adapter.TensorAdapterConfig:
    """Describes the columns that are read; the graph's inputs are all of the schema's, as TFX has them."""
    schema = batches.read_schema(request.schema_file)
    specs = batches.feature_specs(schema)
    representations = tensor_representation_util.InferTensorRepresentationsFromMixedSchema(schema)
    first = next(reading.iter_batches(files, columns, batch_rows=1))
    # A column may have no value in the first row and one later: the type is the file's if it fits, else the schema's.
    typed = batches.to_lists(first, columns, specs)
    return tensor_adapter.TensorAdapterConfig(
        typed.schema,
        {name: representations[name] for name in columns},
        {name: batches.type_spec(spec) for name, spec in specs.items()},
    )


@contextlib.contextmanager
def _pipeline(beam_pipeline_args: list[str]) -> Iterator[tuple[beam.Pipeline, str]]:
    """Yields a pipeline and its temporary folder; the pipeline runs on leaving."""
    options = beam_runner.options(beam_pipeline_args)
    with tempfile.TemporaryDirectory() as local, beam.Pipeline(options=options) as pipeline:
        yield pipeline, options.view_as(GoogleCloudOptions).temp_location or local


def _write_summary(output_path: str, rows: int, columns: list[str]) -> dict[str, Any]:
    output = tft.TFTransformOutput(output_path)
    features = {
        name: {"dtype": spec.dtype.name, "shape": list(spec.shape) if isinstance(spec, tf.io.FixedLenFeature) else None}
        for name, spec in sorted(output.transformed_feature_spec().items())
    }
    layouts.write_json(Path(output_path) / layouts.SUMMARY, {"rows": rows, "columns": columns, "features": features})
    task_log.summary(f"{len(features)} features from {len(columns)} columns, analysed over {rows:,} rows")
    return {"rows": rows, "columns": len(columns), "features": len(features)}
