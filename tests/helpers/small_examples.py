"""A small dataset of numbers with a known answer, its schema and its transform graph."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from kfp_ct.components.transform import work as transform
from kfp_ct.data import layouts

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


def write(root, train, evaluation=None, shards=2, row_group_size=None):
    """Writes tables as a dataset in the layout of kfp_ct/data/layouts.py."""
    root = Path(root)
    splits = []
    for name, rows in (("train", train), ("eval", evaluation if evaluation is not None else table(100, seed=9))):
        folder = layouts.split_path(root, name)
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for index in range(shards):
            start, end = (len(rows) * each // shards for each in (index, index + 1))
            file = folder / f"data_parquet-{index:05}-of-{shards:05}.parquet"
            pyarrow.parquet.write_table(rows.slice(start, end - start), file, row_group_size or len(rows) + 1)
            files.append(str(file.relative_to(root)))
        splits.append(layouts.Split(name, len(rows), files))
    kinds = {pa.string(): "string", pa.float32(): "float", pa.int64(): "int"}
    columns = {field.name: kinds[field.type] for field in train.schema}
    fingerprint = hashlib.sha256(repr(train.to_pydict()).encode()).hexdigest()
    layouts.write_manifest(root, layouts.Manifest(splits, columns, fingerprint, {}, {"start": "", "end": ""}, {}))
    return str(root)


def write_text(path, text):
    """Writes a module or a schema, and returns its path."""
    Path(path).write_text(text)
    return str(path)


def prepare(folder, rows=2_000):
    """Returns the paths of a dataset, its schema and its transform graph."""
    examples = write(folder / "examples", table(rows))
    schema = write_text(folder / "schema.pbtxt", SCHEMA)
    module = write_text(folder / "small_features.py", PREPROCESSING)
    graph = str(folder / "graph")
    transform.analyze(transform.Request(examples, schema, module), graph)
    return examples, schema, graph
