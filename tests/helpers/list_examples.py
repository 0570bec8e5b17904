"""Rows with lists (a vector, an image, tokens, tags that may be missing) and modules that learn from them."""

import numpy as np
import pyarrow as pa

FEATURES = """
import tensorflow as tf
import tensorflow_transform as tft

def preprocessing_fn(inputs):
    tags = tft.compute_and_apply_vocabulary(inputs["tags"], num_oov_buckets=1, vocab_filename="tags")
    return {
        "vector": tft.scale_to_z_score(inputs["vector"], elementwise=True),
        "hot": tf.reduce_max(tf.one_hot(tf.sparse.to_dense(tags, default_value=-1), 8), axis=1),
        "tokens": inputs["tokens"],
        "dark": tf.reduce_sum(inputs["image"], axis=1),
        "label": tf.reshape(inputs["label"], [-1]),
    }
"""

MODEL = """
import keras
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.tfxio import dataset_options

from kfp_ct.data import batches
from kfp_ct.data.transform_graph import TransformGraph

class Served(tf.Module):
    def __init__(self, model, output, specs):
        super().__init__()
        self.model, self.transform, self.specs = model, TransformGraph(output), specs

    def raw(self, columns):
        return self.predict(batches.to_features(columns, self.specs))

    def examples(self, examples):
        return self.predict(tf.io.parse_example(examples, self.specs))

    def predict(self, features):
        return {"probability": self.model(dense(self.transform(features)), training=False)}

def dense(features):
    bag = tf.math.bincount(features["tokens"], minlength=10, maxlength=10, axis=-1, dtype=tf.float32)
    return tf.concat([features["vector"], features["dark"], features["hot"], tf.reshape(bag, [-1, 10])], axis=1)

def run_fn(fn_args):
    keras.utils.set_random_seed(1)
    options = dataset_options.TensorFlowDatasetOptions(64, num_epochs=1, shuffle_seed=1, label_key="label")
    train = fn_args.data_accessor.tf_dataset_factory(fn_args.train_files, options)
    model = keras.Sequential([keras.Input((24,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", jit_compile=False)
    model.fit(train.map(lambda x, y: (dense(x), y)), epochs=3, callbacks=fn_args.callbacks, shuffle=False, verbose=0)
    known = batches.feature_specs(batches.read_schema(fn_args.schema_path), environment="SERVING")
    specs = {name: known[name] for name in ("vector", "image", "tags", "tokens")}
    served = Served(model, tft.TFTransformOutput(fn_args.transform_graph_path), specs)
    columns = {name: batches.input_spec(spec, name, is_list=True) for name, spec in specs.items()}
    signatures = {
        "serving_default": tf.function(served.raw, autograph=False).get_concrete_function(columns),
        "serving_examples": tf.function(served.examples, autograph=False).get_concrete_function(
            tf.TensorSpec([None], tf.string, "examples")
        ),
    }
    tf.saved_model.save(served, fn_args.serving_model_dir, signatures=signatures)
"""

TUNER = """
from typing import NamedTuple

import keras_tuner

class TunerFnResult(NamedTuple):
    tuner: object
    fit_kwargs: dict

def build(hp):
    model = keras.Sequential([keras.Input((24,)), keras.layers.Dense(1, activation="sigmoid")])
    rate = hp.Choice("rate", [0.05, 0.0])
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model

def tuner_fn(fn_args):
    options = dataset_options.TensorFlowDatasetOptions(64, num_epochs=1, shuffle_seed=1, label_key="label")
    train, held = (
        fn_args.data_accessor.tf_dataset_factory(files, options).map(lambda x, y: (dense(x), y))
        for files in (fn_args.train_files, fn_args.eval_files)
    )
    tuner = keras_tuner.GridSearch(
        build, objective="val_accuracy", max_trials=2, directory=fn_args.working_dir, project_name="lists"
    )
    return TunerFnResult(tuner, {"x": train, "validation_data": held, "epochs": 3, "shuffle": False})
"""

EVAL_CONFIG = """
model_specs { label_key: "label" }
slicing_specs {}
slicing_specs { feature_keys: "tags" }
metrics_specs { metrics { class_name: "ExampleCount" } metrics { class_name: "AUC" } }
"""
NAMES = ["red", "green", "blue", "café", "white"]


def table(rows: int = 300) -> pa.Table:
    """Rows whose label shifts the vector, the tags and the tokens."""
    random = np.random.default_rng(0)
    label = random.integers(0, 2, rows)
    tags = [[NAMES[(each + y) % 5] for each in random.integers(0, 3, random.integers(0, 4))] for y in label]
    return pa.table({
        "id": range(rows),
        "vector": pa.array([(random.normal(0, 1, 4) + y).tolist() for y in label], pa.list_(pa.float32())),
        "image": pa.array([(random.normal(-y, 1, (3, 2))).tolist() for y in label], pa.list_(pa.list_(pa.float32()))),
        "tags": pa.array([None if random.random() < 0.1 else each for each in tags], pa.list_(pa.string())),
        "tokens": pa.array([random.integers(0, 5 + 5 * y, random.integers(0, 6)).tolist() for y in label],
                           pa.list_(pa.int64())),
        "photo": pa.array([bytes(random.integers(0, 256, 5).tolist()) for _ in label], pa.binary()),
        "label": label,
    })  # fmt: skip
