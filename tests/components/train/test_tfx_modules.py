"""TFX's example modules, as its wheel ships them: unchanged through ingest, transform, train and evaluate."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import small_examples
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.evaluate import work as evaluate
from kfp_ct.components.ingest import work as ingest
from kfp_ct.components.schema import work as schema
from kfp_ct.components.statistics import work as statistics
from kfp_ct.components.train import work as train
from kfp_ct.components.transform import work as transform
from kfp_ct.data import layouts, reading, user_code
from kfp_ct.data.saved_model import Role, SavedModel

SPEC = importlib.util.find_spec("tfx")
TFX = Path(SPEC.origin).parent if SPEC and SPEC.origin else Path("tfx is not installed")
with_tfx = pytest.mark.skipif(SPEC is None, reason="tfx is not installed: it needs glibc 2.38 or macOS on arm64")
# The modules' own: Keras warns of arguments that they pass it.
their_warnings = pytest.mark.filterwarnings("ignore::UserWarning")
without_tfx = pytest.mark.skipif(SPEC is not None, reason="tfx is installed")

TAXI = "tfx.examples.chicago_taxi_pipeline.taxi_utils_native_keras"
PENGUIN = "tfx.examples.penguin.penguin_utils_keras"
TAXI_EVALUATION = """
model_specs { label_key: "big_tipper" signature_name: "serving_default" }
slicing_specs { feature_keys: "trip_start_hour" }
metrics_specs { metrics { class_name: "AUC" } metrics { class_name: "BinaryAccuracy" } }
"""
PENGUIN_EVALUATION = """
model_specs { label_key: "species" signature_name: "serving_default" }
metrics_specs { metrics { class_name: "SparseCategoricalAccuracy" threshold {
  value_threshold { lower_bound { value: 0.8 } } } } }
"""


def ingested(root, uri, query, split, storage):
    request = ingest.IngestRequest(
        {"rows": {"uri": str(uri)}}, small_examples.write_text(root / "rows.sql", query), split,
        options={"format": storage},
    )  # fmt: skip
    ingest.ingest(request, root / "examples")
    return str(root / "examples")


def trained(examples, schema_file, module, root, **hyperparameters):
    graph = str(root / "graph")
    transform.analyze(transform.TransformRequest(examples, schema_file, module), graph)
    request = train.TrainingRequest(examples, graph, schema_file, "", module, hyperparameters)
    train.train(request, str(root / "model"), str(root / "run"))
    return str(root / "model")


def judged(examples, schema_file, model, root, config, **gates):
    config_file = small_examples.write_text(root / "evaluation.pbtxt", config)
    request = evaluate.EvaluationRequest(
        examples, schema_file, model, str(root / "none"), "", config_file, {"min_baseline_gain": 0.1, **gates}
    )
    outputs = evaluate.Outputs(str(root / "evaluation"), str(root / "blessing"), str(root / "page.html"))
    return evaluate.evaluate(request, outputs)


@with_tfx
@their_warnings
@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "storage"),
    [
        pytest.param(TAXI, "parquet", id="by import path, on Parquet"),
        pytest.param(str(TFX / "examples/chicago_taxi_pipeline/taxi_utils_native_keras.py"), "tfrecord",
                     id="by file, on TFRecord"),
    ],
)  # fmt: skip
def test_the_taxi_module_trains_a_model_that_is_blessed(module, storage, tmp_path):
    csv = TFX / "examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv"
    # The inferred schema has every column required that no row of the train split lacks.
    query = "SELECT * FROM rows WHERE fare IS NOT NULL AND pickup_community_area IS NOT NULL"
    split = {"method": "hash", "columns": ["trip_start_timestamp"], "eval_fraction": 0.2}
    examples = ingested(tmp_path, csv, query, split, storage)
    statistics.write_statistics(examples, str(tmp_path / "statistics"), str(tmp_path / "page.html"), [])
    schema.write_schema(str(tmp_path / "statistics"), str(tmp_path / "schema"), "")
    schema_file = str(tmp_path / "schema" / layouts.SCHEMA)
    model = trained(examples, schema_file, module, tmp_path, train_steps=200, eval_steps=10)

    assert judged(examples, schema_file, model, tmp_path, TAXI_EVALUATION).blessed


@with_tfx
@their_warnings
@pytest.mark.slow
def test_the_penguin_module_trains_a_model_that_answers_tf_examples(tmp_path):
    folder = TFX / "components/testdata/penguin"
    query = "SELECT *, CAST(1000 * culmen_length_mm AS BIGINT) AS key FROM rows"
    split = {"method": "hash", "columns": ["key"], "eval_fraction": 0.3}
    examples = ingested(tmp_path, folder / "data/Split-*/*.gz", query, split, "tfrecord")
    schema_file = str(folder / "schema/schema.pbtxt")
    path = trained(examples, schema_file, PENGUIN, tmp_path, train_steps=100, eval_steps=5)

    columns = list(layouts.read_manifest(examples).columns)
    model = SavedModel(path, "serving_default", columns, Role("the model", "name the species"))
    rows = next(reading.iter_batches(layouts.split_files(examples, "eval")))
    assert model.inputs == []  # serialised tf.Examples
    species = model.run(rows)[model.outputs[0]].argmax(axis=1)
    assert np.mean(species == rows.column("species").to_numpy()) > 0.8
    # It ends in logits, and says so to nobody: evaluate does not guess.
    with pytest.raises(ConfigurationError, match=r"gates\.model_output: logits"):
        judged(examples, schema_file, path, tmp_path, PENGUIN_EVALUATION)
    assert judged(examples, schema_file, path, tmp_path, PENGUIN_EVALUATION, model_output="logits").blessed


@without_tfx
@pytest.mark.parametrize("function", ["preprocessing_fn", "run_fn"])
def test_a_module_that_imports_tfx_is_told_where_tfx_runs(tmp_path, function):
    source = "from tfx.utils import io_utils\n\ndef run_fn(fn_args): ...\n"
    module = small_examples.write_text(tmp_path / "taxi.py", source)

    with pytest.raises(ConfigurationError) as refused:
        user_code.load_function(module, function)

    what, expected, fix = str(refused.value).splitlines()
    assert what == f"module {module} imports tfx, which is not installed in this component environment"
    assert expected.startswith("expected: glibc 2.38 or newer")
    assert fix.startswith("fix: run it in the image")


def test_a_module_that_imports_what_is_not_installed_is_told_how_to_add_it(tmp_path):
    module = small_examples.write_text(tmp_path / "boosted.py", "import no_such_library\n")

    with pytest.raises(ConfigurationError) as refused:
        user_code.load_module(module)

    what, expected, fix = str(refused.value).splitlines()
    assert what == f"module {module} imports no_such_library, which is not installed in the component environment"
    assert expected.startswith("expected:")
    assert "requirements/components-" in fix
