"""The gates that stand beside the EvalConfig: the `gates` parameter, checked."""

import dataclasses
import math
from typing import Any

from kfp_ct.base.errors import ConfigurationError

BINARY, MULTICLASS, REGRESSION = "binary", "multiclass", "regression"
PROBABILITIES, LOGITS = "probabilities", "logits"
# The primary metrics of each task; the first is the default.
METRICS = {
    BINARY: ("auc", "log_loss", "accuracy", "balanced_accuracy"),
    MULTICLASS: ("accuracy", "log_loss", "macro_auc", "balanced_accuracy"),
    REGRESSION: ("rmse", "mse", "mae", "r2"),
}
_CHOICES = {
    "task": ("", *METRICS),
    "metric": ("", *dict.fromkeys(metric for metrics in METRICS.values() for metric in metrics)),
    "model_output": (PROBABILITIES, LOGITS),
    "if_not_significant": ("keep_champion", "accept"),
    "if_champion_saw_rows": ("refuse", "warn"),
    "if_slice_small": ("skip", "judge", "refuse"),
}


@dataclasses.dataclass(frozen=True)
class Gates:
    """What must hold besides the EvalConfig's thresholds.

    Attributes:
        task: binary, multiclass or regression; empty: what the EvalConfig, the labels and the predictions say.
        model_output: Whether classifiers, the champion too, end in probabilities or in logits, which a sigmoid or
            softmax then turns into probabilities.
        output: Which of a model's outputs the gates judge, by TFMA's output name; empty: the first.
        classes: Class names in the order of the model's output, or the name of a vocabulary file, one a line: an
            asset of the model, a path or a URI. Empty: text labels are looked up in the schema's domain.
        metric: The primary metric, one of the task's `METRICS`; empty: the task's first.
        confidence: Level of the two-sided intervals.
        min_gain: The champion must be beaten by more than this, at the interval's lower end.
        if_not_significant: Whether a challenger that is neither better nor worse is refused or accepted.
        if_champion_saw_rows: Whether a champion that may have been trained on eval rows ends in a no or a warning.
        min_baseline_gain: The constant prediction must be beaten by more than this, at the interval's lower end.
        slices: Columns on whose values the model may not lose more than `max_slice_loss` against the champion.
        min_slice_rows: Slices with fewer rows are not judged.
        if_slice_small: What a threshold bound to a smaller slice does: skip, saying so; judge all the same; refuse.
        max_slice_loss: Allowed loss of the primary metric on a judged slice.
        max_slice_gap: Allowed distance of the primary metric between two values of one of `slices`; infinite: any.
    """

    task: str = ""
    model_output: str = PROBABILITIES
    output: str = ""
    classes: tuple[str, ...] | str = ()
    metric: str = ""
    confidence: float = 0.95
    min_gain: float = 0.0
    if_not_significant: str = "keep_champion"
    if_champion_saw_rows: str = "refuse"
    min_baseline_gain: float = 0.0
    slices: tuple[str, ...] = ()
    min_slice_rows: int = 500
    if_slice_small: str = "skip"
    max_slice_loss: float = 0.05
    max_slice_gap: float = math.inf

    def settled(self, task: str) -> "Gates":
        """Returns the gates with task and metric filled in.

        Raises:
            ConfigurationError: The metric is none of the task's, or a regression is said to end in logits.
        """
        metric = self.metric or METRICS[task][0]
        if metric not in METRICS[task]:
            raise ConfigurationError(
                f"gates.metric is {metric!r}, and the task is {task}\nexpected: one of {list(METRICS[task])}\n"
                "fix: choose one of them, or say gates.task"
            )
        if task == REGRESSION and self.model_output == LOGITS:
            raise ConfigurationError(
                "gates.model_output is logits, and the task is regression, whose values are what they are\n"
                "fix: leave it out, or say gates.task"
            )
        return dataclasses.replace(self, task=task, metric=metric)


def read_gates(settings: dict[str, Any]) -> Gates:
    """Checks the `gates` parameter.

    Raises:
        ConfigurationError: A gate is unknown, of the wrong type or out of range.
    """
    known = {field.name: field.default for field in dataclasses.fields(Gates)}
    if unknown := sorted(set(settings) - set(known)):
        raise ConfigurationError(f"unknown gates {unknown}\nexpected: some of {sorted(known)}")
    gates = Gates(**{name: _typed(name, value, known[name]) for name, value in settings.items()})
    for name, choices in _CHOICES.items():
        if (value := getattr(gates, name)) not in choices:
            raise ConfigurationError(
                f"gates.{name}: there is no {name} {value!r}\nexpected: one of {[c for c in choices if c]}"
            )
    _check_ranges(gates)
    return gates


def _check_ranges(gates: Gates) -> None:
    if not 0.5 <= gates.confidence < 1:
        raise ConfigurationError(f"gates.confidence is {gates.confidence}\nexpected: a level such as 0.95")
    if gates.min_slice_rows < 1 or gates.max_slice_loss < 0 or gates.max_slice_gap < 0:
        raise ConfigurationError(
            "gates.min_slice_rows must be at least 1, gates.max_slice_loss and gates.max_slice_gap at least 0"
        )
    if math.isfinite(gates.max_slice_gap) and not gates.slices:
        raise ConfigurationError(
            "gates.max_slice_gap compares the values of slicing columns, and gates.slices names none\n"
            "fix: name columns, such as slices: [origin]"
        )


def _typed(name: str, value: Any, default: Any) -> Any:
    if name == "classes" and isinstance(value, str):
        return value
    if isinstance(default, tuple):
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
        wanted = "names" if name == "classes" else "column names"
        raise ConfigurationError(f"gates.{name} is {value!r}\nexpected: a list of {wanted}")
    if isinstance(default, str) and isinstance(value, str):
        return value
    # KFP hands integers in a dict over as floats.
    numeric = isinstance(default, int | float) and isinstance(value, int | float) and not isinstance(value, bool)
    if numeric and math.isfinite(value) and (isinstance(default, float) or float(value).is_integer()):
        return type(default)(value)
    raise ConfigurationError(f"gates.{name} is {value!r}\nexpected: a {type(default).__name__}, such as {default!r}")
