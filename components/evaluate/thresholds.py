"""The EvalConfig's thresholds as checks: TFMA decides, the reasons quote its numbers."""

import dataclasses
from typing import Any

from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib

from components.blessing import Check
from components.evaluate import slices, words
from components.evaluate.config import CHAMPION
from components.evaluate.results import Evaluation

_Failures = set[tuple[slices.SliceKey, metric_types.MetricKey, bytes]]


@dataclasses.dataclass(frozen=True)
class _Threshold:
    key: metric_types.MetricKey
    slicing: config_pb2.SlicingSpec | None  # none binds the threshold to every slice, as in TFMA
    bound: Any


def checks(evaluation: Evaluation, config: config_pb2.EvalConfig) -> list[Check]:
    """Returns one check for every threshold on every slicing spec it names."""
    failures = _failures(evaluation)
    found = [_check(threshold, evaluation, failures) for threshold in _thresholds(config)]
    if found and all(check.passed for check in found) and not evaluation.validation.validation_ok:
        # Cross-slice thresholds and whatever else TFMA may validate: never pass what TFMA refuses.
        found.append(Check("threshold", False, "TFMA's validation result is not ok"))
    return found


def _thresholds(config: config_pb2.EvalConfig) -> list[_Threshold]:
    named = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    return [
        _Threshold(key, slicing, bound)
        for key, bounds in named.items()
        for slicing, bound in bounds
        if key.model_name != CHAMPION and not isinstance(slicing, config_pb2.CrossSlicingSpec)
    ]


def _check(threshold: _Threshold, evaluation: Evaluation, failures: _Failures) -> Check:
    spec = slicer_lib.SingleSliceSpec(spec=threshold.slicing) if threshold.slicing is not None else None
    matching = [item for item in evaluation.metrics if spec is None or spec.is_slice_applicable(item[0])]
    metric = ("change of " if threshold.key.is_diff else "") + words.title(threshold.key.name)
    demanded = _demanded(threshold.bound)
    if not matching:
        return Check("threshold", False, f"{metric} {demanded} could not be judged: its slice has no rows")
    values = {key: _value(metrics.get(threshold.key)) for key, metrics in matching}
    failed = [key for key in values if (key, threshold.key, threshold.bound.SerializeToString()) in failures]
    if failed:
        named = [f"{metric} {values[key]} on {slices.name(key)}" for key in failed]
        return Check("threshold", False, f"{words.listed(named)}; demanded is {demanded}")
    if len(values) == 1:
        key, value = next(iter(values.items()))
        return Check("threshold", True, f"{metric} {value} {demanded} on {slices.name(key)}")
    return Check("threshold", True, f"{metric} {demanded} on all {len(values)} slices it is bound to")


def _failures(evaluation: Evaluation) -> _Failures:
    found: _Failures = set()
    for validation in evaluation.validation.metric_validations_per_slice:
        slice_key = slicer_lib.deserialize_slice_key(validation.slice_key)
        for failure in validation.failures:
            threshold = failure.metric_threshold
            bound = getattr(
                threshold, "value_threshold" if threshold.HasField("value_threshold") else "change_threshold"
            )
            key = metric_types.MetricKey.from_proto(failure.metric_key)
            found.add((slice_key, key, bound.SerializeToString()))
    return found


def _value(value: float | None) -> str:
    return "is missing" if value is None else words.number(value)


def _demanded(bound: Any) -> str:
    if isinstance(bound, config_pb2.GenericValueThreshold):
        ends = [("≥", "lower_bound"), ("≤", "upper_bound")]
        return " and ".join(f"{sign} {getattr(bound, end).value:g}" for sign, end in ends if bound.HasField(end))
    sign = "≤" if bound.direction == config_pb2.MetricDirection.LOWER_IS_BETTER else "≥"
    ends = [("", "absolute"), (" of the champion's", "relative")]
    return " and ".join(f"{sign} {getattr(bound, end).value:g}{unit}" for unit, end in ends if bound.HasField(end))
