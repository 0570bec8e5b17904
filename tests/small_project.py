"""A small dataset in the components' layout, and TFX-style modules over it."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from components import artifacts
from components.artifacts import Manifest, Split
from components.train import work as train_work
from components.transform import work as transform_work

SCHEMA = """
feature { name: "size" type: FLOAT presence { min_fraction: 1 } shape { dim { size: 1 } } }
feature { name: "colour" type: BYTES presence { min_fraction: 1 } shape { dim { size: 1 } } }
feature { name: "weight" type: FLOAT presence { min_count: 1 } }
feature { name: "good" type: INT presence { min_fraction: 1 } shape { dim { size: 1 } } not_in_environment: "SERVING" }
default_environment: "TRAINING"
default_environment: "SERVING"
"""

FEATURES = """
import tensorflow as tf
import tensorflow_transform as tft

def preprocessing_fn(inputs):
    weight = tf.sparse.to_dense(inputs["weight"], default_value=0.0)
    return {
        "size_z": tft.scale_to_z_score(inputs["size"]),
        "weight": tf.reshape(weight, [-1, 1]),
        "colour_id": tft.compute_and_apply_vocabulary(inputs["colour"], num_oov_buckets=1),
        "good": inputs["good"],
    }
"""

MODEL = """
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.tfxio import dataset_options

def input_fn(file_pattern, data_accessor, output, batch_size):
    options = dataset_options.TensorFlowDatasetOptions(batch_size=batch_size, label_key="good")
    return data_accessor.tf_dataset_factory(file_pattern, options, output.transformed_metadata.schema).repeat()

def run_fn(fn_args):
    tf.keras.utils.set_random_seed(1)
    output = tft.TFTransformOutput(fn_args.transform_output)
    dataset = input_fn(fn_args.train_files, fn_args.data_accessor, output, 32)
    inputs = {name: tf.keras.layers.Input((1,), name=name) for name in ("size_z", "weight", "colour_id")}
    logit = tf.keras.layers.Dense(1, activation="sigmoid")(tf.keras.layers.Concatenate()(list(inputs.values())))
    model = tf.keras.Model(inputs, logit)
    rate = fn_args.hyperparameters.get("learning_rate", 0.1)
    model.compile(tf.keras.optimizers.SGD(rate), "binary_crossentropy")
    model.fit(dataset, steps_per_epoch=8, epochs=fn_args.custom_config.get("epochs", 2), verbose=0,
              callbacks=getattr(fn_args, "callbacks", []))
    module = tf.Module()
    module.kernel = tf.Variable(model.get_weights()[0])
    signature = tf.TensorSpec([None], tf.float32, "size")
    answer = tf.function(lambda size: {"probability": size * module.kernel[0, 0]}, input_signature=[signature])
    tf.saved_model.save(module, fn_args.serving_model_dir, signatures={"serving_default": answer})
"""


@dataclasses.dataclass
class Small:
    folder: Path

    @property
    def examples(self) -> str:
        return str(self.folder / "examples")

    @property
    def graph(self) -> str:
        return str(self.folder / "graph")

    def module(self, name: str, source: str) -> str:
        path = self.folder / f"{name}.py"
        path.write_text(source)
        return str(path)

    def columns(self, split: str) -> dict:
        batches = list(artifacts.iter_batches(artifacts.split_files(self.examples, split)))
        return pa.Table.from_batches(batches).to_pydict()

    def transform_request(self, source: str = FEATURES, name: str = "features", **fields) -> transform_work.Request:
        schema = str(self.folder / "schema.pbtxt")
        return transform_work.Request(self.examples, schema, self.module(name, source), fields.get("beam", []))

    def analyze(self) -> "Small":
        transform_work.analyze(self.transform_request(), self.graph)
        return self

    def train_request(self, source: str = MODEL, name: str = "model", **fields) -> train_work.Request:
        schema = str(self.folder / "schema.pbtxt")
        module = self.module(name, source)
        return train_work.Request(self.examples, self.graph, schema, str(self.folder / "none"), module, **fields)


def make(folder: Path, rows: int = 300, **columns) -> Small:
    """Writes `rows` rows for training and a third as many for evaluation; `columns` replaces train columns."""
    small = Small(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schema.pbtxt").write_text(SCHEMA)
    splits = [_split(folder, name, count, columns) for name, count in (("train", rows), ("eval", rows // 3))]
    kinds = {"size": "float", "colour": "string", "weight": "float", "good": "int"}
    manifest = Manifest(splits, kinds, f"fingerprint-{rows}", {"t": "memory"}, {"start": "", "end": ""}, {})
    artifacts.write_manifest(small.examples, manifest)
    return small


def _split(folder: Path, name: str, rows: int, columns: dict) -> Split:
    random = np.random.default_rng(len(name))
    size = random.normal(10, 3, rows).astype(np.float32)
    table = {
        "size": pa.array(size),
        "colour": pa.array(random.choice(["red", "green", "blau"], rows)),
        "weight": pa.array(size * 2, mask=random.random(rows) < 0.2),
        "good": pa.array((size + random.normal(0, 1, rows) > 10).astype(np.int64)),
    }
    if name == "train":
        table.update({key: pa.array(values, table[key].type) for key, values in columns.items()})
    file = f"Split-{name}/data_parquet-00000-of-00001.parquet"
    (folder / "examples" / f"Split-{name}").mkdir(parents=True)
    pyarrow.parquet.write_table(pa.table(table), folder / "examples" / file, row_group_size=50)
    return Split(name, rows, [file])
