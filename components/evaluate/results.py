"""TFMA's result folder: written from arrays or by TFMA's ordinary path, read by whoever opens TFMA results."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
import tensorflow_model_analysis as tfma
from apache_beam.runners.portability import fn_api_runner
from google.protobuf import json_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator as evaluator
from tensorflow_model_analysis.evaluators import metrics_validator
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2, validation_result_pb2
from tensorflow_model_analysis.slicer import slicer_lib
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer
from tfx_bsl.arrow import table_util

from components import artifacts
from components.evaluate import array_metrics, slices

SlicedMetrics = list[tuple[slices.SliceKey, array_metrics.Metrics]]
# Rows in a Beam element on the ordinary path, as TFMA's own batching has it.
BEAM_BATCH_ROWS = 1_000


@dataclasses.dataclass(frozen=True)
class Scores:
    """The eval rows after prediction, in file order.

    Attributes:
        label: Name of the label column.
        labels: 0 or 1, shape (rows,).
        predictions: TFMA's model name → probabilities, shape (rows,).
        columns: The slicing columns; all columns where TFMA's ordinary path needs them.
    """

    label: str
    labels: array_metrics.Floats
    predictions: dict[str, array_metrics.Floats]
    columns: pa.Table


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What TFMA found: metrics by slice, the overall slice first, and the verdict on the thresholds."""

    metrics: SlicedMetrics
    validation: validation_result_pb2.ValidationResult


def from_arrays(scores: Scores, config: config_pb2.EvalConfig, wanted: array_metrics.Computations) -> SlicedMetrics:
    """Computes every slice's metrics and plots from arrays."""
    found: SlicedMetrics = []
    # A single model goes by the empty name in TFMA's keys.
    predictions = {spec.name: scores.predictions[spec.prediction_key] for spec in config.model_specs}
    for key, rows in slices.rows_by_slice(scores.columns, config).items():
        if len(rows) >= config.options.min_slice_size.value:
            chosen = {name: array[rows] for name, array in predictions.items()}
            found.append((key, array_metrics.compute(wanted, array_metrics.Slice(scores.labels[rows], chosen))))
    return found


def write(folder: str, config: config_pb2.EvalConfig, sliced: SlicedMetrics) -> None:
    """Writes metrics, plots, the validation result and the config as TFMA's writers do."""
    plots = [(key, _of_type(metrics, metric_types.PlotKey)) for key, metrics in sliced]
    values = [(key, _of_type(metrics, metric_types.MetricKey)) for key, metrics in sliced]
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    _write_records(
        root / "metrics-00000-of-00001.tfrecord", (writer.convert_slice_metrics_to_proto(v, None) for v in values)
    )
    _write_records(
        root / "plots-00000-of-00001.tfrecord", (writer.convert_slice_plots_to_proto(p, None) for p in plots)
    )
    _write_records(root / "attributions-00000-of-00001.tfrecord", [])
    combine = writer.CombineValidations(config)
    merged = combine.create_accumulator()
    for value in values:
        merged = combine.add_input(merged, metrics_validator.validate_metrics(value, config))
    _write_records(root / "validations.tfrecord", [combine.extract_output(merged)])
    _write_config(root, config)


def write_with_beam(folder: str, scores: Scores, config: config_pb2.EvalConfig, schema: schema_pb2.Schema) -> None:
    """Lets TFMA's ordinary extractors, evaluator and writer do it, in memory: slow, row by row.

    They are wired here, since `tfma.ExtractEvaluateAndWriteResults` refuses change thresholds over stored predictions.
    """
    paths = {key: f"{folder}/{key}" for key in ("metrics", "plots", "attributions", "validations")}
    evaluators = [evaluator.MetricsPlotsAndValidationsEvaluator(config, schema=schema)]
    # By name: Beam's default runner first tries to download another one.
    with beam.Pipeline(runner=fn_api_runner.FnApiRunner()) as pipeline:
        _ = (
            pipeline
            | beam.Create(_beam_batches(scores))
            | tfma.BatchedInputsToExtracts()
            | tfma.ExtractAndEvaluate(tfma.default_extractors(eval_config=_without_thresholds(config)), evaluators)
            | tfma.WriteResults(writers=[writer.MetricsPlotsAndValidationsWriter(paths, config)])
        )
    _write_config(Path(folder), config)


def _beam_batches(scores: Scores) -> list[pa.RecordBatch]:
    table = scores.columns.append_column(scores.label, pa.array(scores.labels))
    for name, predictions in scores.predictions.items():
        table = table.append_column(name, pa.array(predictions))
    return [table_util.CanonicalizeRecordBatch(batch) for batch in table.combine_chunks().to_batches(BEAM_BATCH_ROWS)]


def _without_thresholds(config: config_pb2.EvalConfig) -> config_pb2.EvalConfig:
    """What the extractors need to know; they take change thresholds for a missing baseline."""
    stripped = config_pb2.EvalConfig()
    stripped.CopyFrom(config)
    for spec in stripped.metrics_specs:
        for named in (spec, *spec.metrics):
            named.ClearField("per_slice_thresholds")
            named.ClearField("cross_slice_thresholds")
        spec.ClearField("thresholds")
        for metric in spec.metrics:
            metric.ClearField("threshold")
    return stripped


def read(folder: str) -> Evaluation:
    """Reads what either path wrote, without the plots."""
    sliced = [
        (slicer_lib.deserialize_slice_key(record.slice_key), _values(record))
        for record in tfma.load_metrics(folder)
        if not record.HasField("cross_slice_key")
    ]
    return Evaluation(
        sorted(sliced, key=lambda item: (len(item[0]), str(item[0]))), tfma.load_validation_result(folder)
    )


def _values(record: Any) -> array_metrics.Metrics:
    return {
        metric_types.MetricKey.from_proto(item.key): item.value.double_value.value
        for item in record.metric_keys_and_values
        if item.value.WhichOneof("type") == "double_value"
    }


def _of_type(metrics: array_metrics.Metrics, kind: type) -> array_metrics.Metrics:
    # PlotKey derives from MetricKey: only the exact type tells them apart.
    return {key: value for key, value in metrics.items() if type(key) is kind}


def _write_records(path: Path, messages: Iterable[Any]) -> None:
    with tf.io.TFRecordWriter(str(path)) as file:
        for message in messages:
            file.write(message.SerializeToString())


def _write_config(root: Path, config: config_pb2.EvalConfig) -> None:
    run = config_pb2.EvalRun(
        eval_config=config,
        version=tfma.__version__,
        data_location="Split-eval",
        file_format="parquet",
        model_locations={spec.name: "" for spec in config.model_specs},
    )
    artifacts.write_text(root / "eval_config.json", json_format.MessageToJson(run))
