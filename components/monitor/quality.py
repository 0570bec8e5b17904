"""Live quality against the baseline metric: the one that the evaluation measured when the model was blessed."""

import dataclasses
import math
import statistics
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow.types import is_floating, is_integer

from kfp_ct.base.errors import DataError
from kfp_ct.components.monitor import metrics, request_log
from kfp_ct.components.monitor.metrics import Array
from kfp_ct.components.monitor.settings import Rules

_USUAL = ("probability", "probabilities", "prediction", "predictions", "output_0", "score", "scores")


@dataclasses.dataclass(frozen=True)
class BaselineMetric:
    """What the evaluation measured of the model: task, metric, its value and standard error (0 where unknown)."""

    task: str
    metric: str
    value: float | None
    error: float
    output: str
    classes: tuple[str, ...]
    label: str


def baseline_metric(evaluation: dict[str, Any]) -> BaselineMetric:
    """Reads the baseline metric from the evaluation's summary.json."""
    constant = evaluation.get("baseline") or {}
    gates = evaluation.get("gates") or {}
    metric = str(gates.get("metric") or constant.get("metric") or "auc")
    value = constant.get("challenger")
    if value is None:
        value = evaluation.get("metrics", {}).get("challenger", {}).get(metric)
    low, high, error = constant.get("low"), constant.get("high"), 0.0
    if isinstance(low, int | float) and isinstance(high, int | float) and math.isfinite(high - low):
        # Its gain over a constant has, for an AUC, the metric's own error; for means, one close to it.
        error = (high - low) / 2 / _z(float(gates.get("confidence") or 0.95))
    return BaselineMetric(
        str(evaluation.get("task") or metrics.BINARY), metric, value, error, str(evaluation.get("output") or ""),
        tuple(map(str, evaluation.get("classes") or ())), str(evaluation.get("label") or "label"),
    )  # fmt: skip


def judge(baseline: BaselineMetric, labelled: pa.Table, rules: Rules) -> dict[str, Any]:
    """Measures the labelled rows.

    Returns:
        `metric`, `labelled`, and where they could be measured `value`, `low`, `high`, `baseline`, `loss`, `loss_low`,
        `loss_high` (positive is worse), and `lost`: whether the loss, beyond doubt at the rules' confidence, is
        larger than allowed or the absolute bound is broken; `not_finite`, how many predictions are NaN or infinite;
        `unjudged` says why nothing was judged.

    Raises:
        DataError: A label is not of the task.
    """
    report: dict[str, Any] = {
        "task": baseline.task, "metric": baseline.metric, "labelled": len(labelled), "baseline": baseline.value,
        "baseline_error": baseline.error, "lost": False, "unjudged": "",
    }  # fmt: skip
    if baseline.metric not in metrics.METRICS.get(baseline.task, ()):
        return report | {"unjudged": f"{baseline.metric} of a {baseline.task} model is not measured on live rows"}
    if len(labelled) < rules.min_labelled:
        return report | {"unjudged": f"{len(labelled):,} labelled rows, {rules.min_labelled:,} are needed"}
    predictions = predictions_of(labelled, baseline)
    if predictions is None:
        return report | {"unjudged": "the log has no output that could be the prediction"}
    labels = labels_of(labelled, baseline)
    finite = np.isfinite(predictions.reshape(len(labels), -1)).all(axis=1)
    report["not_finite"] = int((~finite).sum())
    if not finite.any():
        return report | {"unjudged": "no prediction is a number"}
    found = metrics.estimate(baseline.task, baseline.metric, labels[finite], predictions[finite])
    if not (math.isfinite(found.value) and math.isfinite(found.error)):
        return report | {"unjudged": f"{baseline.metric} is not defined on these labels"}
    reach = _z(rules.confidence) * found.error
    report |= {"value": found.value, "low": found.value - reach, "high": found.value + reach}
    return report | _loss(baseline, found, rules)


def _loss(baseline: BaselineMetric, found: metrics.Estimate, rules: Rules) -> dict[str, Any]:
    sign = -1.0 if baseline.metric in metrics.LESS_IS_BETTER else 1.0
    reach = _z(rules.confidence) * found.error
    bound = rules.min_quality
    broken = bound is not None and sign * (found.value - bound) + reach < 0
    if baseline.value is None:
        return {"lost": broken, "below_bound": broken}
    loss = sign * (baseline.value - found.value)
    reach = _z(rules.confidence) * math.hypot(found.error, baseline.error)
    ends = {"loss": loss, "loss_low": loss - reach, "loss_high": loss + reach, "below_bound": broken}
    return {**ends, "lost": broken or loss - reach > rules.max_loss}


def predictions_of(rows: pa.Table, baseline: BaselineMetric) -> Array | None:
    """Returns the predictions of logged rows; None where no output can be the prediction."""
    outputs = request_log.columns(rows, "outputs")
    names = outputs.column_names
    usual = [name for name in (baseline.output, *_USUAL) if name in names]
    chosen = names[0] if len(names) == 1 else usual[0] if usual else None
    if chosen is None:
        return None
    column = outputs[chosen].combine_chunks()
    nested = request_log.is_vector(column.type)
    if nested != (baseline.task == metrics.MULTICLASS):
        return None
    if not nested:
        return np.asarray(outputs[chosen].to_numpy(), np.float64)
    return np.array(outputs[chosen].to_pylist(), np.float64)


def _are_names(label: Any, classes: tuple[str, ...]) -> bool:
    """Whether labels are names of classes and not their numbers: the classes 1, 2, 3 have the numbers 0, 1, 2."""
    return bool(classes) and (isinstance(label, str) or all(name.lstrip("-").isdigit() for name in classes))


def labels_of(rows: pa.Table, baseline: BaselineMetric) -> Array:
    """Returns the column `label` as numbers.

    Raises:
        DataError: A label is not of the task.
    """
    column = rows["label"]
    named = _are_names(column[0].as_py(), baseline.classes)
    plain = not named and not column.null_count and (is_floating(column.type) or is_integer(column.type))
    values = column.to_numpy() if plain else column.to_pylist()
    if named:
        numbers = {name: number for number, name in enumerate(baseline.classes)}
        values = [numbers.get(str(int(value) if isinstance(value, float) and value % 1 == 0 else value), -1)
                  for value in values]  # fmt: skip
    try:
        labels = np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"a label is no number: {error}\nexpected: labels as {baseline.label} was in training"
        ) from error
    good = np.isfinite(labels)
    if baseline.task == metrics.BINARY:
        good &= np.isin(labels, (0, 1))
    elif baseline.task == metrics.MULTICLASS:
        good &= (labels >= 0) & (labels % 1 == 0)
    if not good.all():
        strange = rows["label"].to_pylist()[int(np.flatnonzero(~good)[0])]
        raise DataError(
            f"the label {strange!r} is none of a {baseline.task} model\nexpected: {baseline.label} as in training"
        )
    return labels


def _z(confidence: float) -> float:
    return statistics.NormalDist().inv_cdf((1 + confidence) / 2)
