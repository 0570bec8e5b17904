"""A small dataset of numbers with a known answer, its schema and its transform graph."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from kfp_ct.components.transform import work as transform
from kfp_ct.data import layouts
from kfp_ct.testing import datasets
from made_once import made_once

SCHEMA = """
feature { name: "id" type: BYTES presence { min_fraction: 1.0 } shape { dim { size: 1 } }
  not_in_environment: "SERVING" }
feature { name: "size" type: FLOAT presence { min_fraction: 1.0 } shape { dim { size: 1 } } }
feature { name: "weight" type: FLOAT presence { min_fraction: 0.5 } }
feature { name: "count" type: INT presence { min_fraction: 0.5 } }
feature { name: "colour" type: BYTES presence { min_fraction: 0.5 } }
feature { name: "label" type: INT presence { min_fraction: 1.0 } shape { dim { size: 1 } }
  not_in_environment: "SERVING" }
default_environment: "TRAINING"
default_environment: "SERVING"
"""

PREPROCESSING = """
import tensorflow as tf
import tensorflow_transform as tft

def _fill(x, default):
    return tf.reshape(tf.sparse.to_dense(tf.SparseTensor(x.indices, x.values, [x.dense_shape[0], 1]), default), [-1])

def preprocessing_fn(inputs):
    return {
        "size_xf": tft.scale_to_z_score(tf.reshape(inputs["size"], [-1])),
        "weight_xf": _fill(inputs["weight"], 0.0),
        "colour_xf": tft.compute_and_apply_vocabulary(_fill(inputs["colour"], ""), num_oov_buckets=1),
        "label": tf.reshape(inputs["label"], [-1]),
    }
"""

ARROW_SCHEMA = pa.schema({
    "id": pa.string(), "size": pa.float32(), "weight": pa.float32(), "count": pa.int64(), "colour": pa.string(),
    "label": pa.int64(),
})  # fmt: skip


def table(rows, seed=0):
    """Rows whose label says whether size exceeds weight (or 0, where weight is missing)."""
    random = np.random.default_rng(seed)
    size, weight = random.normal(3, 2, rows).astype("float32"), random.normal(3, 2, rows).astype("float32")
    missing = random.random(rows) < 0.2
    return pa.table({
        "id": [f"row-{index}" for index in range(rows)],
        "size": size,
        "weight": pa.array(weight, mask=missing),
        "count": pa.array(random.integers(0, 9, rows), mask=missing),
        "colour": pa.array(random.choice(["red", "green", "blue"], rows), mask=random.random(rows) < 0.1),
        "label": (size > np.where(missing, 0, weight)).astype("int64"),
    }, schema=ARROW_SCHEMA)  # fmt: skip


def write(root, train, evaluation=None, shards=2, row_group_size=0):
    """Writes rows to train on, and others, as a dataset."""
    held_out = table(100, seed=9) if evaluation is None else evaluation
    return datasets.write(root, {layouts.TRAIN: train, layouts.EVAL: held_out}, shards, row_group_size)


def write_text(path, text):
    """Writes a module or a schema, and returns its path."""
    Path(path).write_text(text)
    return str(path)


def shared_graph(shared, rows=2_000):
    """Returns the paths of a dataset, its schema and its transform graph, which several files read."""
    folder = made_once(shared, f"small-examples-{rows}", lambda folder: prepare(folder, rows))
    return tuple(str(folder / name) for name in ("examples", "schema.pbtxt", "graph"))


def prepare(folder, rows):
    """Returns the paths of a dataset, its schema and its transform graph."""
    examples = write(folder / "examples", table(rows))
    schema = write_text(folder / "schema.pbtxt", SCHEMA)
    module = write_text(folder / "small_features.py", PREPROCESSING)
    graph = str(folder / "graph")
    said = transform.analyze(transform.TransformRequest(examples, schema, module), graph)
    write_text(folder / "said.json", json.dumps(said))
    return examples, schema, graph
