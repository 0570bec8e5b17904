"""Runs a module for TFX through the components, in a process of its own: `python -m tfx_example_run EXAMPLES FOLDER`.

FOLDER has `case.json`; `result.json` says whether the model is blessed, and how many rows it answers without the label.
"""

import asyncio
import base64
import json
import sys
from pathlib import Path

import httpx
from starlette.applications import Starlette

from kfp_ct.components.evaluate import work as evaluate
from kfp_ct.components.ingest import work as ingest
from kfp_ct.components.schema import work as schema
from kfp_ct.components.statistics import work as statistics
from kfp_ct.components.train import work as train
from kfp_ct.components.transform import work as transform
from kfp_ct.components.tune import work as tune
from kfp_ct.components.validate_data import work as validate_data
from kfp_ct.components.validate_data.settings import Parameters
from kfp_ct.data import batches, layouts, reading
from kfp_ct.serving.app import create_app
from kfp_ct.serving.batching import Batching
from kfp_ct.serving.limits import LOOPBACK_NAMES, Limits
from kfp_ct.serving.predictor import Predictor
from kfp_ct.serving.saved_model import SavedModel
from kfp_ct.serving.versions import Versions


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
    """Asks the service's REST API for rows without their label, as a client does; in this process."""
    batch = next(reading.iter_batches(layouts.split_files(root / "examples", "eval")))
    label = {"taxi": "tips", "penguin": "species", "imdb": "label", "mnist": "image_class"}[case["rows"]]
    asked = batches.to_examples(batch, [name for name in batch.schema.names if name != label])
    (root / "serving/m").mkdir(parents=True)
    (root / "serving/m/1").symlink_to(root / "model/Format-Serving")
    versions = Versions(root / "serving", SavedModel)
    versions.poll()
    predictor = Predictor(versions, Limits(1 << 26, 256, 1, LOOPBACK_NAMES), Batching("off"), None)
    answered = asyncio.run(_predict(create_app(predictor), asked))
    return {"rows": batch.num_rows, "served": len(answered["predictions"])}


async def _predict(app: Starlette, examples: list[bytes]) -> dict:
    instances = [{"b64": base64.b64encode(each).decode()} for each in examples]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        answer = await client.post("/v1/models/m:predict", json={"instances": instances}, timeout=600)
    assert answer.status_code == 200, answer.text
    return answer.json()


if __name__ == "__main__":
    made = run(Path(sys.argv[1]), Path(sys.argv[2]))
    Path(sys.argv[2], "result.json").write_text(json.dumps(made))
