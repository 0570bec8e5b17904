"""The EvalConfig's thresholds as checks: TFMA decides, the reasons quote its numbers."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib

from kfp_ct.components.evaluate import array_metrics, display, slices
from kfp_ct.components.evaluate.config import CHAMPION
from kfp_ct.components.evaluate.results import CrossKey, Evaluation
from kfp_ct.components.evaluate.settings import Gates
from kfp_ct.models.blessing import Check

Key = slices.SliceKey | CrossKey
_Failures = set[tuple[Key, metric_types.MetricKey, bytes]]


@dataclasses.dataclass(frozen=True)
class _Threshold:
    key: metric_types.MetricKey
    # None binds the threshold to every slice, as in TFMA.
    slicing: config_pb2.SlicingSpec | config_pb2.CrossSlicingSpec | None
    bound: Any

    def applies(self, key: Key) -> bool:
        if isinstance(self.slicing, config_pb2.CrossSlicingSpec):
            return slicer_lib.is_cross_slice_applicable(key, self.slicing)
        return self.slicing is None or slicer_lib.SingleSliceSpec(spec=self.slicing).is_slice_applicable(key)


@dataclasses.dataclass(frozen=True)
class _Judge:
    """What TFMA found, and which slices are too small to hold a threshold against."""

    evaluation: Evaluation
    failures: _Failures
    sizes: Mapping[slices.SliceKey, int]
    gates: Gates

    def check(self, threshold: _Threshold) -> tuple[Check, int]:
        """Returns the check of a threshold, and how many slices it examined."""
        matching = [item for item in self._candidates(threshold) if threshold.applies(item[0])]
        small = [key for key, _ in matching if self.small(key)] if self.gates.if_slice_small != "judge" else []
        judged = [item for item in matching if item[0] not in small]
        metric = ("change of " if threshold.key.is_diff else "") + display.title(display.metric(threshold.key))
        demanded = _demanded(threshold.bound)
        if not matching:
            return Check("threshold", False, f"{metric} {demanded} could not be judged: its slice has no rows"), 0
        few = f"fewer than {self.gates.min_slice_rows:,} rows"
        if small and self.gates.if_slice_small == "refuse":
            named = display.listed([f"{_name(key)} has {few}" for key in small])
            return Check("threshold", False, f"{metric} {demanded} could not be judged everywhere: {named}"), len(
                judged
            )
        left_out = f"; not judged: {display.listed([_name(key) for key in small])}, {few}" if small else ""
        if not judged:
            return Check("threshold", True, f"{metric} {demanded}{left_out}"), 0
        passed, reason = self._verdict(threshold, metric, judged)
        return Check("threshold", passed, reason + left_out), len(judged)

    def _verdict(
        self, threshold: _Threshold, metric: str, judged: list[tuple[Key, array_metrics.Metrics]]
    ) -> tuple[bool, str]:
        demanded = _demanded(threshold.bound)
        values = {key: _value(metrics.get(threshold.key)) for key, metrics in judged}
        bound = threshold.bound.SerializeToString()
        failed = [key for key in values if (key, threshold.key, bound) in self.failures]
        if failed:
            named = [f"{metric} {values[key]} on {_name(key)}" for key in failed]
            return False, f"{display.listed(named)}; demanded is {demanded}"
        if len(values) == 1:
            key, value = next(iter(values.items()))
            return True, f"{metric} {value} {demanded} on {_name(key)}"
        return True, f"{metric} {demanded} on all {len(values)} slices it is bound to"

    def _candidates(self, threshold: _Threshold) -> list[tuple[Key, array_metrics.Metrics]]:
        if isinstance(threshold.slicing, config_pb2.CrossSlicingSpec):
            return [*self.evaluation.crossed]
        return [*self.evaluation.metrics]

    def small(self, key: Key) -> bool:
        """Whether a slice has too few rows; the whole is never a slice, and a pair is as small as its smaller half."""
        parts: Any = key if _crossed(key) else (key,)
        least = self.gates.min_slice_rows
        return any(part and self.sizes.get(part, least) < least for part in parts)


def checks(
    evaluation: Evaluation, config: config_pb2.EvalConfig, sizes: Mapping[slices.SliceKey, int], gates: Gates
) -> list[Check]:
    """Returns one check for every threshold on every slicing spec it names.

    Args:
        evaluation: TFMA's results.
        config: The config as `Plan.for_run` completes it.
        sizes: Rows of every slice.
        gates: Their `min_slice_rows` and `if_slice_small`.
    """
    judge = _Judge(evaluation, _failures(evaluation), sizes, gates)
    judged = [judge.check(threshold) for threshold in _thresholds(config)]
    found = [check for check, _ in judged]
    if not found or not all(check.passed for check in found):
        return found  # without thresholds TFMA's validation is no yes
    if not any(examined for _, examined in judged):
        few = f"every slice that a threshold is bound to has fewer than {gates.min_slice_rows:,} rows"
        return [*found, Check("threshold", False, f"{few}: nothing could be judged")]
    if not _r2(evaluation, judge):
        # Whatever else TFMA may validate: never pass what it refuses.
        found.append(Check("threshold", False, "TFMA's validation result is not ok"))
    return found


def _r2(evaluation: Evaluation, judge: _Judge) -> bool:
    """Whether TFMA's verdict is a yes, or a no for reasons that are none.

    Those are slices too small to judge, and pairs of slices: TFMA calls every pair missing that another batch of its
    results lacked, though it was judged; a pair that is really missing has its own check.
    """
    result = evaluation.validation
    if result.validation_ok:
        return True
    if result.missing_slices or not (judge.failures or result.missing_cross_slices):
        return False
    return all(judge.gates.if_slice_small == "skip" and judge.small(key) for key, _, _ in judge.failures)


def _thresholds(config: config_pb2.EvalConfig) -> list[_Threshold]:
    named = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    return [
        _Threshold(key, slicing, bound)
        for key, bounds in named.items()
        for slicing, bound in bounds
        if key.model_name != CHAMPION
    ]


def _failures(evaluation: Evaluation) -> _Failures:
    found: _Failures = set()
    for validation in evaluation.validation.metric_validations_per_slice:
        key: Any
        if validation.HasField("cross_slice_key"):
            key = slicer_lib.deserialize_cross_slice_key(validation.cross_slice_key)
        else:
            key = slicer_lib.deserialize_slice_key(validation.slice_key)
        for failure in validation.failures:
            threshold = failure.metric_threshold
            bound = getattr(
                threshold, "value_threshold" if threshold.HasField("value_threshold") else "change_threshold"
            )
            found.add((key, metric_types.MetricKey.from_proto(failure.metric_key), bound.SerializeToString()))
    return found


def _crossed(key: Key) -> bool:
    return slicer_lib.is_cross_slice_key(key)


def _name(key: Any) -> str:
    return f"{slices.name(key[1])} against {slices.name(key[0])}" if _crossed(key) else slices.name(key)


def _value(value: float | None) -> str:
    if value is None:
        return "is missing"
    return "is not defined" if math.isnan(value) else display.number(value)


def _demanded(bound: Any) -> str:
    if isinstance(bound, config_pb2.GenericValueThreshold):
        ends = [("≥", "lower_bound"), ("≤", "upper_bound")]
        return " and ".join(f"{sign} {getattr(bound, end).value:g}" for sign, end in ends if bound.HasField(end))
    sign = "≤" if bound.direction == config_pb2.MetricDirection.LOWER_IS_BETTER else "≥"
    ends = [("", "absolute"), (" of the champion's", "relative")]
    return " and ".join(f"{sign} {getattr(bound, end).value:g}{unit}" for unit, end in ends if bound.HasField(end))
