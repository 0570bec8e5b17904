"""The six tests that projects inherit: a sound project passes them all, a broken one fails the one it should."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_metadata.proto.v0 import schema_pb2

import small_examples
from kfp_ct.base.errors import ComponentError
from kfp_ct.data import batches
from kfp_ct.testing import losses, rows
from kfp_ct.testing.bench import CheckFailedError, Project
from kfp_ct.testing.model_tests import ModelTests

FEATURES = """
import tensorflow as tf
import tensorflow_transform as tft

def _dense(x, default):
    if isinstance(x, tf.SparseTensor):
        x = tf.sparse.to_dense(tf.SparseTensor(x.indices, x.values, [x.dense_shape[0], 1]), default)
    return tf.reshape(x, [-1])

def _score(x):
    x = _dense(x, float("nan"))
    return tf.where(tf.math.is_nan(x), 0.0, tf.clip_by_value(tft.scale_to_z_score(x), -4.0, 4.0))

def preprocessing_fn(inputs):
    return {
        "size_xf": _score(inputs["size"]),
        "weight_xf": _score(inputs["weight"]),
        "label": _dense(inputs["label"], 0),
    }
"""

MODEL = """
import keras
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public import tfxio

from kfp_ct.data import batches
from kfp_ct.data.transform_graph import TransformGraph

COLUMNS = ["size", "weight"]
NAMES = ["size_xf", "weight_xf"]

class Served(tf.Module):
    def __init__(self, model, output, specs):
        super().__init__()
        self.model, self.transform, self.specs = model, TransformGraph(output), specs

    def raw(self, columns):
        return self.predict(batches.to_features(columns, self.specs))

    def examples(self, examples):
        return self.predict(tf.io.parse_example(examples, self.specs))

    def predict(self, features):
        made = self.transform(features)
        return {"probability": self.model({name: made[name] for name in NAMES}, training=False)}

def run_fn(fn_args):
    settings = {"epochs": 2, "learning_rate": 0.01, **fn_args.hyperparameters}
    keras.utils.set_random_seed(1)
    options = tfxio.TensorFlowDatasetOptions(32, num_epochs=1, label_key="label")
    train = fn_args.data_accessor.tf_dataset_factory(fn_args.train_files, options)
    train = train.map(lambda x, y: ({name: x[name] for name in NAMES}, y))
    inputs = {name: keras.Input((), name=name) for name in NAMES}
    joined = keras.layers.Concatenate()([keras.ops.expand_dims(value, 1) for value in inputs.values()])
    hidden = keras.layers.Dense(64, activation="relu")(joined)
    hidden = keras.layers.Dense(64, activation="relu")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(keras.optimizers.Adam(settings["learning_rate"]), "binary_crossentropy", jit_compile=False)
    # One iterator for all epochs, as in the model that `ct new` writes.
    fit = {"steps_per_epoch": int(train.cardinality()), "epochs": settings["epochs"], "shuffle": False, "verbose": 0}
    model.fit(train.cache().repeat(), callbacks=fn_args.callbacks, **fit)
    known = batches.feature_specs(batches.read_schema(fn_args.schema_path), "SERVING")
    specs = {name: known[name] for name in COLUMNS}
    served = Served(model, tft.TFTransformOutput(fn_args.transform_graph_path), specs)
    columns = {name: tf.TensorSpec([None], spec.dtype, name) for name, spec in specs.items()}
    tf.saved_model.save(served, fn_args.serving_model_dir, signatures={
        "serving_default": tf.function(served.raw, autograph=False).get_concrete_function(columns),
        "serving_examples": tf.function(served.examples, autograph=False).get_concrete_function(
            tf.TensorSpec([None], tf.string, "examples")),
    })
"""

EVAL_CONFIG = 'model_specs { label_key: "label" } metrics_specs { metrics { class_name: "AUC" } }'
TESTS = [
    pytest.param(name, marks=[pytest.mark.slow] if name == "test_components_work_together" else [])
    for name in sorted(dir(ModelTests))
    if name.startswith("test_")
]


def project(folder, features=FEATURES, model=MODEL, eval_config=EVAL_CONFIG, **more):
    return Project(
        features_module=small_examples.write_text(folder / "features.py", features),
        model_module=small_examples.write_text(folder / "model.py", model),
        schema_file=small_examples.write_text(folder / "schema.pbtxt", small_examples.SCHEMA),
        eval_config=small_examples.write_text(folder / "eval_config.pbtxt", eval_config),
        label="label",
        overfit={"epochs": 300},
        **more,
    )


def subclass_of(tested, rows_tested=None):
    """A subclass as a user writes it, ready to run one test after the other."""

    class Tests(ModelTests):
        project = tested

        @classmethod
        def table(cls):
            return small_examples.table(400) if rows_tested is None else rows_tested

    Tests.setup_class()
    return Tests()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    tests = subclass_of(project(tmp_path_factory.mktemp("sound")))
    yield tests
    tests.teardown_class()


@pytest.mark.parametrize("name", TESTS)
def test_a_sound_project_passes(sound, name):
    getattr(sound, name)()


BROKEN = [
    pytest.param(
        {"features": FEATURES.replace('"weight_xf": _score(inputs["weight"])',
                                      '"weight_xf": tf.cast(_dense(inputs["label"], 0), tf.float32)')},
        "test_no_feature_depends_on_what_is_unknown_when_serving", "weight_xf.*leak", id="1: the label leaks",
    ),
    pytest.param(
        {"features": FEATURES.replace("tft.scale_to_z_score(x)", "x - tf.reduce_mean(x)")},
        "test_a_row_has_the_same_features_alone_as_among_others", "depend on the other rows", id="1: batch statistics",
    ),
    pytest.param(
        {"features": FEATURES.replace('_dense(inputs["label"], 0),', '_dense(inputs["label"], 0)[:1],')},
        "test_every_row_has_its_features", "other lengths", id="1: rows without a feature",
    ),
    pytest.param(
        {"model": MODEL.replace('"serving_default": ', '"other": ')},
        "test_the_model_is_asked_with_columns_known_when_serving", "no signature serving_default", id="2: no signature",
    ),
    pytest.param(
        {"model": MODEL.replace('activation="sigmoid")', 'activation="tanh", bias_initializer=lambda s, dtype: -3 * '
                                                         'keras.ops.ones(s, dtype))')},
        "test_an_answer_is_one_of_its_task", "no probabilities", id="2: no probability",
    ),
    pytest.param(
        {"model": MODEL.replace("return self.predict(tf.io.parse_example(examples, self.specs))",
                                "answer = self.predict(tf.io.parse_example(examples, self.specs))\n"
                                '        return {"probability": 1 - answer["probability"]}')},
        "test_signatures_agree", "serving_examples answers otherwise", id="2: signatures that differ",
    ),
    pytest.param(
        {"model": MODEL.replace('settings["learning_rate"]', "0.0")},
        "test_training_learns_a_few_rows_by_heart", "32 rows are not learnt", id="3: learns nothing",
    ),
    pytest.param(
        {"model": MODEL.replace('settings["learning_rate"]', "0.0")},
        "test_training_converges", "does not fall", id="3: does not converge",
    ),
    pytest.param(
        {"model": MODEL.replace("model.fit(train.cache().repeat(), callbacks=fn_args.callbacks, **fit)",
                                "[model.train_on_batch(x, y) for x, y in train]")},
        "test_training_converges", "reports no epoch", id="3: reports nothing",
    ),
    pytest.param(
        {"features": FEATURES.replace("tf.where(tf.math.is_nan(x), 0.0, ", "tf.where(False, 0.0, ")},
        "test_extreme_values_have_a_finite_answer", "size = nan", id="4: missing is NaN",
    ),
    pytest.param(
        {"features": FEATURES.replace("tft.scale_to_z_score(x)", "(x - tft.mean(x)) / tf.sqrt(tft.var(x))")
                             .replace("tf.math.is_nan(x), 0.0", "tf.math.is_nan(x), x - x")},
        "test_columns_of_one_value_make_finite_features", "one value only", id="4: division by zero",
    ),
    pytest.param(
        {"model": MODEL.replace("    tf.saved_model.save(", "    if False: tf.saved_model.save(")},
        "test_components_leave_their_artifacts", "left no SavedModel", id="5: no model",
    ),
    pytest.param(
        {"eval_config": EVAL_CONFIG.replace("AUC", "NoSuchMetric")},
        "test_components_work_together", "NoSuchMetric|metric", id="6: no such metric",
    ),
    pytest.param(
        {"model": MODEL.replace("self.model({name: made[name] for name in NAMES}, training=False)}",
                                "self.model({name: made[name] for name in NAMES}, training=False) "
                                "* tf.random.uniform([1, 1], 0.9)}")},
        "test_components_work_together", "the service cannot serve the model.*differ", id="6: answers by chance",
        marks=pytest.mark.slow,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "name", "message"), BROKEN)
def test_a_broken_project_is_refused(sound, tmp_path, broken, name, message):
    tests = subclass_of(project(tmp_path, **broken))
    # What comes before the broken part is the sound project's: it would be made alike.
    if "features" not in broken:
        tests.bench.examples, tests.bench.graph = sound.bench.examples, sound.bench.graph
        if "model" not in broken:
            tests.bench.model = sound.bench.model
    with pytest.raises((CheckFailedError, ComponentError), match=message):
        getattr(tests, name)()
    tests.teardown_class()


def test_a_missing_artifact_is_named(sound):
    _ = sound.bench.model
    file = Path(sound.bench.path("graph/summary.json"))
    kept = file.read_text()
    file.unlink()
    with pytest.raises(CheckFailedError, match=r"graph/summary\.json"):
        sound.test_components_leave_their_artifacts()
    file.write_text(kept)


@pytest.mark.parametrize("count", [0, 1, 63])
def test_too_few_rows_are_no_test(tmp_path, count):
    with pytest.raises(CheckFailedError, match="rows to test with"):
        subclass_of(project(tmp_path), small_examples.table(count))


def test_one_label_is_nothing_to_learn(tmp_path):
    table = small_examples.table(400)
    tests = subclass_of(project(tmp_path), table.filter(pa.compute.equal(table["label"], 1)))
    with pytest.raises(CheckFailedError, match="one label only"):
        tests.test_training_learns_a_few_rows_by_heart()


def test_data_that_breaks_the_schema_is_refused(sound, tmp_path):
    table = small_examples.table(400)
    sizes = pa.array([None, *table["size"].to_pylist()[1:]], pa.float32())
    tests = subclass_of(sound.project, table.set_column(1, "size", sizes))
    with pytest.raises(ComponentError, match="size"):
        tests.test_components_work_together()


def test_invented_rows_fit_their_schema(tmp_path):
    schema = batches.read_schema(project(tmp_path).schema_file)
    table = rows.invent(schema, 200, "label")
    assert table.schema == small_examples.ARROW_SCHEMA
    assert sum(table["label"].to_pylist()) == 100
    assert table["size"].null_count == 0
    assert 0 < table["weight"].null_count < 100
    assert table == rows.invent(schema, 200, "label")


def test_texts_that_are_numbers_are_invented_as_such():
    required = "presence { min_fraction: 1.0 } shape { dim { size: 1 } }"
    schema = text_format.Parse(
        f"""feature {{ name: "id" type: BYTES int_domain {{}} {required} }}
        feature {{ name: "code" type: BYTES int_domain {{ min: 500 max: 900 }} {required} }}
        feature {{ name: "rate" type: BYTES float_domain {{ min: -2 max: 0.5 }} {required} }}
        feature {{ name: "said" type: BYTES bool_domain {{ true_value: "yes" false_value: "no" }} {required} }}""",
        schema_pb2.Schema(),
    )

    assert not _anomalies(rows.invent(schema, 100, "label"), schema)
    words = pa.table({name: ["amber"] * 100 for name in ("id", "code", "rate", "said")})
    assert set(_anomalies(words, schema)) == {"id", "code", "rate", "said"}


def _anomalies(table, schema):
    columns = [pa.array([[value.encode()] for value in column.to_pylist()]) for column in table.columns]
    batch = pa.RecordBatch.from_arrays(columns, table.column_names)
    statistics = stats_impl.generate_statistics_in_memory(batch, tfdv.StatsOptions(schema=schema))
    return tfdv.validate_statistics(statistics, schema).anomaly_info


def test_extreme_rows_differ_in_one_column_each_and_then_in_all():
    table = small_examples.table(1)
    cases = rows.extreme(table, ["size", "count"])
    assert len(cases) == 10 + 7 + 10
    assert cases[0][0] == "size = 0.0"
    assert cases[0][1].drop(["size"]) == table.drop(["size"])
    assert cases[-1][1]["size"].to_pylist() == [None]


@pytest.mark.parametrize(
    ("task", "answers", "expected"),
    [
        pytest.param("binary", [[0.9], [0.2]], -np.log([0.9, 0.8]).mean(), id="binary"),
        pytest.param("multiclass", [[0.1, 0.9], [0.8, 0.2]], -np.log([0.9, 0.8]).mean(), id="multiclass"),
        pytest.param("regression", [2.0, 0.0], 0.5, id="regression"),
    ],
)
def test_losses_are_their_formulas(task, answers, expected):
    labels = np.array([1.0, 0.0])
    assert losses.loss(task, np.array(answers), labels) == pytest.approx(expected)
    assert losses.constant_loss(task, labels) == pytest.approx(0.25 if task == "regression" else np.log(2))


def test_a_task_must_be_known(sound):
    with pytest.raises(ComponentError, match="no task"):
        losses.loss(dataclasses.replace(sound.project, task="ranking").task, np.ones(1), np.ones(1))
