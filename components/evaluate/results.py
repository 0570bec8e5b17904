"""TFMA's result folder: written from arrays or by TFMA's ordinary path, read by whoever opens TFMA results."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator as evaluator
from tensorflow_model_analysis.evaluators import metrics_validator
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2, validation_result_pb2
from tensorflow_model_analysis.slicer import slicer_lib
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer
from tfx_bsl.arrow import table_util

from kfp_ct.components.evaluate import array_metrics, exact_metrics, slices
from kfp_ct.components.evaluate.config import prediction_column
from kfp_ct.components.evaluate.samples import Scores, as_lists
from kfp_ct.data import beam_runner, layouts

CrossKey = tuple[slices.SliceKey, slices.SliceKey]
SlicedMetrics = list[tuple[slices.SliceKey, array_metrics.Metrics]]
# Rows in a Beam element on the ordinary path, as TFMA's own batching has it.
BEAM_BATCH_ROWS = 1_000


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What TFMA found.

    Attributes:
        metrics: By slice, the overall slice first.
        crossed: By pair of slices, the one compared with first.
        intervals: By slice: metric → ends of its interval, where the config asks TFMA for them.
        validation: The verdict on the thresholds.
    """

    metrics: SlicedMetrics
    crossed: list[tuple[CrossKey, array_metrics.Metrics]]
    intervals: dict[slices.SliceKey, dict[metric_types.MetricKey, tuple[float, float]]]
    validation: validation_result_pb2.ValidationResult


def from_arrays(scores: Scores, config: config_pb2.EvalConfig, wanted: array_metrics.Computations) -> SlicedMetrics:
    """Computes every slice's metrics and plots from arrays."""
    found: SlicedMetrics = []
    # A single model goes by the empty name in TFMA's keys.
    given = scores.primary
    predictions = {spec.name: given.predictions[spec.prediction_key] for spec in config.model_specs}
    for key, rows in slices.rows_by_slice(scores.columns, config).items():
        if len(rows) >= config.options.min_slice_size.value:
            sample = given.sample.on(rows)
            chosen = {name: array[rows] for name, array in predictions.items()}
            found.append(
                (key, array_metrics.compute(wanted, array_metrics.Slice(sample.labels, chosen, sample.weights)))
            )
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
    write_config(folder, config)


def write_with_beam(folder: str, scores: Scores, config: config_pb2.EvalConfig, schema: schema_pb2.Schema) -> None:
    """Lets TFMA's ordinary path do it, in memory: slow, row by row."""
    with beam_runner.pipeline([]) as pipeline:
        write_batches(pipeline | beam.Create(record_batches(scores)), folder, config, schema)
    write_config(folder, config)


def write_batches(batches: Any, folder: str, config: config_pb2.EvalConfig, schema: schema_pb2.Schema) -> None:
    """Lets TFMA's ordinary extractors, evaluator and writer make the metrics of a PCollection of `record_batches`.

    They are wired here, since `tfma.ExtractEvaluateAndWriteResults` refuses change thresholds over stored predictions.
    """
    paths = {key: f"{folder}/{key}" for key in ("metrics", "plots", "attributions", "validations")}
    evaluators = [evaluator.MetricsPlotsAndValidationsEvaluator(exact_metrics.exact(config), schema=schema)]
    _ = (
        batches
        | tfma.BatchedInputsToExtracts()
        | tfma.ExtractAndEvaluate(tfma.default_extractors(eval_config=_without_thresholds(config)), evaluators)
        | tfma.WriteResults(writers=[writer.MetricsPlotsAndValidationsWriter(paths, config)])
    )


def record_batches(scores: Scores) -> list[pa.RecordBatch]:
    """Returns rows as TFMA takes them where predictions are stored."""
    table = scores.columns
    for scored in scores.outputs:
        output = scored.output
        label = f"{output.name}.{output.label}" if output.name else output.label
        table = _with_column(table, label, scored.label_column)
        for name, predictions in scored.predictions.items():
            values = pa.array(predictions) if predictions.ndim == 1 else as_lists(predictions)
            table = _with_column(table, prediction_column(name, output.name), values)
    batches = table.combine_chunks().to_batches(BEAM_BATCH_ROWS)
    return [table_util.CanonicalizeRecordBatch(batch) for batch in batches]


def _with_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    """Sets a column: a label may stand among the slicing columns, as text even."""
    there = table.schema.get_field_index(name)
    return table.append_column(name, values) if there < 0 else table.set_column(there, name, values)


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
    sliced, crossed, intervals = [], [], {}
    for record in tfma.load_metrics(folder):
        if record.HasField("cross_slice_key"):
            crossed.append((slicer_lib.deserialize_cross_slice_key(record.cross_slice_key), _values(record)))
            continue
        key = slicer_lib.deserialize_slice_key(record.slice_key)
        sliced.append((key, _values(record)))
        intervals[key] = _intervals(record)
    sliced.sort(key=lambda item: (len(item[0]), str(item[0])))
    return Evaluation(sliced, sorted(crossed, key=str), intervals, tfma.load_validation_result(folder))


def _values(record: Any) -> array_metrics.Metrics:
    found = {}
    for item in record.metric_keys_and_values:
        kind = item.value.WhichOneof("type")
        if kind == "double_value" or kind == "bounded_value":
            value = getattr(item.value, kind)
            found[metric_types.MetricKey.from_proto(item.key)] = value.value.value if kind[0] == "b" else value.value
    return found


def _intervals(record: Any) -> dict[metric_types.MetricKey, tuple[float, float]]:
    found = {}
    for item in record.metric_keys_and_values:
        if item.HasField("confidence_interval"):
            bounds = item.confidence_interval
            ends = bounds.lower_bound.double_value, bounds.upper_bound.double_value
        elif item.value.WhichOneof("type") == "bounded_value":
            bounds = item.value.bounded_value
            ends = bounds.lower_bound, bounds.upper_bound
        else:
            continue
        found[metric_types.MetricKey.from_proto(item.key)] = (ends[0].value, ends[1].value)
    return found


def _of_type(metrics: array_metrics.Metrics, kind: type) -> array_metrics.Metrics:
    # PlotKey derives from MetricKey: only the exact type tells them apart.
    return {key: value for key, value in metrics.items() if type(key) is kind}


def _write_records(path: Path, messages: Iterable[Any]) -> None:
    with tf.io.TFRecordWriter(str(path)) as file:
        for message in messages:
            file.write(message.SerializeToString())


def write_config(folder: str, config: config_pb2.EvalConfig) -> None:
    """Writes the config that TFMA's readers look for beside the metrics."""
    run = config_pb2.EvalRun(
        eval_config=config,
        version=tfma.__version__,
        data_location="Split-eval",
        file_format="parquet",
        model_locations={spec.name: "" for spec in config.model_specs},
    )
    layouts.write_text(Path(folder) / "eval_config.json", json_format.MessageToJson(run))
