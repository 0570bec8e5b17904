"""TFX's example modules, as its wheel ships them: unchanged through ingest, transform, train and evaluate."""

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import small_examples
from components import artifacts, batches, user_code
from components.errors import ConfigurationError
from components.evaluate import work as evaluate
from components.ingest import work as ingest
from components.saved_model import Role, SavedModel
from components.schema import work as schema
from components.statistics import work as statistics
from components.train import work as train
from components.transform import work as transform

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


def trained(examples, schema_file, module, root, **hyperparameters):
    graph = str(root / "graph")
    transform.analyze(transform.Request(examples, schema_file, module), graph)
    request = train.Request(examples, graph, schema_file, "", module, hyperparameters)
    train.train(request, str(root / "model"), str(root / "run"))
    return str(root / "model")


@pytest.fixture(scope="module")
def taxi(tmp_path_factory):
    """Trips from TFX's own CSV, with a schema inferred from them."""
    root = tmp_path_factory.mktemp("taxi")
    csv = TFX / "examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv"
    # The inferred schema has every column required that no row of the train split lacks.
    rows = "SELECT * FROM trips WHERE fare IS NOT NULL AND pickup_community_area IS NOT NULL"
    query = small_examples.write_text(root / "trips.sql", rows)
    split = {"method": "hash", "columns": ["trip_start_timestamp"], "eval_fraction": 0.2}
    ingest.ingest(ingest.Request({"trips": {"uri": str(csv)}}, query, split), root / "examples")
    statistics.write_statistics(str(root / "examples"), str(root / "statistics"), str(root / "page.html"), [])
    schema.write_schema(str(root / "statistics"), str(root / "schema"), "")
    return root, str(root / "examples"), str(root / "schema" / artifacts.SCHEMA)


@with_tfx
@their_warnings
@pytest.mark.slow
@pytest.mark.parametrize("module", [TAXI, str(TFX / "examples/chicago_taxi_pipeline/taxi_utils_native_keras.py")])
def test_the_taxi_module_trains_a_model_that_evaluate_can_judge(taxi, module, tmp_path):
    root, examples, schema_file = taxi
    model = trained(examples, schema_file, module, tmp_path, train_steps=200, eval_steps=10)
    config = small_examples.write_text(root / "evaluation.pbtxt", TAXI_EVALUATION)

    request = evaluate.Request(examples, schema_file, model, str(tmp_path), "", config, {"min_baseline_gain": 0.1})
    outputs = evaluate.Outputs(str(tmp_path / "evaluation"), str(tmp_path / "blessing"), str(tmp_path / "page.html"))
    result = evaluate.evaluate(request, outputs)

    assert result.blessed
    assert artifacts.read_json(tmp_path / "evaluation" / artifacts.SUMMARY)["rows"] > 1_000


@pytest.fixture(scope="module")
def penguins(tmp_path_factory):
    """Penguins from TFX's own TFRecords, with TFX's own schema."""
    folder = TFX / "components/testdata/penguin"
    schema_file = str(folder / "schema/schema.pbtxt")
    specs = {name: tf.io.FixedLenFeature([1], spec.dtype) for name, spec in _specs(schema_file).items()}
    tables = [_table(tf.io.parse_example(_records(folder / "data", split), specs)) for split in ("train", "eval")]
    return small_examples.write(tmp_path_factory.mktemp("penguins"), *tables), schema_file


def _specs(schema_file):
    return batches.feature_specs(batches.read_schema(schema_file))


def _records(folder, split):
    files = [str(file) for file in (folder / f"Split-{split}").glob("*.gz")]
    return list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())


def _table(features):
    return pa.table({name: values.numpy().reshape(-1) for name, values in features.items()})


@with_tfx
@their_warnings
@pytest.mark.slow
def test_the_penguin_module_trains_a_model_that_answers_tf_examples(penguins, tmp_path):
    examples, schema_file = penguins
    model = trained(examples, schema_file, PENGUIN, tmp_path, train_steps=100, eval_steps=5)

    columns = list(artifacts.read_manifest(examples).columns)
    loaded = SavedModel(model, "serving_default", columns, Role("the model", "name the species"))
    rows = next(artifacts.iter_batches(artifacts.split_files(examples, "eval")))
    species = loaded.run(rows)[loaded.outputs[0]].argmax(axis=1)
    assert loaded.inputs == []  # serialised tf.Examples
    assert np.mean(species == rows.column("species").to_numpy()) > 0.8


@without_tfx
@pytest.mark.parametrize("function", ["preprocessing_fn", "run_fn"])
def test_a_module_that_imports_tfx_is_told_where_tfx_runs(tmp_path, function):
    source = "from tfx import v1 as tfx\n\ndef run_fn(fn_args: tfx.components.FnArgs): ...\n"
    module = small_examples.write_text(tmp_path / "taxi.py", source)

    with pytest.raises(ConfigurationError) as refused:
        user_code.load_function(module, function)

    what, expected, mend = str(refused.value).splitlines()
    assert what == f"module {module} imports tfx, which is not installed in this component environment"
    assert expected.startswith("expected: glibc 2.38 or newer")
    assert mend.startswith("mend: run it in the image")


def test_a_module_that_imports_what_is_not_installed_is_told_how_to_add_it(tmp_path):
    module = small_examples.write_text(tmp_path / "boosted.py", "import no_such_library\n")

    with pytest.raises(ConfigurationError) as refused:
        user_code.load_module(module)

    what, expected, mend = str(refused.value).splitlines()
    assert what == f"module {module} imports no_such_library, which is not installed in the component environment"
    assert expected.startswith("expected:")
    assert "requirements/components-" in mend
