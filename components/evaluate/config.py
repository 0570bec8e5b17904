"""What the user asks of an evaluation: TFMA's EvalConfig file."""

import dataclasses

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import config_util

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.evaluate import eval_config, function_config
from kfp_ct.components.evaluate.eval_config import Output

SERVING = "SERVING"  # TensorFlow Metadata's customary name of the environment without a label
CHALLENGER, CHAMPION = "candidate", "baseline"  # TFMA's names for them


@dataclasses.dataclass(frozen=True)
class Plan:
    """A checked EvalConfig: `config` is the user's, `text` as it was written; `for_run` adds the model specs."""

    config: config_pb2.EvalConfig
    outputs: tuple[Output, ...]
    signature: str
    preprocessing: tuple[str, ...] = ()
    text: str = ""

    def for_run(self, has_champion: bool) -> config_pb2.EvalConfig:
        """Returns the config TFMA computes with: one or two models, whose stored predictions bear their names.

        Without a champion the change thresholds are dropped, as TFX does on a first run.
        """
        config = config_pb2.EvalConfig()
        config.CopyFrom(self.config)
        del config.model_specs[:]
        config.model_specs.add()
        for metrics in config.metrics_specs:
            del metrics.model_names[:]
        config = config_util.update_eval_config_with_defaults(
            config, has_baseline=has_champion, rubber_stamp=not has_champion
        )
        for spec in config.model_specs:
            for output in self.outputs:
                _name_columns(spec, output)
        return config

    def training_only(self, schema: schema_pb2.Schema) -> dict[str, str]:
        """Returns the columns that no client has when it asks, and what they are.

        A weight that clients have all the same is one with `in_environment: "SERVING"` in the schema.
        """
        served = {feature.name for feature in schema.feature if SERVING in feature.in_environment}
        left_out = {feature.name for feature in schema.feature if SERVING in feature.not_in_environment}
        found = dict.fromkeys(sorted(left_out), "not in the schema's environment SERVING")
        found |= {output.weight: "the weight" for output in self.outputs if output.weight not in {"", *served}}
        return found | {output.label: "the label" for output in self.outputs}

    @property
    def slice_columns(self) -> list[str]:
        """The columns that the slices are made of."""
        specs = [*self.config.slicing_specs]
        for cross in self.config.cross_slicing_specs:
            specs += [cross.baseline_spec, *cross.slicing_specs]
        return sorted({column for spec in specs for column in [*spec.feature_keys, *spec.feature_values]})

    @property
    def columns(self) -> list[str]:
        """The columns that are read beside the models' inputs, without those of SQL slices, which may be any."""
        named = [name for output in self.outputs for name in (output.label, output.weight) if name]
        queries = [spec.query_key for spec in self.config.metrics_specs if spec.query_key]
        return sorted({*self.slice_columns, *named, *queries})


def prediction_column(model_name: str, output: str) -> str:
    """Returns the column that a model's stored predictions of an output go by."""
    model = model_name or CHALLENGER
    return f"{model}.{output}" if output else model


def _name_columns(spec: config_pb2.ModelSpec, output: Output) -> None:
    if not output.name:
        spec.label_key, spec.prediction_key = output.label, prediction_column(spec.name, "")
        spec.example_weight_key = output.weight
        return
    spec.label_keys[output.name] = f"{output.name}.{output.label}"  # two outputs may read one label differently
    spec.prediction_keys[output.name] = prediction_column(spec.name, output.name)
    if output.weight:
        spec.example_weight_keys[output.name] = output.weight


def read_plan(reference: str) -> Plan:
    """Reads an EvalConfig: a file in protobuf's text format, or a function that returns one.

    Raises:
        ConfigurationError: The file is missing, malformed, or asks for nothing that can be judged.
    """
    text = function_config.read_text(reference)
    try:
        config = text_format.Parse(text, config_pb2.EvalConfig())
    except text_format.ParseError as error:
        raise ConfigurationError(
            f"{reference} is not an EvalConfig: {error}\nexpected: tfma.EvalConfig in protobuf's text format"
        ) from error
    plain = (spec for spec in config.slicing_specs if not spec.slice_keys_sql)
    if not any(not spec.feature_keys and not spec.feature_values for spec in plain):
        config.slicing_specs.insert(0, config_pb2.SlicingSpec())  # every verdict needs the overall slice
    return dataclasses.replace(_plan(config, reference), text=text)


def _plan(config: config_pb2.EvalConfig, reference: str) -> Plan:
    if found := list(eval_config.unusable(config)):
        listed = "\n".join(f"{reference}: {each}" for each in found)
        raise ConfigurationError(f"{listed}\nfix: edit {reference}")
    outputs = eval_config.outputs(config)
    for metrics in config.metrics_specs if len(outputs) > 1 else ():
        asked = eval_config.asked_outputs(config, metrics) or [output.name for output in outputs]
        del metrics.output_names[:]
        metrics.output_names.extend(asked)
    _add_counts_for_sql(config)
    signatures = [spec.signature_name for spec in eval_config.specs_of_models(config)]
    made = [name for spec in eval_config.specs_of_models(config) for name in spec.preprocessing_function_names]
    return Plan(config, outputs, (signatures or [""])[0] or "serving_default", tuple(dict.fromkeys(made)))


def _add_counts_for_sql(config: config_pb2.EvalConfig) -> None:
    """Slices in SQL are known to TFMA alone: how many rows they have, too."""
    counted = any(m.class_name == "ExampleCount" for spec in config.metrics_specs for m in spec.metrics)
    if any(spec.slice_keys_sql for spec in config.slicing_specs) and not counted:
        config.metrics_specs[0].metrics.add(class_name="ExampleCount")
