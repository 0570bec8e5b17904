"""What the user asks of an evaluation: TFMA's EvalConfig file and the gates beside it."""

import dataclasses
import math
from typing import Any

from google.protobuf import text_format
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import config_util

from components import user_code
from components.errors import ConfigurationError

CHALLENGER, CHAMPION = "candidate", "baseline"  # TFMA's names for them
METRICS = ("auc", "log_loss", "accuracy")


@dataclasses.dataclass(frozen=True)
class Gates:
    """What must hold besides the EvalConfig's thresholds.

    Attributes:
        metric: The primary metric: auc, log_loss or accuracy (at 0.5).
        confidence: Level of the two-sided intervals.
        min_gain: The champion must be beaten by more than this, at the interval's lower end.
        min_baseline_gain: The constant prediction must be beaten by more than this, at the interval's lower end.
        slices: Columns on whose values the model may not lose more than `max_slice_loss` against the champion.
        min_slice_rows: Slices with fewer rows are not judged.
        max_slice_loss: Allowed loss of the primary metric on a judged slice.
    """

    metric: str = "auc"
    confidence: float = 0.95
    min_gain: float = 0.0
    min_baseline_gain: float = 0.0
    slices: tuple[str, ...] = ()
    min_slice_rows: int = 500
    max_slice_loss: float = 0.05


@dataclasses.dataclass(frozen=True)
class Plan:
    """A checked EvalConfig: `config` is the user's; `completed` adds the model specs of a run."""

    config: config_pb2.EvalConfig
    label: str
    prediction_key: str
    signature: str

    def completed(self, has_champion: bool) -> config_pb2.EvalConfig:
        """Returns the config TFMA computes with: one or two models, whose stored predictions bear their names.

        Without a champion the change thresholds are dropped, as TFX does on a first run.
        """
        config = config_pb2.EvalConfig()
        config.CopyFrom(self.config)
        del config.model_specs[:]
        config.model_specs.add(label_key=self.label)
        for spec in config.metrics_specs:
            del spec.model_names[:]
        config = config_util.update_eval_config_with_defaults(
            config, has_baseline=has_champion, rubber_stamp=not has_champion
        )
        for spec in config.model_specs:
            spec.prediction_key = spec.name or CHALLENGER
        return config

    @property
    def slice_columns(self) -> list[str]:
        """The columns that the slices are made of."""
        specs = self.config.slicing_specs
        return sorted({column for spec in specs for column in [*spec.feature_keys, *spec.feature_values]})


def read_plan(reference: str) -> Plan:
    """Reads an EvalConfig in protobuf's text format.

    Raises:
        ConfigurationError: The file is missing, malformed, or asks for nothing that can be judged.
    """
    text = user_code.read_text(reference, "evaluation config")
    try:
        config = text_format.Parse(text, config_pb2.EvalConfig())
    except text_format.ParseError as error:
        raise ConfigurationError(
            f"{reference} is not an EvalConfig: {error}\nexpected: tfma.EvalConfig in protobuf's text format"
        ) from error
    if not any(spec.metrics for spec in config.metrics_specs):
        raise ConfigurationError(
            f"{reference} names no metrics\nexpected: metrics_specs {{ metrics {{ class_name: 'AUC' }} }}"
        )
    if not any(not spec.feature_keys and not spec.feature_values for spec in config.slicing_specs):
        config.slicing_specs.insert(0, config_pb2.SlicingSpec())  # every verdict needs the overall slice
    return _plan(config, reference)


def _plan(config: config_pb2.EvalConfig, reference: str) -> Plan:
    model = next((spec for spec in config.model_specs if not spec.is_baseline), config_pb2.ModelSpec())
    if not model.label_key:
        raise ConfigurationError(
            f"{reference} names no label\nexpected: model_specs {{ label_key: '<column>' }}, one label, one output"
        )
    if model.example_weight_key or model.example_weight_keys:
        raise ConfigurationError(
            f"{reference} weighs examples, which the gates' intervals cannot\nmend: remove example_weight_key"
        )
    return Plan(config, model.label_key, model.prediction_key, model.signature_name or "serving_default")


def read_gates(settings: dict[str, Any]) -> Gates:
    """Checks the `gates` parameter.

    Raises:
        ConfigurationError: A gate is unknown, of the wrong type or out of range.
    """
    known = {field.name: field.default for field in dataclasses.fields(Gates)}
    if unknown := sorted(set(settings) - set(known)):
        raise ConfigurationError(f"unknown gates {unknown}\nexpected: some of {sorted(known)}")
    gates = Gates(**{name: _typed(name, value, known[name]) for name, value in settings.items()})
    if gates.metric not in METRICS:
        raise ConfigurationError(f"gates.metric: there is no metric {gates.metric!r}\nexpected: one of {list(METRICS)}")
    if not 0.5 <= gates.confidence < 1:
        raise ConfigurationError(f"gates.confidence is {gates.confidence}\nexpected: a level such as 0.95")
    if gates.min_slice_rows < 1 or gates.max_slice_loss < 0:
        raise ConfigurationError("gates.min_slice_rows must be at least 1 and gates.max_slice_loss at least 0")
    return gates


def _typed(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, tuple):
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ConfigurationError(f"gates.{name} is {value!r}\nexpected: a list of column names")
    if isinstance(default, str) and isinstance(value, str):
        return value
    # KFP hands integers in a dict over as floats.
    numeric = isinstance(default, int | float) and isinstance(value, int | float) and not isinstance(value, bool)
    if numeric and math.isfinite(value) and (isinstance(default, float) or float(value).is_integer()):
        return type(default)(value)
    raise ConfigurationError(f"gates.{name} is {value!r}\nexpected: a {type(default).__name__}, such as {default!r}")
