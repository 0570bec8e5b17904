"""TFX's pipeline of a workload of peer.py: ExampleGen to Pusher, Beam in memory; prints the eval split's AUC as JSON.

Runs in a component environment with tfx: `python benchmarks/peer_tfx.py WORKLOAD WORKSPACE STEPS`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import tensorflow_model_analysis as tfma
from google.protobuf import text_format
from tfx import v1 as tfx

MODULES = {"year": "pipelines.year.module", "taxi": "tfx.examples.chicago_taxi_pipeline.taxi_utils"}
# By name: Beam's default runner first tries to download another one.
IN_PROCESS = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def main(workload: str, workspace: Path, steps: int) -> None:
    """Runs the pipeline below the workspace."""
    root = workspace / "tfx"
    tfx.orchestration.LocalDagRunner().run(
        tfx.dsl.Pipeline(
            pipeline_name=workload,
            pipeline_root=str(root / "root"),
            components=components(workload, workspace, steps),
            metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
                str(root / "metadata.db")
            ),
            beam_pipeline_args=[IN_PROCESS],
        )
    )
    evaluation = next((root / "root" / "Evaluator" / "evaluation").iterdir())
    _, metrics = next(iter(each for each in tfma.load_eval_result(str(evaluation)).slicing_metrics if each[0] == ()))
    print(json.dumps({"auc": metrics[""][""]["auc"]["doubleValue"]}))


def components(workload: str, workspace: Path, steps: int) -> list[Any]:
    """Returns the pipeline's components."""
    # By import path: of a module_file TFX builds wheels and installs them by pip, which not every environment has.
    module = MODULES[workload]
    splits = [
        tfx.proto.Input.Split(name=name, pattern=f"{name}/*.csv") for name in ("train", "eval")
    ]  # fmt: skip
    data = str(workspace / ".ct" / "data" / "tfx")
    config_file = workspace / "pipelines" / workload / "eval_config.pbtxt"
    config = text_format.Parse(config_file.read_text(), tfma.EvalConfig())
    examples = tfx.components.CsvExampleGen(input_base=data, input_config=tfx.proto.Input(splits=splits))
    statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
    given = workspace / "pipelines" / workload / "schema.pbtxt"
    schema = (
        tfx.components.ImportSchemaGen(schema_file=str(given))
        if given.is_file()
        else tfx.components.SchemaGen(statistics=statistics.outputs["statistics"])
    )
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    transform = tfx.components.Transform(
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn=f"{module}.preprocessing_fn",
    )
    trainer = tfx.components.Trainer(
        run_fn=f"{module}.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema.outputs["schema"],
        train_args=tfx.proto.TrainArgs(num_steps=steps),
        eval_args=tfx.proto.EvalArgs(num_steps=150),
    )
    evaluator = tfx.components.Evaluator(
        examples=examples.outputs["examples"], model=trainer.outputs["model"], eval_config=config
    )
    destination = tfx.proto.PushDestination.Filesystem(base_directory=str(workspace / "tfx" / "serving"))
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(filesystem=destination),
    )
    return [examples, statistics, schema, validator, transform, trainer, evaluator, pusher]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
