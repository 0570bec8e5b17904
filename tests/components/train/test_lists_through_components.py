"""Columns of lists go through every component from ingest to predictions, as Parquet and as TFRecord."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import ingesting
import list_examples
import small_examples
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.evaluate import work as evaluate
from kfp_ct.components.predict_batch import work as predict_batch
from kfp_ct.components.schema import work as schema
from kfp_ct.components.statistics import work as statistics
from kfp_ct.components.train import work as train
from kfp_ct.components.transform import work as transform
from kfp_ct.components.tune import work as tune
from kfp_ct.components.validate_data import work as validate_data
from kfp_ct.components.validate_data.settings import Parameters
from kfp_ct.data import batches, layouts
from kfp_ct.serving.errors import InvalidRequestError
from kfp_ct.serving.saved_model import SavedModel


@pytest.fixture(scope="module", params=["parquet", "tfrecord"])
def trained(request, tmp_path_factory):
    """A folder with what each component left."""
    root = tmp_path_factory.mktemp(request.param)
    pyarrow.parquet.write_table(list_examples.table(), root / "rows.parquet")
    ingesting.ingest(root, str(root / "rows.parquet"), options={"format": request.param})
    examples = str(root / "out")
    statistics.write_statistics(examples, str(root / "stats"), str(root / "stats.html"), [])
    schema.write_schema(str(root / "stats"), str(root / "schema"), "")
    schema_file = str(root / "schema/schema.pbtxt")
    outputs = validate_data.Outputs(str(root / "anomalies"), str(root / "anomalies.html"))
    validate_data.validate(validate_data.Inputs(str(root / "stats"), str(root / "schema")), outputs, Parameters())
    module = small_examples.write_text(root / "list_features.py", list_examples.FEATURES)
    asked = transform.TransformRequest(examples, schema_file, module)
    transform.analyze(asked, str(root / "graph"))
    transform.write_examples(asked, str(root / "graph"), str(root / "transformed"), materialize=True)
    module = small_examples.write_text(root / "list_model.py", list_examples.MODEL)
    request = train.TrainingRequest(examples, str(root / "graph"), schema_file, str(root / "none"), module)
    train.train(request, str(root / "model"), str(root / "run"))
    return root


def test_statistics_count_values_and_the_schema_knows_the_shape(trained):
    features = {feature.name: feature for feature in batches.read_schema(trained / "schema/schema.pbtxt").feature}
    assert [dim.size for dim in features["vector"].shape.dim] == [4]
    assert [dim.size for dim in features["image"].shape.dim] == [3, 2]
    assert {name for name, feature in features.items() if batches.is_list_feature(feature)} == {
        "vector", "image", "tokens", "tags",
    }  # fmt: skip
    specs = batches.feature_specs(batches.read_schema(trained / "schema/schema.pbtxt"))
    assert {name: type(spec).__name__ for name, spec in specs.items() if name in ("vector", "tokens", "tags")} == {
        "vector": "FixedLenFeature", "tokens": "VarLenFeature", "tags": "VarLenFeature",
    }  # fmt: skip
    kinds = layouts.read_manifest(trained / "out").columns
    assert specs["image"].shape == [3, 2]
    assert kinds["photo"] == "bytes"
    assert kinds["tags"] == "string[]"


def test_a_model_of_lists_learns_and_is_judged_on_slices_of_every_value(trained):
    config = small_examples.write_text(trained / "eval_config.pbtxt", list_examples.EVAL_CONFIG)
    request = evaluate.EvaluationRequest(
        str(trained / "out"), str(trained / "schema/schema.pbtxt"), str(trained / "model"), str(trained / "none"),
        "", config, {"metric": "auc"},
    )  # fmt: skip
    outputs = evaluate.Outputs(str(trained / "evaluation"), str(trained / "blessing"), str(trained / "view.html"))
    assert evaluate.evaluate(request, outputs).blessed
    sizes = {
        row["slice"]: row["rows"] for row in json.loads((trained / "evaluation/summary.json").read_text())["slices"]
    }
    tags = [row["tags"] for row in ingesting.table(trained, "eval").to_pylist()]
    for name in ("red", "café"):
        assert sizes[f"tags={name}"] == sum(name in (each or ()) for each in tags)


def test_hyperparameters_are_searched_over_lists(trained, tmp_path):
    module = small_examples.write_text(tmp_path / "list_tuner.py", list_examples.MODEL + list_examples.TUNER)
    asked = tune.TuningRequest(
        str(trained / "out"), str(trained / "graph"), str(trained / "schema/schema.pbtxt"), module, {},
        {"trials": 2, "rows": 120},
    )  # fmt: skip
    assert tune.tune(asked, tune.Outputs(str(tmp_path / "trials"), str(tmp_path / "view.html"))) == {"rate": 0.05}
    learnt, idle = (each["score"] for each in layouts.read_json(tmp_path / "trials/summary.json")["trials"])
    assert learnt > 0.8 > 0.6 > idle


def test_the_service_takes_lists_of_lists_and_keeps_their_shape(trained):
    model = SavedModel(trained / "model/Format-Serving")
    rows = ingesting.table(trained, "eval").to_pylist()[:3]
    names = ("vector", "tags", "tokens")
    images = [np.array(row["image"]).reshape(3, 2).tolist() for row in rows]
    asked = [{name: row[name] for name in names} | {"image": each} for row, each in zip(rows, images, strict=True)]
    answered = model.predict(json.dumps({"instances": asked}).encode())
    assert answered.inputs["image"].shape == (3, 3, 2)
    expected = batches_of(trained, "serving_default")[:3]
    assert answered.outputs["probability"].ravel() == pytest.approx(expected, abs=1e-5)
    asked[1]["image"] = np.array(images[1]).T.tolist()
    with pytest.raises(InvalidRequestError, match="image"):
        model.predict(json.dumps({"instances": asked}).encode())


@pytest.mark.parametrize("shape", [(2, 3), (6,)], ids=["turned", "flat"])
def test_rows_of_another_shape_are_refused_before_they_are_scored(trained, tmp_path, shape):
    table = list_examples.table(60)
    images = [np.array(each).reshape(shape).tolist() for each in table["image"].to_pylist()]
    table = table.set_column(table.schema.get_field_index("image"), "image", pa.array(images))
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    ingesting.ingest(tmp_path, str(tmp_path / "rows.parquet"), split={"method": "none"})
    asked = predict_batch.PredictionRequest(str(tmp_path / "out"), str(trained / "model"), "1", ["id"])
    if shape == (6,):  # its values in order, as TFX has them
        assert predict_batch.predict(asked, {}, str(tmp_path / "scored"))
        return
    with pytest.raises(ConfigurationError, match=r"(?s)image.*shape 2 × 3.*takes 3 × 2"):
        predict_batch.predict(asked, {}, str(tmp_path / "scored"))


@pytest.mark.parametrize("signature", ["serving_default", "serving_examples"])
def test_both_signatures_predict_the_same_of_lists(trained, tmp_path, signature):
    model = batches_of(trained, signature)
    assert model == pytest.approx(batches_of(trained, "serving_default"), abs=1e-6)
    assert len(model) == ingesting.table(trained, "eval").num_rows


def test_rows_of_lists_are_scored_in_batches(trained, tmp_path):
    ingesting.ingest(tmp_path, str(trained / "rows.parquet"), split={"method": "none"})
    asked = predict_batch.PredictionRequest(str(tmp_path / "out"), str(trained / "model"), "1", ["id"])
    written = predict_batch.predict(asked, {}, str(tmp_path / "scored"))
    files = layouts.split_files(written.folder, "predict")
    scored = pyarrow.parquet.read_table(files[0]).to_pylist()
    found = {row["id"]: row["probability"] for row in scored}
    ids = ingesting.table(trained, "eval")["id"].to_pylist()
    assert [found[each] for each in ids] == pytest.approx(batches_of(trained, "serving_default"), abs=1e-6)


def batches_of(root, signature: str) -> list[float]:
    from kfp_ct.data.saved_model import Role, SavedModel

    table = ingesting.table(root, "eval").combine_chunks()
    model = SavedModel(str(root / "model"), signature, table.column_names, Role("the model"))
    return [float(value) for batch in table.to_batches() for value in model.run(batch)["probability"].ravel()]
