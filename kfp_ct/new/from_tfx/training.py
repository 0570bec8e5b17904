"""Transform, Tuner and Trainer: the modules, the steps and what modules are given."""

from typing import Any

from kfp_ct.data.layouts import EVAL, TRAIN
from kfp_ct.new.from_tfx import modules
from kfp_ct.new.from_tfx.draft import DIFFERS, SAME, Draft
from kfp_ct.new.from_tfx.inspected import Node, Pipeline

_IDENTITY = '''"""No preprocessing: the pipeline had no Transform."""


def preprocessing_fn(inputs):
    return dict(inputs)
'''


def draw(draft: Draft, pipeline: Pipeline, trainer: Node, transform: Node | None) -> None:
    """Draws up modules and hyperparameters."""
    texts = [_features(draft, trainer, transform), modules.draw(draft, trainer, "model_module", "run_fn")]
    _steps(draft, trainer)
    _custom_config(draft, trainer)
    _executor(draft, trainer)
    _tuning(draft, pipeline, trainer)
    if trainer.producers("base_model") or "base_model" in trainer.inputs:
        draft.parameters["warm_start"] = True
        draft.add(trainer.id, "base_model", DIFFERS, "warm_start: true: training starts from the champion")
    modules.notice(draft, trainer, texts, pipeline.legacy_keras)


def _features(draft: Draft, trainer: Node, transform: Node | None) -> str:
    if transform is None:
        draft.files["features.py"] = _IDENTITY
        draft.parameters["features_module"] = f"pipelines.{draft.name}.features"
        draft.add(
            trainer.id, "no Transform", DIFFERS, "features_module passes columns through: there is always a transform"
        )
        return ""
    text = modules.draw(draft, transform, "features_module", "preprocessing_fn")
    options: dict[str, Any] = {}
    if config := transform.given.get("custom_config"):
        options["custom_config"] = config
        draft.add(transform.id, "custom_config", SAME, "transform_options.custom_config")
    _splits(draft, transform, options)
    if transform.given.get("stats_options_updater_fn") or "def stats_options_updater_fn" in text:
        options["statistics"] = True
        draft.add(transform.id, "stats_options_updater_fn", SAME, "transform_options.statistics: true")
    elif not transform.given.get("disable_statistics"):
        here = "not computed; transform_options.statistics: true does, before and after the transform"
        draft.add(transform.id, "statistics", DIFFERS, here)
    if options:
        draft.parameters["transform_options"] = options
    if transform.inputs.get("analyzer_cache"):
        here = "every run analyses all of its rows; a step whose inputs have not changed is served from the cache"
        draft.add(transform.id, "analyzer_cache", DIFFERS, here)
    return text


def _splits(draft: Draft, transform: Node, options: dict[str, Any]) -> None:
    config = transform.given.get("splits_config") or {}
    analyzed = config.get("analyze") or [TRAIN]
    if analyzed != [TRAIN]:
        options["analyze"] = analyzed
        draft.add(transform.id, "splits_config.analyze", SAME, f"transform_options.analyze: {analyzed}")
    if config.get("transform"):
        draft.add(
            transform.id, "splits_config.transform", DIFFERS, "rows are transformed as they are read, of any split"
        )


def _steps(draft: Draft, trainer: Node) -> None:
    hyperparameters = draft.parameters.setdefault("hyperparameters", {})
    for name, setting, split in (("train_args", "train_steps", TRAIN), ("eval_args", "eval_steps", EVAL)):
        given = trainer.given.get(name) or {}
        if given.get("splits", [split]) != [split]:
            draft.block(trainer.id, f"{name}.splits", f"expected {split}, not {', '.join(given['splits'])}")
        if steps := int(given.get("num_steps") or 0):
            hyperparameters[setting] = steps
            draft.add(trainer.id, f"{name}.num_steps", SAME, f"hyperparameters.{setting}: {steps}")


def _custom_config(draft: Draft, trainer: Node) -> None:
    config = trainer.given.get("custom_config") or {}
    plain = {name: value for name, value in config.items() if not _is_of_a_service(name)}
    for name in sorted(set(config) - set(plain)):
        here = "where tasks run is said by kfp, vertex and kubernetes in the settings"
        draft.add(trainer.id, f"custom_config.{name}", DIFFERS, here)
    if plain:
        draft.parameters["hyperparameters"] |= plain
        draft.add(trainer.id, "custom_config", SAME, f"hyperparameters: {', '.join(plain)}")


def _is_of_a_service(name: str) -> bool:
    return name.startswith(("ai_platform_", "ucaip_", "vertex_"))


def _executor(draft: Draft, trainer: Node) -> None:
    if "google_cloud_ai_platform" in trainer.executor:
        here = "a step of the pipeline, on any target; vertex in the settings says which machine"
        draft.add(trainer.id, "executor", DIFFERS, here)
    elif not trainer.executor.startswith("tfx.components.trainer.executor."):
        draft.block(trainer.id, "executor", f"{trainer.executor} trains; expected run_fn of a module")


def _tuning(draft: Draft, pipeline: Pipeline, trainer: Node) -> None:
    for wanted in trainer.producers("hyperparameters"):
        tuner = pipeline.node(wanted)
        if tuner is None or "Tuner" not in tuner.bases:
            draft.done.add(wanted)
            here = "write the values it imports into hyperparameters"
            draft.add(trainer.id, f"hyperparameters from {wanted}", DIFFERS, here)
            continue
        _search(draft, tuner, trainer)


def _search(draft: Draft, tuner: Node, trainer: Node) -> None:
    named = [node.given.get("module_file") for node in (tuner, trainer)]
    if tuner.given.get("tuner_fn") or named[0] != named[1]:
        draft.block(tuner.id, "module_file", "tuner_fn must be in the module of run_fn")
        return
    draft.parameters["tuning"] = {"trials": 0}
    draft.add(tuner.id, "Tuner", SAME, "tuning: as many trials as its tuner says; the best reach run_fn")
    parallel = int((tuner.given.get("tune_args") or {}).get("num_parallel_trials") or 1)
    if parallel > 1:
        draft.parameters["tuning"]["parallel"] = parallel
        draft.add(tuner.id, "num_parallel_trials", SAME, f"tuning.parallel: {parallel}")
    steps = int((tuner.given.get("train_args") or {}).get("num_steps") or 0)
    if steps and steps != draft.parameters["hyperparameters"].get("train_steps"):
        here = f"trials train for hyperparameters.train_steps, not for {steps}"
        draft.add(tuner.id, "train_args.num_steps", DIFFERS, here)
    if config := tuner.given.get("custom_config"):
        draft.add(tuner.id, "custom_config", DIFFERS, f"hyperparameters: {', '.join(config)} as the Trainer has them")
