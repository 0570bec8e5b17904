"""Warm-up requests recorded from the request log: what clients asked last, as the service logged it, is what it answers
before it is ready; TensorFlow Serving's own messages read it."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from kfp_ct.components.train import logged_requests
from kfp_ct.data import warm_up
from kfp_ct.serving.request_files import Answered, Key, RequestFiles
from kfp_ct.serving.saved_model import SavedModel

ROWS = pa.RecordBatch.from_pydict({"x": pa.array([0.5], pa.float32()), "name": ["of the examples"]})


def log(root, *requests, model="flights"):
    """Writes a file of the request log as the service does, with these requests: x and name by row."""
    answers = [
        Answered(
            f"r{n}", 1.7e9 + n, 1.0,
            {"x": np.array([x for x, _ in rows], np.float32), "name": np.array([name for _, name in rows], object)},
            {"y": np.zeros(len(rows), np.float32)},
        )
        for n, rows in enumerate(requests)
    ]  # fmt: skip
    return RequestFiles(root, 1 << 30).write(Key(model, 1, "serving_default"), answers, "{}")


def asked(batch):
    return [tuple(row.values()) for row in batch.to_pylist()]


def test_the_newest_rows_of_the_newest_files_are_taken(tmp_path):
    log(tmp_path, [(1.0, "a"), (2.0, "b")], [(3.0, "c")])
    log(tmp_path, [(4.0, "d")])
    log(tmp_path, [(9.0, "of another model")], model="other")
    log(tmp_path)  # a file that only counts
    assert asked(logged_requests.newest(str(tmp_path / "flights"), 3)) == [(4.0, "d"), (2.0, "b"), (3.0, "c")]
    assert len(logged_requests.newest(str(tmp_path / "flights"), 100)) == 4


@pytest.mark.parametrize("made", [False, True], ids=["no folder", "no rows"])
def test_nothing_logged_yet_is_said_and_no_error(tmp_path, capsys, made):
    if made:
        log(tmp_path)
        (tmp_path / "flights/1/broken.parquet").write_text("no Parquet")
    assert logged_requests.newest(str(tmp_path / "flights"), 3) is None
    assert "no requests are logged at" in capsys.readouterr().out


def test_files_of_other_columns_than_the_newest_ones_are_left(tmp_path):
    old = log(tmp_path, [(1.0, "a")])
    table = pa.table({"inputs": [{"x": 1.0}]})
    pa.parquet.write_table(table, old)
    log(tmp_path, [(2.0, "b")])
    assert asked(logged_requests.newest(str(tmp_path / "flights"), 5)) == [(2.0, "b")]


def test_a_model_answers_what_was_logged_and_rows_of_the_examples_where_it_does_not_fit(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32), tf.TensorSpec([None], tf.string)])
    def by_columns(x, name):
        return {"y": x + tf.cast(tf.strings.length(name), tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def by_examples(examples):
        needed = {"x": tf.io.FixedLenFeature([], tf.float32), "carried": tf.io.FixedLenFeature([], tf.float32)}
        return {"y": tf.io.parse_example(examples, needed)["x"]}

    folder = str(tmp_path / "model")
    tf.saved_model.save(tf.Module(), folder, signatures={"serving_default": by_columns, "raw": by_examples})
    log(tmp_path / "log", [(2.0, "b"), (3.0, "c")])
    rows = pa.RecordBatch.from_arrays([*ROWS.columns, pa.array([1.0], pa.float32())], [*ROWS.schema.names, "carried"])

    written = warm_up.write(
        folder, tf.saved_model.load(folder), rows, logged_requests.newest(str(tmp_path / "log/flights"), 32)
    )

    assert written == 3
    raw, one, both = warm_up.read(folder)
    assert tf.train.Example.FromString(warm_up.arrays(raw)["examples"][0]).features.feature["carried"]
    assert warm_up.arrays(one)["x"].tolist() == [2.0]
    assert warm_up.arrays(both)["name"].tolist() == [b"b", b"c"]
    served = SavedModel(tmp_path / "model")
    served.warm_up()
    assert served.warmed_up == 3
