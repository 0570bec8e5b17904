"""What stands around the training: schema, validators, Pusher, BulkInferrer, resolvers, components of one's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp_ct.new.from_tfx.draft import DIFFERS, MISSING, SAME, Draft
from kfp_ct.new.from_tfx.inspected import Node, Pipeline

SCHEMA = "schema.pbtxt"
_ADDED = {
    "ExampleValidator": "validate_data runs all the same, and stops at an anomaly",
    "InfraValidator": "validate_infra runs all the same: a model answers through the service before it is deployed",
    "Pusher": "deploy publishes blessed models; a run without it is no run of pipelines.training",
}
_LOCAL_RUNNERS = ("", "DirectRunner", "direct", "PrismRunner")


def draw(draft: Draft, pipeline: Pipeline) -> None:
    """Draws up all nodes that no other module has spoken of."""
    for node in pipeline.nodes:
        if node.id not in draft.done:
            _by_kind(node)(draft, node)
        if node.conditions and "Pusher" not in node.bases:
            draft.block(node.id, "Cond", "its condition is known in a run only; a step runs always, deploy if blessed")
        if node.contexts:
            draft.block(node.id, ", ".join(node.contexts), "a component that runs several times in a pipeline")
    for kind, here in _ADDED.items():
        if not pipeline.of_kind(kind):
            draft.add(f"no {kind}", "", DIFFERS, here)
    _beam(draft, pipeline)


def schema(draft: Draft, node: Node | None) -> str:
    """Draws up the schema; returns its text if it comes with the pipeline."""
    if node is None or "SchemaGen" in node.bases:
        name = node.id if node else "no SchemaGen"
        draft.add(
            name,
            "",
            SAME if node else DIFFERS,
            "inferred over all splits, in every run; schema_file names a curated one",
        )
        if node and not node.given.get("infer_feature_shape", 1):
            here = "a column that has one value in every row is inferred as one value, not as a list of any length"
            draft.add(node.id, "infer_feature_shape: false", DIFFERS, here)
        return ""
    named = node.given.get("schema_file") or node.given.get("source_uri")
    path = Path(str(named))
    path = path / SCHEMA if path.is_dir() else path
    if not path.is_file():
        draft.block(node.id, "schema_file", f"there is no file {named} on this machine")
        return ""
    draft.files[SCHEMA] = path.read_text()
    draft.parameters["schema_file"] = f"{draft.folder}/{SCHEMA}"
    draft.add(node.id, "schema_file", SAME, f"schema_file: {draft.folder}/{SCHEMA}, copied")
    return draft.files[SCHEMA]


def _by_kind(node: Node) -> Callable[[Draft, Node], None]:
    table = {
        "StatisticsGen": _statistics,
        "ExampleValidator": _validator,
        "InfraValidator": _infra,
        "Pusher": _pusher,
        "BulkInferrer": _bulk,
        "Resolver": _resolver,
    }
    return next((function for kind, function in table.items() if kind in node.bases), _unknown)


def _statistics(draft: Draft, node: Node) -> None:
    draft.add(node.id, "", SAME, "statistics")
    if node.given.get("stats_options_json"):
        draft.add(node.id, "stats_options", MISSING, "statistics are of all rows and columns, by TFDV's defaults")
    if node.given.get("exclude_splits"):
        draft.add(node.id, "exclude_splits", DIFFERS, "statistics are of every split")


def _validator(draft: Draft, node: Node) -> None:
    draft.add(node.id, "", DIFFERS, "validate_data: an anomaly stops the run, which TFX only records")
    if excluded := node.given.get("exclude_splits"):
        draft.parameters["severities"] = dict.fromkeys(excluded, "skip")
        draft.add(node.id, "exclude_splits", SAME, f"severities: {', '.join(f'{each}: skip' for each in excluded)}")
    if node.given.get("custom_validation_config"):
        draft.add(node.id, "custom_validation_config", MISSING, "write it as tests of the project, or into the schema")


def _infra(draft: Draft, node: Node) -> None:
    draft.add(node.id, "", SAME, "validate_infra, asked as clients ask")
    serving = (node.given.get("serving_spec") or {}).get("tensorflow_serving") or {}
    for tag in serving.get("tags", []):
        here = f"this project's service is asked; infra.server: docker:tensorflow/serving:{tag} asks TF Serving"
        draft.add(node.id, f"tensorflow_serving {tag}", DIFFERS, here)
    if (node.given.get("request_spec") or {}).get("make_warmup"):
        draft.add(
            node.id, "make_warmup", DIFFERS, "train writes warm-up requests into every model, of warm_up_rows eval rows"
        )


def _pusher(draft: Draft, node: Node) -> None:
    filesystem = ((node.given.get("push_destination") or {}).get("filesystem") or {}).get("base_directory", "")
    if filesystem:
        here = f"<serving_root>/{draft.name}/<version>; serving_root: {Path(filesystem).parent} publishes beside TFX's"
    else:
        here = "a folder on this machine; serving.target names others (kubernetes, kserve), vertex Vertex AI"
    draft.add(node.id, "push_destination", DIFFERS, here)
    if not any(node.inputs.get(name) for name in ("model_blessing", "infra_blessing")) and not node.conditions:
        draft.add(node.id, "no blessing", DIFFERS, "only blessed models are deployed")


def _bulk(draft: Draft, node: Node) -> None:
    draft.add(node.id, "", DIFFERS, "a settings file of pipelines.batch_prediction: see docs/from-tfx.md")
    draft.done.update(node.producers("examples"))
    for producer in node.producers("examples"):
        draft.add(producer, "", DIFFERS, "the sources of that settings file")


def _resolver(draft: Draft, node: Node) -> None:
    strategy = str(node.given.get("resolver_class", "")).rpartition(".")[2]
    if "cache" in node.inputs:
        draft.add(node.id, strategy, DIFFERS, "the cache of steps takes its place")
    elif "model" in node.inputs:
        draft.add(node.id, strategy, DIFFERS, "the registry's champion is the model that others are measured by")
    else:
        draft.add(node.id, strategy, MISSING, f"it finds {', '.join(node.inputs)} of other runs")


def _unknown(draft: Draft, node: Node) -> None:
    own = "a component of one's own" if not node.kind.startswith("Example") else node.kind
    here = "left out: write it as a component (`ct new-component`) and wire it into pipelines/training.py"
    draft.add(node.id, own if own != node.id else "", MISSING, here)


def _beam(draft: Draft, pipeline: Pipeline) -> None:
    arguments = [each for each in pipeline.beam_pipeline_args if each.strip()]
    runner = next((each.partition("=")[2] for each in arguments if each.startswith("--runner=")), "")
    if not arguments:
        return
    kept: dict[str, Any] = {} if runner in _LOCAL_RUNNERS else {"beam_pipeline_args": arguments}
    draft.parameters |= kept
    here = f"beam_pipeline_args, for {runner}" if kept else "left out: on this machine steps need no runner of Beam's"
    draft.add("Pipeline", "beam_pipeline_args", SAME if kept else DIFFERS, here)
