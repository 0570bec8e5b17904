"""Evaluator: its EvalConfig as a file, and what else decides whether a model is blessed."""

from typing import Any

from google.protobuf import text_format

from kfp_ct.components.evaluate import eval_config
from kfp_ct.data import message_texts
from kfp_ct.data.layouts import EVAL, TRAIN
from kfp_ct.new.from_tfx import modules
from kfp_ct.new.from_tfx.draft import DIFFERS, MISSING, SAME, Draft
from kfp_ct.new.from_tfx.inspected import Node, Pipeline

FILE = "eval_config.pbtxt"
_TASKS = (
    ("multiclass", ("Categorical", "MultiClass")),
    ("binary", ("Binary", "AUC", "Precision", "Recall", "Calibration")),
    ("regression", ("MeanSquared", "MeanAbsolute", "RootMeanSquared", "SquaredPearson")),
)


def draw(draft: Draft, pipeline: Pipeline, evaluator: Node | None) -> None:
    """Draws up the evaluation config and the gates."""
    if evaluator is None:
        draft.block("Evaluator", "", "no model is deployed without an evaluation; give the pipeline an Evaluator")
        return
    given = evaluator.given.get("eval_config")
    if not isinstance(given, dict) or "placeholder" in given:
        draft.block(evaluator.id, "eval_config", "it has none, or one that is known in a run only")
        return
    config = message_texts.from_dict(given, message_texts.EVAL_CONFIG)
    text = text_format.MessageToString(config)
    for problem in eval_config.problems(text):
        draft.block(evaluator.id, "eval_config", problem)
    function = next((each for each in pipeline.config_functions if each.config == given), None)
    if function and (reference := modules.of_function(draft, function.file)):
        draft.parameters["eval_config"] = f"{reference}:{function.function}"
    else:
        draft.files[FILE] = text
        draft.parameters["eval_config"] = f"{draft.folder}/{FILE}"
    draft.add(evaluator.id, "eval_config", SAME, f"eval_config: {draft.parameters['eval_config']}")
    _label(draft, evaluator, config)
    _task(draft, evaluator, config)
    _baseline(draft, pipeline, evaluator)
    _others(draft, evaluator)


def _label(draft: Draft, evaluator: Node, config: Any) -> None:
    made = any(spec.preprocessing_function_names for spec in config.model_specs)
    labels = {spec.label_key for spec in config.model_specs if spec.label_key}
    if made:
        here = "label: none, since preprocessing makes it; with the raw column's name it must be there in every split"
        draft.add(evaluator.id, "label_key", DIFFERS, here)
    elif len(labels) == 1:
        draft.parameters["label"] = labels.pop()
        draft.add(evaluator.id, "label_key", SAME, f"label: {draft.parameters['label']}")


def _task(draft: Draft, evaluator: Node, config: Any) -> None:
    names = [metric.class_name for spec in config.metrics_specs for metric in spec.metrics]
    found = [task for task, marks in _TASKS if any(mark in name for name in names for mark in marks)]
    if found:
        draft.parameters.setdefault("gates", {})["task"] = found[0]
        draft.add(evaluator.id, "task", DIFFERS, f"gates.task: {found[0]}, from the metrics' names; TFX has no tasks")


def _baseline(draft: Draft, pipeline: Pipeline, evaluator: Node) -> None:
    draft.done.update(evaluator.producers("baseline_model"))
    if evaluator.inputs.get("baseline_model"):
        resolver = next((pipeline.node(each) for each in evaluator.producers("baseline_model")), None)
        strategy = str(resolver.given.get("resolver_class", "")).rpartition(".")[2] if resolver else ""
        blessed = "Blessed" in strategy or (resolver is not None and "model_blessing" in resolver.inputs)
        here = "the registry's champion" if blessed else f"the registry's champion, not what {strategy or 'it'} finds"
        draft.add(evaluator.id, "baseline_model", SAME if blessed else DIFFERS, here)
    else:
        draft.add(
            evaluator.id, "no baseline_model", DIFFERS, "a model must not be worse than the champion, by the gates"
        )


def _splits(draft: Draft, evaluator: Node) -> None:
    splits = evaluator.given.get("example_splits") or [EVAL]
    if TRAIN in splits:
        draft.block(evaluator.id, "example_splits", "train is what the model has learnt; it is judged on other splits")
    elif splits != [EVAL]:
        draft.parameters.setdefault("gates", {})["example_splits"] = splits
        draft.add(evaluator.id, "example_splits", SAME, f"gates.example_splits: {splits}")


def _extractors(draft: Draft, evaluator: Node) -> None:
    """The module of custom_extractors and custom_eval_shared_model."""
    named = str(evaluator.given.get("module_file") or evaluator.given.get("module_path"))
    placed = modules.of_evaluator(draft, named)
    if not placed:
        draft.block(evaluator.id, "module_file", f"there is no file {named} on this machine")
        return
    draft.parameters.setdefault("gates", {})["extractors"] = placed
    draft.add(evaluator.id, "module_file", SAME, f"gates.extractors: {placed}; models are SavedModels")


def _others(draft: Draft, evaluator: Node) -> None:
    _splits(draft, evaluator)
    if evaluator.given.get("module_file") or evaluator.given.get("module_path"):
        _extractors(draft, evaluator)
    if evaluator.given.get("feature_slicing_spec"):
        draft.add(evaluator.id, "feature_slicing_spec", MISSING, "write slicing_specs into the EvalConfig")
    if evaluator.given.get("fairness_indicator_thresholds"):
        here = "write metrics { class_name: 'FairnessIndicators' } into the EvalConfig"
        draft.add(evaluator.id, "fairness_indicator_thresholds", MISSING, here)
