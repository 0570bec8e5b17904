"""The extractors of a user's module, as TFX's Evaluator asks for them: `custom_extractors`, `custom_eval_shared_model`.

Both are called as there: with the paths of the SavedModels, the EvalConfig with its defaults filled in, and the schema
of the rows. A module may have one of the two; TFMA's own takes the place of the other.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.extractors import unbatch_extractor
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import config_util
from tfx_bsl.tfxio import tensor_adapter

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.evaluate import function_config
from kfp_ct.components.evaluate.config import CHALLENGER, CHAMPION, Plan
from kfp_ct.data import layouts, user_code

EXTRACTORS, SHARED_MODEL = "custom_extractors", "custom_eval_shared_model"


@dataclasses.dataclass(frozen=True)
class Hooks:
    """A module's functions.

    Attributes:
        module: How the settings name it.
        extractors: custom_extractors; None where the module has none.
        shared_model: custom_eval_shared_model; None where the module has none.
    """

    module: str
    extractors: Any
    shared_model: Any


def load(module: str) -> Hooks:
    """Imports a module's functions.

    Raises:
        ConfigurationError: There is no such module, or it has neither of the two.
    """
    function_config.complete_tfma()
    loaded = user_code.load_module(module)
    found = [getattr(loaded, name, None) for name in (EXTRACTORS, SHARED_MODEL)]
    if not any(callable(each) for each in found):
        raise ConfigurationError(
            f"module {module} has neither {EXTRACTORS} nor {SHARED_MODEL}\n"
            "expected: one of them at its top level, as TFX's Evaluator has them"
        )
    return Hooks(module, *found)


def config_for(plan: Plan, has_champion: bool) -> config_pb2.EvalConfig:
    """Returns the user's EvalConfig with a model spec for each model, as TFX hands it to the functions."""
    config = config_pb2.EvalConfig()
    config.CopyFrom(plan.config)
    return config_util.update_eval_config_with_defaults(
        config, has_baseline=has_champion, rubber_stamp=not has_champion
    )


def make(
    hooks: Hooks, config: config_pb2.EvalConfig, models: Mapping[str, str], rows: pa.Schema
) -> list[tfma.extractors.Extractor]:
    """Returns the extractors that rows go through.

    Args:
        hooks: The module's functions.
        config: The EvalConfig as `config_for` makes it.
        models: TFMA's model name → model artifact.
        rows: Schema of the rows as TFMA takes them.

    Raises:
        ConfigurationError: A function fails, or returns something else.
    """
    shared: Any = [_shared_model(hooks, config, spec, models) for spec in config.model_specs]
    given = {
        "eval_shared_model": shared[0] if len(shared) == 1 else shared,
        "eval_config": config,
        "tensor_adapter_config": tensor_adapter.TensorAdapterConfig(arrow_schema=rows, tensor_representations={}),
    }
    with user_code.failing_as(ConfigurationError, hooks.module, EXTRACTORS):
        found = (hooks.extractors or tfma.default_extractors)(**given)
    _check(hooks, found)
    return list(found)


def _shared_model(hooks: Hooks, config: config_pb2.EvalConfig, spec: Any, models: Mapping[str, str]) -> Any:
    path = models[CHAMPION if spec.is_baseline else CHALLENGER]
    with user_code.failing_as(ConfigurationError, hooks.module, SHARED_MODEL):
        return (hooks.shared_model or tfma.default_eval_shared_model)(
            eval_saved_model_path=f"{path}/{layouts.SERVING_MODEL}",
            model_name=spec.name,
            eval_config=config,
            add_metrics_callbacks=None,
        )


def _check(hooks: Hooks, found: Any) -> None:
    fits = isinstance(found, Sequence) and all(hasattr(each, "stage_name") for each in found)
    if not fits or not found:
        raise ConfigurationError(
            f"{EXTRACTORS} of {hooks.module} returned {type(found).__name__}\n"
            "expected: a list of tfma.extractors.Extractor, such as tfma.default_extractors(...) and your own"
        )
    if unbatch_extractor.UNBATCH_EXTRACTOR_STAGE_NAME not in [each.stage_name for each in found]:
        raise ConfigurationError(
            f"{EXTRACTORS} of {hooks.module} returned {', '.join(each.stage_name for each in found)}\n"
            "expected: TFMA's UnbatchExtractor among them, after which an element is a row\n"
            "fix: begin with tfma.default_extractors(...), or add it"
        )
