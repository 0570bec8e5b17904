"""TFMA's metrics computed from whole arrays of stored predictions.

TFMA's own path hands every row, once per slice it belongs to, to every metric's Beam combiner: 50 s for 112,000 rows
and 17 slices. The metrics themselves are small: an accumulator, its `extract_output`, and derived results. Here the
accumulators of the combiners that are used most are filled from arrays, a slice at a time; everything
after that is TFMA's own code, so the numbers are TFMA's. `unsupported` says when a config needs the ordinary path.

The accumulators' layout is TFMA's private business (the same from 0.47 to 0.52); a test compares both paths on
whichever version is installed.
"""

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.metrics import (
    aggregation,
    binary_confusion_matrices,
    calibration,
    calibration_histogram,
    example_count,
    mean_regression_error,
    metric_specs,
    metric_types,
    tf_metric_wrapper,
)
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import model_util

from kfp_ct.components.evaluate import exact_metrics
from kfp_ct.components.evaluate.settings import BINARY, MULTICLASS, MULTILABEL

Floats = npt.NDArray[np.float32]
Metrics = dict[metric_types.MetricKey, Any]
# Rows given to a Keras metric at a time; it sums in float32, so batches also keep the sums exact enough.
KERAS_BATCH_ROWS = 10_000


@dataclasses.dataclass(frozen=True)
class Slice:
    """The rows of one slice.

    Attributes:
        labels: Shape (rows,), or 0 and 1 (rows, classes).
        predictions: Model name → predictions, (rows,) or (rows, classes).
        weights: How much each row counts, shape (rows,); None if all count alike.
    """

    labels: Floats
    predictions: dict[str, Floats]
    weights: npt.NDArray[np.floating] | None = None

    def row_weights(self, combiner: Any) -> npt.NDArray[np.float64]:
        """Returns the weights that a combiner asks for: 1 each where it counts rows."""
        if self.weights is None or not combiner._example_weighted:
            return np.ones(len(self.labels))
        return self.weights.astype(np.float64)


@dataclasses.dataclass(frozen=True)
class _Pairs:
    """Labels, predictions and their weights, each of the same shape."""

    labels: Floats
    predictions: Floats
    weights: npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Computations:
    """A config's computations, each once, in TFMA's order; the combiners are set up."""

    combined: list[metric_types.MetricComputation]
    derived: list[metric_types.DerivedMetricComputation]
    others: list[Any]
    baseline: str


def computations(config: config_pb2.EvalConfig, schema: schema_pb2.Schema | None = None) -> Computations:
    """Returns what TFMA would compute for a config that names its models."""
    config = exact_metrics.exact(config)
    found = metric_specs.to_computations(list(config.metrics_specs), config, schema)
    # Metrics bring what they depend on along: the first of equal computations stays, so that order is kept.
    combined = list(dict.fromkeys(item for item in found if isinstance(item, metric_types.MetricComputation)))
    derived = list(dict.fromkeys(item for item in found if type(item) is metric_types.DerivedMetricComputation))
    kinds = (metric_types.MetricComputation, metric_types.DerivedMetricComputation)
    others = [item for item in found if type(item) not in kinds]
    for item in combined:
        item.combiner.setup()
    baseline = model_util.get_baseline_model_spec(config)
    return Computations(combined, derived, others, baseline.name if baseline else "")


def unsupported(config: config_pb2.EvalConfig, wanted: Computations, task: str = BINARY) -> str:
    """Returns why a config needs TFMA's ordinary path; empty if it does not."""
    if any(spec.label_keys for spec in config.model_specs):
        return "several outputs"
    if config.cross_slicing_specs or config.options.compute_confidence_intervals.value:
        return "cross slices or confidence intervals"
    if any(spec.slice_keys_sql for spec in config.slicing_specs):
        return "slices in SQL"
    for spec in config.metrics_specs:
        by_class = task != MULTILABEL and (spec.HasField("binarize") or spec.HasField("aggregate"))
        if spec.query_key or by_class or spec.output_names:
            return "query keys, binarised, aggregated or several outputs"
    names = [type(item.combiner).__name__ for item in wanted.combined if not _fits(item.combiner, task)]
    return ", ".join([*names, *(type(item).__name__ for item in wanted.others)])


@tf.autograph.experimental.do_not_convert  # Keras would translate its own metrics' Python for 2 s
def compute(wanted: Computations, rows: Slice) -> Metrics:
    """Returns a slice's metrics and plots, with the differences to the baseline, as TFMA's evaluator does."""
    metrics: Metrics = {}
    for item in wanted.combined:
        accumulator = _FILLERS[type(item.combiner)](item.combiner, rows)
        metrics.update(item.combiner.extract_output(accumulator))
    # Where a slice has rows of one class only, TFMA divides by zero: its NaN is the answer.
    with np.errstate(divide="ignore", invalid="ignore"):
        for item in wanted.derived:
            metrics.update(item.result(metrics))
    public = {key: value for key, value in metrics.items() if not _private(key)}
    return public | _differences(public, wanted.baseline)


def _private(key: metric_types.MetricKey) -> bool:
    return key.name.startswith("_") and not key.name.startswith("__")


def _differences(metrics: Metrics, baseline: str) -> Metrics:
    if not baseline:
        return {}
    return {
        key.make_diff_key(): value - metrics[key.make_baseline_key(baseline)]
        for key, value in metrics.items()
        if key.model_name != baseline and not key.is_diff and isinstance(value, numbers.Number)
        and key.make_baseline_key(baseline) in metrics
    }  # fmt: skip


def _fits(combiner: Any, task: str) -> bool:
    if isinstance(combiner, binary_confusion_matrices._BinaryConfusionMatrixCombiner) and combiner._example_id_key:
        return False
    if task != MULTILABEL and _sub_key(combiner) is not None:
        return False
    if task == MULTILABEL:
        return type(combiner) in _FILLERS and not _is_of_top(_sub_key(combiner))
    if task != MULTICLASS:
        return type(combiner) in _FILLERS
    if isinstance(combiner, tf_metric_wrapper._CompilableMetricsCombiner):
        # The others want labels as one-hot rows, which `Scored.label_column` makes of them.
        metrics = [metric for of in combiner._metrics.values() for metric in of]
        return all(type(metric).__name__.startswith("Sparse") for metric in metrics)
    return isinstance(combiner, example_count._ExampleCountCombiner)


def _key(combiner: Any) -> Any:
    """Returns what a combiner's result goes by; None for those that go by no single key."""
    return getattr(combiner, "_key", None) or getattr(combiner, "_metric_key", None)


def _sub_key(combiner: Any) -> metric_types.SubKey | None:
    key = _key(combiner)
    return getattr(combiner, "_sub_key", None) if key is None else key.sub_key


def _is_of_top(sub_key: metric_types.SubKey | None) -> bool:
    return sub_key is not None and (sub_key.k is not None or sub_key.top_k is not None)


def _pairs(combiner: Any, model_name: str, rows: Slice) -> _Pairs:
    """Returns what TFMA hands to a combiner: of several labels a row those of a class, or all as rows of their own."""
    labels, predictions, weights = rows.labels, rows.predictions[model_name], rows.row_weights(combiner)
    if labels.ndim == 1:
        return _Pairs(labels, predictions, weights)
    sub_key, classes = _sub_key(combiner), labels.shape[1]
    if sub_key is not None and sub_key.class_id is not None:
        chosen = _existing(sub_key.class_id, classes)
        return _Pairs(labels[:, chosen], predictions[:, chosen], weights)
    of_classes = combiner._class_weights or dict.fromkeys(range(classes), 1.0)
    shares = np.array([of_classes.get(number, 0.0) for number in range(classes)])
    return _Pairs(labels.reshape(-1), predictions.reshape(-1), np.outer(weights, shares).reshape(-1))


def _existing(number: int, classes: int) -> int:
    if not 0 <= number < classes:
        raise ValueError(f"class {number} of a model that has {classes}, numbered from 0")
    return number


def _fill_example_count(combiner: Any, rows: Slice) -> float:
    return combiner.create_accumulator() + float(rows.row_weights(combiner).sum())


def _fill_calibration(combiner: Any, rows: Slice) -> Any:
    pairs = _pairs(combiner, combiner._key.model_name, rows)
    accumulator = combiner.create_accumulator()
    accumulator.total_weighted_examples = float(pairs.weights.sum())
    accumulator.total_weighted_labels = float((pairs.weights * pairs.labels).sum())
    accumulator.total_weighted_predictions = float((pairs.weights * pairs.predictions).sum())
    return accumulator


def _fill_histogram(combiner: Any, rows: Slice) -> dict[int, calibration_histogram.Bucket]:
    pairs = _pairs(combiner, combiner._key.model_name, rows)
    labels, predictions = (array.astype(np.float64) for array in (pairs.labels, pairs.predictions))
    by = predictions if combiner._prediction_based_bucketing else labels
    position = (by - combiner._left) / combiner._range * combiner._num_buckets + 1
    bucket = np.clip(position, 0, combiner._num_buckets + 1).astype(np.int64)
    weights = pairs.weights
    label_sums, prediction_sums, counts = (
        np.bincount(bucket, part) for part in (weights * labels, weights * predictions, weights)
    )
    return {
        int(i): calibration_histogram.Bucket(int(i), float(label_sums[i]), float(prediction_sums[i]), float(counts[i]))
        for i in np.flatnonzero(counts)
    }


def _fill_tallies(combiner: Any, rows: Slice) -> exact_metrics.Tallies:
    pairs = _pairs(combiner, combiner._key.model_name, rows)
    return exact_metrics.Tallies.of(pairs.predictions, pairs.labels, pairs.weights)


def _fill_confusion_matrices(combiner: Any, rows: Slice) -> Any:
    """Rows of one label between two thresholds count alike: one of them stands for all, with the weight of all."""
    pairs = _pairs(combiner, combiner._key.model_name, rows)
    labels, predictions = pairs.labels, pairs.predictions
    matrices = combiner._binary_confusion_matrices
    between = np.searchsorted(np.sort(np.array(matrices._thresholds)), predictions.astype(np.float64), side="left")
    group = between * 2 + (labels > 0.5)
    _, first, members = np.unique(group, return_index=True, return_inverse=True)
    weights = np.bincount(members.reshape(-1), pairs.weights)
    columns = [array.astype(np.float64).tolist() for array in (labels[first], predictions[first], weights)]
    return matrices.add_input(combiner.create_accumulator(), *columns, example_id=None)


def _fill_keras(combiner: Any, rows: Slice) -> Any:
    pairs = _keras_pairs(combiner, rows)
    accumulator = combiner.create_accumulator()
    for output, name in enumerate(combiner._output_names):
        for index, metric in enumerate(combiner._metrics[name]):
            for start in range(0, len(pairs.labels), KERAS_BATCH_ROWS):
                batch = slice(start, start + KERAS_BATCH_ROWS)
                metric.reset_states()
                metric.update_state(pairs.labels[batch], pairs.predictions[batch], pairs.weights[batch])
                accumulator.add_weights(output, index, metric.get_weights())
    return accumulator


def _keras_pairs(combiner: Any, rows: Slice) -> _Pairs:
    """Returns labels `[n, 1]` and predictions `[n, k]`; of several labels a row all of it, as TFMA hands it over."""
    predictions, whole = rows.predictions[combiner._model_name], _sub_key(combiner) is None
    average = combiner._aggregation_type
    if rows.labels.ndim == 2 and whole and not (average and average.micro_average):
        pairs = _Pairs(rows.labels, predictions, rows.row_weights(combiner))
    else:
        flat = _pairs(combiner, combiner._model_name, rows)
        pairs = _Pairs(flat.labels[:, None], flat.predictions.reshape(len(flat.labels), -1), flat.weights)
    return dataclasses.replace(pairs, weights=pairs.weights.astype(np.float32))


def _fill_class_weights(combiner: Any, rows: Slice) -> dict[int, float]:
    """The weight of the rows that each class has, by which averages over classes are weighted."""
    weights, classes = rows.row_weights(combiner), rows.labels.shape[1]
    return {number: float(weights @ rows.labels[:, _existing(number, classes)]) for number in combiner._class_ids}


def _fill_error(combiner: Any, rows: Slice) -> Any:
    pairs = _pairs(combiner, combiner._metric_key.model_name, rows)
    errors = _ERRORS[type(combiner)](pairs.labels.astype(np.float64) - pairs.predictions.astype(np.float64))
    accumulator = combiner.create_accumulator()
    accumulator.total_regression_error = float((pairs.weights * errors).sum())
    accumulator.total_example_weights = float(pairs.weights.sum())
    return accumulator


_ERRORS: dict[type, Callable[[Any], Any]] = {
    mean_regression_error._MeanSquaredErrorCombiner: np.square,
    mean_regression_error._MeanAbsoluteErrorCombiner: np.abs,
}
_FILLERS: dict[type, Callable[[Any, Slice], Any]] = {
    example_count._ExampleCountCombiner: _fill_example_count,
    calibration._WeightedLabelsPredictionsExamplesCombiner: _fill_calibration,
    calibration_histogram._CalibrationHistogramCombiner: _fill_histogram,
    binary_confusion_matrices._BinaryConfusionMatrixCombiner: _fill_confusion_matrices,
    tf_metric_wrapper._CompilableMetricsCombiner: _fill_keras,
    exact_metrics.TallyCombiner: _fill_tallies,
    aggregation._ClassWeightsFromLabelsCombiner: _fill_class_weights,
    **dict.fromkeys(_ERRORS, _fill_error),
}
