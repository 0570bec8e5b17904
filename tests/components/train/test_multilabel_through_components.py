"""A table with any number of labels a row goes from CSV to a blessed, served model and to predictions."""

import json

import pyarrow.parquet
import pytest

import ingesting
import label_list_examples as films
import small_examples
from kfp_ct.components.evaluate import work as evaluate
from kfp_ct.components.predict_batch import work as predict_batch
from kfp_ct.components.schema import work as schema
from kfp_ct.components.statistics import work as statistics
from kfp_ct.components.train import work as train
from kfp_ct.components.transform import work as transform
from kfp_ct.components.validate_infra import work as validate_infra
from kfp_ct.data import layouts
from kfp_ct.models import blessing
from kfp_ct.serving.saved_model import SavedModel
from served_answers import FEW


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A folder with what each component left."""
    root = tmp_path_factory.mktemp("films")
    (root / "films.csv").write_text(films.csv())
    ingesting.ingest(root, str(root / "films.csv"), films.QUERY)
    examples, schema_file = str(root / "out"), str(root / "schema/schema.pbtxt")
    statistics.write_statistics(examples, str(root / "stats"), str(root / "stats.html"), [])
    schema.write_schema(str(root / "stats"), str(root / "schema"), "")
    asked = transform.TransformRequest(
        examples, schema_file, small_examples.write_text(root / "film_features.py", films.FEATURES)
    )
    transform.analyze(asked, str(root / "graph"))
    transform.write_examples(asked, str(root / "graph"), str(root / "transformed"), materialize=False)
    module = small_examples.write_text(root / "film_model.py", films.MODEL)
    request = train.TrainingRequest(examples, str(root / "graph"), schema_file, str(root / "none"), module)
    train.train(request, str(root / "model"), str(root / "run"))
    config = small_examples.write_text(root / "eval_config.pbtxt", films.EVAL_CONFIG)
    request = evaluate.EvaluationRequest(
        examples, schema_file, str(root / "model"), str(root / "none"), "", config, {"classes": films.GENRES}
    )
    outputs = evaluate.Outputs(str(root / "evaluation"), str(root / "blessing"), str(root / "view.html"))
    assert evaluate.evaluate(request, outputs).blessed
    return root


def test_every_class_and_slice_is_judged(judged):
    report = json.loads((judged / "evaluation/summary.json").read_text())
    genres = [row["genres"] for row in ingesting.table(judged, "eval").to_pylist()]
    assert report["task"] == "multilabel"
    drawn = report["curves"]["challenger"]["labels"]
    assert dict(zip(drawn["names"], drawn["rows"], strict=True)) == {
        name: sum(name in each for each in genres) for name in films.GENRES
    }
    metrics = report["metrics"]["challenger"]
    assert drawn["auc"] == pytest.approx([metrics[f"auc_class_{number}"] for number in range(3)])
    assert {row["slice"]: row["rows"] for row in report["slices"]}["genres=drama"] == drawn["rows"][2]
    assert all('<th scope="row">' + name in (judged / "view.html").read_text() for name in films.GENRES)


@pytest.mark.usefixtures("real_interpreter")
def test_the_served_model_gives_a_probability_for_every_class(judged):
    model = str(judged / "model")
    request = validate_infra.InfraRequest(
        str(judged / "out"), model, str(judged / "none"), "", str(judged / "blessing"), FEW
    )
    outputs = validate_infra.Outputs(str(judged / "final"), str(judged / "infra"), str(judged / "infra.html"))
    assert validate_infra.validate(request, outputs).blessed
    assert blessing.require(judged / "final", model).blessed

    rows = ingesting.table(judged, "eval").to_pylist()[:5]
    asked = {"instances": [{name: row[name] for name in ("budget", "length")} for row in rows]}
    answers = SavedModel(judged / "model/Format-Serving").predict(json.dumps(asked).encode()).outputs["genres"]
    ingesting.ingest(judged, str(judged / "films.csv"), films.QUERY, split={"method": "none"}, out="all")
    batch = predict_batch.PredictionRequest(str(judged / "all"), model, "1", ["id"])
    written = predict_batch.predict(batch, {}, str(judged / "scored"))
    scored = pyarrow.parquet.read_table(layouts.split_files(written.folder, "predict")[0]).to_pylist()
    found = {row["id"]: row["genres"] for row in scored}
    assert [found[row["id"]] for row in rows] == pytest.approx([pytest.approx(each) for each in answers.tolist()])
