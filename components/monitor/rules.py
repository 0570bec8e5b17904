"""What a model's traffic is held to: the `rules` parameter, checked."""

import dataclasses
import math
from typing import Any

from kfp_ct.base.errors import ConfigurationError

SKEW, DRIFT, PREDICTIONS, QUALITY, STALENESS = "skew", "drift", "predictions", "quality", "staleness"
KINDS = (SKEW, DRIFT, PREDICTIONS, QUALITY, STALENESS)
# A feature's share of missing values, among the measures of kfp_ct/data/drift.py.
MISSING = "missing"
FAIL, REPORT = "fail", "report"


@dataclasses.dataclass(frozen=True)
class Rules:
    """When to ask for retraining, and when to raise an alarm that retraining does not fix.

    Attributes:
        retrain_on: Which findings ask for retraining; the others are alarms.
        infinity_norm: Allowed distance of a categorical feature that the schema gives none.
        jensen_shannon_divergence: The same of a numeric one.
        missing: Allowed change of a feature's share of missing values.
        predictions: Allowed Jensen-Shannon divergence of the predictions from those of the period before.
        min_drifted: So many features must have moved.
        false_alarm: Probability of any distance alarm in a period of identical traffic, over all features together.
        min_rows: Distributions of fewer rows are not judged.
        max_rows: At most so many rows of a period are read, evenly over its files.
        min_labelled: Quality on fewer labelled rows is not judged.
        confidence: Of the intervals of quality.
        max_loss: Allowed loss of the primary metric against the baseline metric, which the evaluation measured.
        min_quality: Absolute bound of the primary metric (an upper one where less is better); None for none.
        min_coverage: Alarm if labels are given and fewer of the rows have one.
        max_age_days: Allowed age of the data the model was trained on; 0 for any.
        max_p99_ms: Alarm above this latency; 0 for any.
        max_error_rate: Alarm if more of the requests were answered with an error.
        max_dropped: Alarm if more of the sampled requests did not reach the log.
        signature: Which of the model's signatures is looked at.
        no_traffic: "fail" ends the run with an error if no row was logged, "report" only says so.
    """

    retrain_on: tuple[str, ...] = KINDS
    infinity_norm: float = 0.1
    jensen_shannon_divergence: float = 0.1
    missing: float = 0.1
    predictions: float = 0.1
    min_drifted: int = 1
    false_alarm: float = 0.01
    min_rows: int = 500
    max_rows: int = 200_000
    min_labelled: int = 500
    confidence: float = 0.95
    max_loss: float = 0.02
    min_quality: float | None = None
    min_coverage: float = 0.0
    max_age_days: float = 0.0
    max_p99_ms: float = 0.0
    max_error_rate: float = 0.01
    max_dropped: float = 0.01
    signature: str = "serving_default"
    no_traffic: str = FAIL


# Smallest and largest value; the ends of a probability are none.
_RANGES = {
    "infinity_norm": (0, 1), "jensen_shannon_divergence": (0, 1), "missing": (0, 1), "predictions": (0, 1),
    "min_drifted": (1, math.inf), "false_alarm": (1e-9, 0.5), "min_rows": (1, math.inf), "max_rows": (1, math.inf),
    "min_labelled": (2, math.inf), "confidence": (0.5, 0.999999), "max_loss": (0, math.inf), "min_coverage": (0, 1),
    "max_age_days": (0, math.inf), "max_p99_ms": (0, math.inf), "max_error_rate": (0, 1), "max_dropped": (0, 1),
}  # fmt: skip


def read(settings: dict[str, Any]) -> Rules:
    """Checks the `rules` parameter.

    Raises:
        ConfigurationError: A rule is unknown, of the wrong type or out of range.
    """
    known = {field.name: field.default for field in dataclasses.fields(Rules)}
    if unknown := sorted(set(settings) - set(known)):
        raise ConfigurationError(f"unknown rules {unknown}\nexpected: some of {sorted(known)}")
    rules = Rules(**{name: _typed(name, value, known[name]) for name, value in settings.items()})
    for name, (low, high) in _RANGES.items():
        if not low <= getattr(rules, name) <= high:
            raise ConfigurationError(f"rules.{name} is {getattr(rules, name)}\nexpected: from {low} to {high}")
    if strange := sorted(set(rules.retrain_on) - set(KINDS)):
        raise ConfigurationError(f"rules.retrain_on names {strange}\nexpected: some of {list(KINDS)}")
    if rules.no_traffic not in (FAIL, REPORT):
        raise ConfigurationError(f"rules.no_traffic is {rules.no_traffic!r}\nexpected: {FAIL!r} or {REPORT!r}")
    return rules


def _typed(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, tuple):
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ConfigurationError(f"rules.{name} is {value!r}\nexpected: a list of words")
    if isinstance(default, str) and isinstance(value, str):
        return value
    numeric = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if default is None and (value is None or numeric):
        return value
    # KFP hands integers in a dict over as floats.
    whole = isinstance(default, int)
    if numeric and isinstance(default, int | float) and (not whole or float(value).is_integer()):
        return type(default)(value)
    raise ConfigurationError(f"rules.{name} is {value!r}\nexpected: such as {default!r}")
