"""Films with any number of genres, as a CSV has them, and modules that learn to tell them."""

import numpy as np

GENRES = ["comedy", "café noir", "drama"]
QUERY = """SELECT id, budget, length, string_split(genres, '|')::VARCHAR[] AS genres FROM t WHERE genres IS NOT NULL"""

FEATURES = f"""
import tensorflow as tf
import tensorflow_transform as tft

GENRES = {GENRES!r}

def preprocessing_fn(inputs):
    words = tf.sparse.to_dense(inputs["genres"], default_value="")
    hot = [tf.reduce_any(tf.equal(words, genre), axis=1) for genre in GENRES]
    return {{
        "budget": tft.scale_to_z_score(inputs["budget"]),
        "length": tft.scale_to_z_score(inputs["length"]),
        "genres": tf.cast(tf.stack(hot, axis=1), tf.float32),
    }}
"""

MODEL = """
import keras
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.tfxio import dataset_options

from kfp_ct.data import batches
from kfp_ct.data.transform_graph import TransformGraph

NAMES = ["budget", "length"]

class Served(tf.Module):
    def __init__(self, model, output, specs):
        super().__init__()
        self.model, self.transform, self.specs = model, TransformGraph(output), specs

    def raw(self, columns):
        features = self.transform(batches.to_features(columns, self.specs))
        return {"genres": self.model(dense(features), training=False)}

def dense(features):
    return tf.concat([tf.reshape(features[name], [-1, 1]) for name in NAMES], axis=1)

def run_fn(fn_args):
    keras.utils.set_random_seed(1)
    options = dataset_options.TensorFlowDatasetOptions(64, num_epochs=1, shuffle_seed=1, label_key="genres")
    train = fn_args.data_accessor.tf_dataset_factory(fn_args.train_files, options)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy", jit_compile=False)
    model.fit(train.map(lambda x, y: (dense(x), y)), epochs=4, callbacks=fn_args.callbacks, shuffle=False, verbose=0)
    known = batches.feature_specs(batches.read_schema(fn_args.schema_path), environment="SERVING")
    specs = {name: known[name] for name in NAMES}
    served = Served(model, tft.TFTransformOutput(fn_args.transform_graph_path), specs)
    columns = {name: batches.input_spec(spec, name) for name, spec in specs.items()}
    signature = tf.function(served.raw, autograph=False).get_concrete_function(columns)
    tf.saved_model.save(served, fn_args.serving_model_dir, signatures={"serving_default": signature})
"""

EVAL_CONFIG = """
model_specs { label_key: "genres" }
slicing_specs {}
slicing_specs { feature_keys: "genres" }
metrics_specs { metrics { class_name: "ExampleCount" } metrics { class_name: "BinaryAccuracy" } }
metrics_specs { binarize { class_ids { values: [0, 1, 2] } } metrics { class_name: "AUC" } }
"""


def csv(rows: int = 300) -> str:
    """Rows whose genres follow budget and length: some of none, of all, and one that nobody knows."""
    random = np.random.default_rng(0)
    budget, length = random.normal(size=(2, rows)).round(3)
    hot = np.stack([budget, length, -budget], 1) + random.normal(size=(rows, 3)) * 0.5 > 0
    genres = ["|".join(np.array(GENRES)[row]) for row in hot]
    lines = [f"{n},{budget[n]},{length[n]},{genres[n]}" for n in range(rows)]
    return "\n".join(["id,budget,length,genres", *lines]) + "\n"
