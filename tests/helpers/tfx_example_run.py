"""Runs a module for TFX through the components, in a process of its own: `python -m tfx_example_run EXAMPLES FOLDER`.

FOLDER has `case.json`; `result.json` says whether the model is blessed, and how many rows it answers without the label.
"""

import json
import sys
from pathlib import Path

from kfp_ct.components.evaluate import work as evaluate
from kfp_ct.components.ingest import work as ingest
from kfp_ct.components.schema import work as schema
from kfp_ct.components.statistics import work as statistics
from kfp_ct.components.train import work as train
from kfp_ct.components.transform import work as transform
from kfp_ct.components.tune import work as tune
from kfp_ct.components.validate_data import work as validate_data
from kfp_ct.components.validate_data.settings import Parameters
from kfp_ct.data import layouts, reading
from kfp_ct.data.saved_model import Role, SavedModel


def run(folder: Path, root: Path) -> dict:
    case = json.loads((root / "case.json").read_text())
    (root / "rows.sql").write_text(case["query"])
    key = "id" if case["rows"] != "taxi" else "trip_start_timestamp"
    split = {"method": "hash", "columns": [key], "eval_fraction": 0.3}
    request = ingest.IngestRequest({"rows": {"uri": case["uri"]}}, str(root / "rows.sql"), split)
    ingest.ingest(request, root / "examples")
    examples, schema_file = str(root / "examples"), str(root / "schema/schema.pbtxt")
    statistics.write_statistics(examples, str(root / "statistics"), str(root / "statistics.html"), [])
    curated = str(folder / case["schema"]) if case["schema"] else ""
    schema.write_schema(str(root / "statistics"), str(root / "schema"), curated)
    outputs = validate_data.Outputs(str(root / "anomalies"), str(root / "anomalies.html"))
    inputs = validate_data.Inputs(str(root / "statistics"), str(root / "schema"))
    validate_data.validate(inputs, outputs, Parameters())
    module, graph = str(folder / case["module"]), str(root / "graph")
    transform.analyze(transform.TransformRequest(examples, schema_file, module), graph)
    asked = tune.TuningRequest(examples, graph, schema_file, module, case["hyperparameters"], case["tuning"])
    chosen = tune.tune(asked, tune.Outputs(str(root / "trials"), str(root / "trials.html")))
    fitted = train.TrainingRequest(examples, graph, schema_file, str(root / "none"), module, chosen)
    trained = train.train(fitted, str(root / "model"), str(root / "run"))
    (root / "evaluation.pbtxt").write_text(case["evaluation"])
    judged = evaluate.evaluate(
        evaluate.EvaluationRequest(
            examples, schema_file, str(root / "model"), str(root / "none"), "", str(root / "evaluation.pbtxt"),
            case["gates"],
        ),
        evaluate.Outputs(str(root / "evaluation"), str(root / "blessing"), str(root / "evaluation.html")),
    )  # fmt: skip
    return {"blessed": judged.blessed, "epochs": trained.get("epochs"), **served(root, case)}


def served(root: Path, case: dict) -> dict:
    """Asks the model without its label, as a client does."""
    batch = next(reading.iter_batches(layouts.split_files(root / "examples", "eval")))
    label = {"taxi": "tips", "penguin": "species", "imdb": "label", "mnist": "image_class"}[case["rows"]]
    names = [name for name in batch.schema.names if name != label]
    model = SavedModel(str(root / "model"), "serving_default", names, Role("the model"))
    asked = batch.select(names) if hasattr(batch, "select") else batch
    answers = model.run(asked)
    return {"rows": batch.num_rows, "served": len(answers[model.outputs[0]])}


if __name__ == "__main__":
    made = run(Path(sys.argv[1]), Path(sys.argv[2]))
    Path(sys.argv[2], "result.json").write_text(json.dumps(made))
