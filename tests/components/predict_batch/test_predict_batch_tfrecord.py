"""Predictions as TFX's BulkInferrer writes them, and predictions without keys."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

import predicting
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.predict_batch import work
from kfp_ct.data import layouts, reading

ROWS = 250


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return predicting.save(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return predicting.dataset(tmp_path_factory.mktemp("rows") / "examples", rows=ROWS)


def predict(examples, model, root, destination=None, **changes):
    request = work.PredictionRequest(examples, model, "7", **changes)
    return work.predict(request, destination or {}, str(root / "out"), shard_rows=100)


def source(examples):
    return pa.Table.from_batches(reading.iter_batches(layouts.split_files(examples, "predict")))


def records(written, kind):
    files = sorted(str(path) for path in Path(written.folder).glob(f"{kind}_tfrecord-*.gz"))
    assert len(files) == written.metadata["files"]
    return list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())


def test_examples_have_all_columns_and_the_predictions(examples, model, tmp_path):
    destination = {"tfrecord": "examples", "output_columns": {"score": "late"}}
    written = predict(examples, model, tmp_path, destination, keys=["id"])
    parsed = [tf.train.Example.FromString(record).features.feature for record in records(written, "examples")]
    rows = source(examples)
    assert [each["id"].bytes_list.value[0].decode() for each in parsed] == rows["id"].to_pylist()
    assert {name for each in parsed for name in each} == {*rows.column_names, "late"}
    found = [each["late"].float_list.value[0] for each in parsed]
    np.testing.assert_allclose(found, predicting.expected(rows), rtol=1e-6)
    table = pa.concat_tables(
        pyarrow.parquet.read_table(file) for file in layouts.split_files(written.folder, "predict")
    )
    assert table.column_names == ["id", "pair", "score", "model_version", "predicted_at"], "Parquet as ever"
    assert written.metadata["tfrecord"] == "examples"


def test_all_outputs_are_written_by_default(examples, model, tmp_path):
    written = predict(examples, model, tmp_path, {"tfrecord": "examples"}, keys=["id"])
    features = tf.train.Example.FromString(records(written, "examples")[0]).features.feature
    assert len(features["pair"].float_list.value) == 2
    assert len(features["score"].float_list.value) == 1


def test_prediction_logs_hold_the_example_and_the_outputs(examples, model, tmp_path):
    written = predict(examples, model, tmp_path, {"tfrecord": "prediction_log"}, keys=["id"])
    logs = [
        prediction_log_pb2.PredictionLog.FromString(each).predict_log for each in records(written, "prediction_log")
    ]
    rows = source(examples)
    sent = [tf.train.Example.FromString(tf.make_ndarray(log.request.inputs["examples"])[0]) for log in logs]
    assert [each.features.feature["id"].bytes_list.value[0].decode() for each in sent] == rows["id"].to_pylist()
    found = [tf.make_ndarray(log.response.outputs["score"]).item() for log in logs]
    np.testing.assert_allclose(found, predicting.expected(rows), rtol=1e-6)
    assert {log.request.model_spec.signature_name for log in logs} == {"serving_default"}


def test_a_run_that_lost_such_a_file_writes_it_again(examples, model, tmp_path):
    destination = {"tfrecord": "examples", "folder": str(tmp_path / "kept")}
    written = predict(examples, model, tmp_path, destination, keys=["id"])
    before = [tf.train.Example.FromString(each) for each in records(written, "examples")]
    next(Path(written.folder).glob("examples_tfrecord-00001-*")).unlink()
    again = predict(examples, model, tmp_path, destination, keys=["id"])
    assert again.folder == written.folder
    assert [tf.train.Example.FromString(each) for each in records(again, "examples")] == before


def test_without_keys_all_columns_are_written_in_the_order_of_the_input(examples, model, tmp_path):
    written = predict(examples, model, tmp_path)
    table = pa.concat_tables(
        pyarrow.parquet.read_table(file) for file in layouts.split_files(written.folder, "predict")
    )
    rows = source(examples)
    assert table.column_names == [*rows.column_names, "pair", "score", "model_version", "predicted_at"]
    assert table.select(rows.column_names).equals(rows)


@pytest.mark.parametrize(
    ("destination", "words"),
    [
        ({"tfrecord": "examples", "output_columns": {"late": "x"}}, "names late, which the signature does not give"),
        ({"tfrecord": "examples", "output_columns": {"score": "id"}}, "two features named id"),
        ({"tfrecord": "examples", "output_columns": {"score": "x", "pair": "x"}}, "two features named x"),
        ({"tfrecord": "prediction_log", "output_columns": {"score": "x"}}, "expected tfrecord: examples beside it"),
        ({"tfrecord": "csv"}, "expected one of"),
    ],
    ids=["no output", "a column", "twice", "of logs", "unknown"],
)
def test_what_cannot_be_written_is_refused_before_a_row_is_scored(examples, model, tmp_path, destination, words):
    with pytest.raises(ConfigurationError, match=words):
        predict(examples, model, tmp_path, destination, keys=["id"])
    assert not list((tmp_path / "out").glob("*-of-*"))
