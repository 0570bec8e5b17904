"""TFMA's metrics over all thresholds, AUCs before all, at every distinct prediction.

TFMA sorts predictions into 10,000 buckets of equal width, Keras into 200: of rare positives, whose predictions all lie
below a thousandth, the buckets see next to nothing. Here every distinct prediction is a threshold of its own, with the
weights of its rows, so that the area under the ROC curve is the share of pairs in order, ties counting one half, and
the one under the precision-recall curve TFMA's own (interpolated after Davis and Goadrich 2006) in its limit.
Everything else stays TFMA's: keys, class and output names, averages over classes, thresholds, intervals.
"""

import array
import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorflow_model_analysis.metrics import (
    calibration_histogram,
    confusion_matrix_metrics,
    metric_types,
    metric_util,
)
from tensorflow_model_analysis.proto import config_pb2

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]
# What the tallies go by among TFMA's metrics; the underscore makes them private.
_NAME = "_exact_confusion_matrices"
# TFMA's lowest threshold: every probability lies above it.
_BELOW_ALL = -1e-7


@dataclasses.dataclass(frozen=True)
class Matrices:
    """Confusion matrices at rising thresholds, above which a prediction counts as positive; each shape (thresholds,).

    Unlike TFMA's they are no value that its confidence intervals would average.
    """

    thresholds: Array
    tp: Array
    fp: Array
    tn: Array
    fn: Array


class Tallies:
    """Three numbers for each tallied prediction: itself, the weight of its negative rows, that of its positive ones."""

    def __init__(self, values: Iterable[float] = ()) -> None:
        self._numbers = array.array("d", values)

    def add(self, prediction: float, negative: float, positive: float) -> None:
        """Counts a row."""
        self._numbers.extend((prediction, negative, positive))

    def extend(self, other: "Tallies") -> None:
        """Counts another's rows too."""
        self._numbers.extend(other._numbers)

    def distinct(self) -> tuple[Array, Array, Array]:
        """Returns the distinct predictions, rising, and their negative and positive weights."""
        numbers = np.array(self._numbers, np.float64).reshape(-1, 3)
        values, members = np.unique(numbers[:, 0], return_inverse=True)
        members = members.reshape(-1)
        negatives, positives = (np.bincount(members, numbers[:, n], len(values)).astype(np.float64) for n in (1, 2))
        return values, negatives, positives

    @classmethod
    def of(cls, predictions: Floats, labels: Floats, weights: Array) -> "Tallies":
        """Counts whole arrays, each distinct prediction once."""
        counted = np.stack([predictions, weights * (1 - labels), weights * labels], axis=1, dtype=np.float64)
        return cls(np.stack(cls(counted.reshape(-1)).distinct(), axis=1).reshape(-1))


class TallyCombiner(calibration_histogram._CalibrationHistogramCombiner):
    """Tallies what TFMA's histogram of predictions puts into buckets: rows, classes, outputs and weights as it says."""

    def __init__(self, replaced: Any, key: metric_types.MetricKey) -> None:
        """Takes over what a combiner counts.

        Args:
            replaced: TFMA's combiner of a histogram or of confusion matrices.
            key: What the result goes by.
        """
        self._key = key
        self._eval_config = replaced._eval_config
        self._aggregation_type = replaced._aggregation_type
        self._class_weights = replaced._class_weights
        self._example_weighted = replaced._example_weighted

    def create_accumulator(self) -> Tallies:
        """Counts from nothing."""
        return Tallies()

    def add_input(self, accumulator: Tallies, element: Any) -> Tallies:
        """Counts a row, once for each of its classes where they are averaged."""
        for label, prediction, weight in metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=self._key.model_name,
            output_name=self._key.output_name,
            sub_key=self._key.sub_key,
            aggregation_type=self._aggregation_type,
            class_weights=self._class_weights,
            example_weighted=self._example_weighted,
            fractional_labels=False,
            flatten=True,
        ):
            # Arrays of one element, which newer numpy converts only so.
            share, counted = label.item(), weight.item()
            accumulator.add(prediction.item(), counted * (1 - share), counted * share)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Tallies]) -> Tallies:
        """Counts the rows of all."""
        merged = Tallies()
        for each in accumulators:
            merged.extend(each)
        return merged

    def compact(self, accumulator: Tallies) -> Tallies:
        """Keeps each distinct prediction once, before an accumulator travels."""
        return Tallies(np.stack(accumulator.distinct(), axis=1).reshape(-1))

    def extract_output(self, accumulator: Tallies) -> dict[metric_types.MetricKey, Matrices]:
        """Returns a confusion matrix for each distinct prediction as threshold, and one for a threshold below all."""
        values, negatives, positives = accumulator.distinct()
        fn, tn = (np.concatenate([[0.0], np.cumsum(part)]) for part in (positives, negatives))
        thresholds = np.concatenate([[min(_BELOW_ALL, *values[:1])], values])
        return {self._key: Matrices(thresholds, fn[-1] - fn, tn[-1] - tn, tn, fn)}


class _ExactMetric(confusion_matrix_metrics.ConfusionMatrixMetricBase):
    """A metric of TFMA's over all thresholds, whose histogram or matrices are replaced by tallies."""

    def computations(self, **asked: Any) -> list[Any]:
        """Returns TFMA's computations, those of the buckets exchanged."""
        found: list[Any] = []
        # TFMA gives a combiner, what makes matrices of its result, and what makes the metric of those.
        given = iter(super().computations(**asked))
        for counted, bucketed, derived in zip(given, given, given, strict=True):
            combiner = counted.combiner
            key = bucketed.keys[-1]._replace(
                name=f"{_NAME}_{combiner._class_weights or ''}", aggregation_type=combiner._aggregation_type
            )
            tally = metric_types.MetricComputation([key], counted.preprocessors, TallyCombiner(combiner, key))
            result = _Derived(derived.keys, derived.result, bucketed.keys[-1], key)
            found += [tally, metric_types.DerivedMetricComputation(derived.keys, result)]
        return found


@dataclasses.dataclass(frozen=True)
class _Derived:
    """Makes the metric of the exact matrices: NaN where a class has no rows and nothing is defined."""

    keys: list[metric_types.MetricKey]
    result: Any
    bucketed: metric_types.MetricKey
    exact: metric_types.MetricKey

    def __call__(self, metrics: dict[metric_types.MetricKey, Any]) -> dict[metric_types.MetricKey, Any]:
        matrices = metrics[self.exact]
        if not (matrices.tp[0] > 0 and matrices.fp[0] > 0):
            return dict.fromkeys(self.keys, float("nan"))
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.result(metrics | {self.bucketed: matrices})


class ExactAUC(_ExactMetric, confusion_matrix_metrics.AUC):
    """The area under the ROC curve, or under that of precision and recall."""

    def _metric_value(self, curve: str, summation_method: str, key: Any, matrices: Any) -> float:
        """Returns the area; how to round between buckets is no question without them."""
        return float(super()._metric_value(curve, "interpolation", key, matrices))


class ExactAUCPrecisionRecall(ExactAUC, confusion_matrix_metrics.AUCPrecisionRecall):
    """The area under the curve of precision and recall."""


class ExactSensitivityAtSpecificity(_ExactMetric, confusion_matrix_metrics.SensitivityAtSpecificity):
    """The best sensitivity at a specificity."""


class ExactSpecificityAtSensitivity(_ExactMetric, confusion_matrix_metrics.SpecificityAtSensitivity):
    """The best specificity at a sensitivity."""


class ExactPrecisionAtRecall(_ExactMetric, confusion_matrix_metrics.PrecisionAtRecall):
    """The best precision at a recall."""


class ExactRecallAtPrecision(_ExactMetric, confusion_matrix_metrics.RecallAtPrecision):
    """The best recall at a precision."""


class ExactRecallAtFalsePositiveRate(_ExactMetric, confusion_matrix_metrics.RecallAtFalsePositiveRate):
    """The best recall at a false positive rate."""


class ExactThresholdAtRecall(_ExactMetric, confusion_matrix_metrics.ThresholdAtRecall):
    """The highest threshold that keeps a recall."""


_EXACT = {
    kind.__name__.removeprefix("Exact"): kind
    for kind in (
        ExactAUC, ExactAUCPrecisionRecall, ExactSensitivityAtSpecificity, ExactSpecificityAtSensitivity,
        ExactPrecisionAtRecall, ExactRecallAtPrecision, ExactRecallAtFalsePositiveRate, ExactThresholdAtRecall,
    )
}  # fmt: skip


def exact(config: config_pb2.EvalConfig) -> config_pb2.EvalConfig:
    """Returns a config that has its metrics over all thresholds computed exactly; names and thresholds stay."""
    found = config_pb2.EvalConfig()
    found.CopyFrom(config)
    for spec in found.metrics_specs:
        for metric in spec.metrics:
            if kind := _EXACT.get(metric.class_name):
                metric.class_name, metric.module = kind.__name__, __name__
    return found
