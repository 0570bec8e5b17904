"""Warm-up requests: written into the SavedModel, readable by TensorFlow Serving's own messages, answered at load."""

import logging
from pathlib import Path

import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from kfp_ct.data import layouts, warm_up
from kfp_ct.serving.batch_trial import varied_rows
from kfp_ct.serving.errors import InvalidRequestError
from kfp_ct.serving.saved_model import SavedModel
from kfp_ct.serving.versions import Versions

ROWS = pa.RecordBatch.from_pydict(
    {"x": pa.array([float(n) for n in range(8)], pa.float32()), "name": [f"n{n}" for n in range(8)]}
)
VECTOR, TEXTS = tf.TensorSpec([None], tf.float32), tf.TensorSpec([None], tf.string)


class Model(tf.Module):
    """Signatures by columns, by serialized tf.Examples, and one of columns that no examples have."""

    def __init__(self):
        super().__init__()
        self.calls = tf.Variable(0)

    @tf.function(input_signature=[VECTOR, TEXTS])
    def by_columns(self, x, name):
        self.calls.assign_add(1)
        return {"y": x + tf.cast(tf.strings.length(name), tf.float32)}

    @tf.function(input_signature=[TEXTS])
    def by_examples(self, examples):
        self.calls.assign_add(1)
        return {"y": tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]}

    @tf.function(input_signature=[VECTOR])
    def of_others(self, unknown):
        return {"y": unknown}


def save(folder: Path) -> str:
    model = Model()
    signatures = {
        "serving_default": model.by_columns, "examples": model.by_examples, "others": model.of_others,
    }  # fmt: skip
    tf.saved_model.save(model, str(folder), signatures=signatures)
    return str(folder)


@pytest.fixture
def folder(tmp_path):
    path = save(tmp_path / "m" / "1")
    assert warm_up.write(path, tf.saved_model.load(path), ROWS) == 4
    return Path(path)


def test_requests_of_one_row_and_of_all_are_written_for_every_signature_that_answers(folder):
    assert warm_up.FILE == "assets.extra/tf_serving_warmup_requests"
    records = list(tf.data.TFRecordDataset(str(folder / warm_up.FILE)).as_numpy_iterator())
    requests = [prediction_log_pb2.PredictionLog.FromString(each).predict_log.request for each in records]
    asked = [(each.model_spec.signature_name, sorted(each.inputs)) for each in requests]
    assert asked == [("examples", ["examples"])] * 2 + [("serving_default", ["name", "x"])] * 2
    assert [list(tf.make_ndarray(each.inputs["x"])) for each in requests[2:]] == [[0.0], [float(n) for n in range(8)]]
    assert tf.make_ndarray(requests[3].inputs["name"]).tolist() == [f"n{n}".encode() for n in range(8)]


def test_a_signature_that_does_not_answer_is_left_out_and_that_is_said(tmp_path, capsys):
    path = save(tmp_path / "m")
    warm_up.write(path, tf.saved_model.load(path), ROWS)
    assert "no warm-up request for the signature others: the signature others needs the columns ['unknown']" in (
        capsys.readouterr().out
    )


def test_the_same_rows_write_the_same_bytes(folder):
    before = layouts.tree_fingerprint(folder)
    warm_up.write(str(folder), tf.saved_model.load(str(folder)), ROWS)
    assert layouts.tree_fingerprint(folder) == before


def test_the_service_answers_them_before_it_is_ready(folder):
    model = SavedModel(folder)
    model.warm_up()
    assert model.warmed_up == 4
    asked = dict.fromkeys(("serving_default", "examples"), 0)
    for log in warm_up.read(folder):
        asked[log.predict_log.request.model_spec.signature_name] += 1
    assert asked == {"serving_default": 2, "examples": 2}


def test_requests_as_tensorflow_serving_has_them_are_answered(folder):
    """Not only those that this library writes: classify, regress and several at once."""
    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(2.0)
    logs = [prediction_log_pb2.PredictionLog() for _ in range(3)]
    logs[0].classify_log.request.input.example_list.examples.append(example)
    logs[1].regress_log.request.input.example_list.examples.append(example)
    for log in logs[:2]:
        getattr(log, log.WhichOneof("log_type")).request.model_spec.signature_name = "examples"
    task = logs[2].multi_inference_log.request.tasks.add(method_name="tensorflow/serving/regress")
    task.model_spec.signature_name = "examples"
    logs[2].multi_inference_log.request.input.example_list.examples.append(example)
    with tf.io.TFRecordWriter(str(folder / warm_up.FILE)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    model = SavedModel(folder)
    model.warm_up()
    assert model.warmed_up == 3


def unfit() -> bytes:
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = "serving_default"
    log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto(["text"]))
    return log.SerializeToString()


@pytest.mark.parametrize(
    ("records", "words"),
    [([b"no message \xff"], "cannot be read"), ([unfit()], "x"), ([b""], "of the kind None"),
     ([unfit()[:0]] * 0, "cannot be read")],
    ids=["no message", "another type", "empty", "no TFRecord"],
)  # fmt: skip
def test_requests_that_do_not_fit_are_said_and_the_model_is_served_all_the_same(folder, caplog, records, words):
    with tf.io.TFRecordWriter(str(folder / warm_up.FILE)) as writer:
        for record in records:
            writer.write(record)
    if not records:
        (folder / warm_up.FILE).write_bytes(b"this is no TFRecord file")
    with pytest.raises(InvalidRequestError, match=words):
        SavedModel(folder).warm_up()
    caplog.set_level(logging.WARNING)
    versions = Versions(folder.parents[1], SavedModel)
    versions.poll()
    assert versions.serving() == {"m": 1}
    assert "m v1: warm-up failed: " in caplog.text


def test_calls_in_order_are_taken_where_they_answer_bit_for_bit_as_calls_by_name(folder):
    model = SavedModel(folder)
    rows = varied_rows(model.specs["serving_default"])
    by_name, named = model.run("serving_default", rows), model._calls["serving_default"]

    model.warm_up()

    assert model._calls["serving_default"].__qualname__ != named.__qualname__
    assert model.run("serving_default", rows)["y"].tobytes() == by_name["y"].tobytes()


def test_calls_by_name_remain_where_the_others_answer_otherwise(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def counted(x):
        return {"y": x + module.calls.assign_add(1.0)}

    module = tf.Module()
    module.calls = tf.Variable(0.0)
    tf.saved_model.save(module, str(tmp_path / "1"), counted.get_concrete_function())
    model = SavedModel(tmp_path / "1")
    named = model._calls["serving_default"]

    model.warm_up()

    assert model._calls["serving_default"].__qualname__ == named.__qualname__
