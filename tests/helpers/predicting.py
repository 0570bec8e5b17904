"""A model and rows to score: `python predicting.py EXAMPLES MODEL FOLDER [TABLE]` does it and prints its peak memory.

With a table the shards are small. With DIE_IN_SHARD=n in the environment it is killed while it writes that
shard; OUTPUT is the artifact's folder.
"""

import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from kfp_ct.data import layouts

BATCH = 100


def dataset(root: Path, rows: int, seed: int = 0, infinite: int = 0) -> str:
    """Writes rows without a label as ingest does with split none, two files, a row group a hundredth."""
    import small_examples

    table = small_examples.table(rows, seed).drop(["label"])
    if infinite:
        sizes = table["size"].to_numpy().copy()
        sizes[:infinite] = np.inf
        table = table.set_column(table.column_names.index("size"), "size", pa.array(sizes))
    folder = layouts.split_path(root, layouts.PREDICT)
    folder.mkdir(parents=True)
    middle = rows * 3 // 5
    files = []
    for n, part in enumerate((table.slice(0, middle), table.slice(middle))):
        file = folder / f"data_parquet-{n:05d}-of-00002.parquet"
        pyarrow.parquet.write_table(part, file, row_group_size=BATCH if rows <= 10_000 else layouts.BATCH_ROWS)
        files.append(str(file.relative_to(root)))
    kinds = {"id": "string", "size": "float", "weight": "float", "count": "int", "colour": "string"}
    split = layouts.Split(layouts.PREDICT, rows, files)
    manifest = layouts.Manifest([split], kinds, f"{rows} {seed} {infinite}", {}, {}, {"method": "none"})
    layouts.write_manifest(root, manifest)
    return str(root)


def expected(table: pa.Table, slope: float = 1.0) -> np.ndarray:
    """What the model answers: a logistic of size, with the missing weights as 0."""
    weight = np.nan_to_num(table["weight"].to_numpy().astype("float64"))
    return 1 / (1 + np.exp(-(slope * table["size"].to_numpy().astype("float64") - weight)))


def save(root: Path, slope: float = 1.0) -> str:
    """Saves a model with one good signature and several that do not fit; size of infinity gives NaN."""
    import tensorflow as tf

    module = tf.Module()
    module.slope = tf.Variable(slope)

    def answer(size, weight):
        size, weight = tf.reshape(size, [-1]), tf.reshape(weight, [-1])
        size += (size - size) * 0  # infinity becomes NaN
        score = tf.sigmoid(module.slope * size - tf.where(tf.math.is_nan(weight), 0.0, weight))
        return {"score": score[:, None], "pair": tf.stack([score, 1 - score], axis=1)}

    def spec(name, dtype=tf.float32):
        return tf.TensorSpec([None, 1], dtype, name)

    def signature(function, **inputs):
        return tf.function(function).get_concrete_function(**inputs)

    def parsed(examples):
        default = {name: tf.io.FixedLenFeature([1], tf.float32, float("nan")) for name in ("size", "weight")}
        return answer(**tf.io.parse_example(examples, default))

    both = {"size": spec("size"), "weight": spec("weight")}
    signatures = {
        "serving_default": signature(answer, **both),
        "examples": signature(parsed, examples=tf.TensorSpec([None], tf.string, "examples")),
        "total": signature(lambda size: {"sum": tf.reduce_sum(size)}, size=spec("size")),
        "wide": signature(lambda height: {"score": height}, height=spec("height")),
        "mistyped": signature(lambda size: {"score": tf.cast(size, tf.float32)}, size=spec("size", tf.int64)),
    }
    tf.saved_model.save(module, str(root / layouts.SERVING_MODEL), signatures)
    return str(root)


def _die_in(number: int) -> None:
    from kfp_ct.components.predict_batch import shard

    whole, count = shard._table, [0]

    def dying(*arguments):
        predicted = whole(*arguments)
        count[0] += predicted.num_rows
        # A batch of the shard has been written when the next one kills.
        if count[0] > 300 * number + BATCH:
            os.kill(os.getpid(), signal.SIGKILL)
        return predicted

    shard._table = dying


if __name__ == "__main__":
    dying = os.environ.get("DIE_IN_SHARD")
    if dying:
        layouts.BATCH_ROWS = BATCH
        _die_in(int(dying))

    from kfp_ct.components.predict_batch import plan, work

    examples_path, model_path, folder, *table = sys.argv[1:]
    asked = work.PredictionRequest(examples_path, model_path, "7", ["id"])
    destination = {"folder": folder, **({"table": table[0]} if table else {})}
    work.predict(asked, destination, os.environ.get("OUTPUT", ""), 300 if dying or table else plan.SHARD_ROWS)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
