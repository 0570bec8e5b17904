"""Rows with lists, lists of lists, bytes, missing and empty values: ingest, examples, a request, its log, and back."""

import base64
import datetime
import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ingesting
from depth import tries
from kfp_ct.components.monitor import request_log as read_log
from kfp_ct.data import layouts
from kfp_ct.serving.request_files import Answered, Key
from kfp_ct.serving.request_log import RequestLog, Settings
from kfp_ct.serving.saved_model import SavedModel

LONG_AGO, LATER = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (2000, 2100))
KINDS = {
    "tokens": (pa.list_(pa.int64()), st.integers(-(2**62), 2**62)),
    "scores": (pa.list_(pa.float32()), st.floats(allow_nan=False, allow_infinity=False, width=32)),
    "tags": (pa.list_(pa.string()), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)),
    "photos": (pa.list_(pa.binary()), st.binary(max_size=4)),
}
ROW = st.fixed_dictionaries(
    {name: st.none() | st.lists(values, max_size=3) for name, (_, values) in KINDS.items()}
    | {"photo": st.binary(min_size=1, max_size=4), "vector": st.lists(KINDS["scores"][1], min_size=2, max_size=2)}
    | {
        name: st.tuples(st.tuples(each, each), st.tuples(each, each), st.tuples(each, each)).map(np.array)
        for name, each in (("image", KINDS["scores"][1]), ("grid", KINDS["tokens"][1]))
    }
    # Several labels: a list of class names, none, one or all.
    | {"labels": st.lists(st.sampled_from(["a", "é", "c, d"]), unique=True)}
)
NESTED = {"image": pa.float32(), "grid": pa.int64()}
DTYPES = {"tokens": tf.int64, "scores": tf.float32, "tags": tf.string, "photos": tf.string}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> SavedModel:
    """Counts values; what matters is what it is asked with."""
    inputs = {name: tf.TensorSpec([None, None], dtype, name) for name, dtype in DTYPES.items()}
    inputs |= {
        "photo": tf.TensorSpec([None], tf.string, "photo"),
        "vector": tf.TensorSpec([None, 2], tf.float32, "vector"),
        "image": tf.TensorSpec([None, 3, 2], tf.float32, "image"),
        "grid": tf.TensorSpec([None, 3, 2], tf.int64, "grid"),
    }

    class Counts(tf.Module):
        @tf.function(input_signature=[inputs])
        def __call__(self, columns):
            return {"bytes": tf.strings.length(columns["photo"])}

    module, path = Counts(), tmp_path_factory.mktemp("model")
    tf.saved_model.save(module, str(path), signatures=module.__call__.get_concrete_function(inputs))
    return SavedModel(path)


def table(rows) -> pa.Table:
    columns = {name: pa.array([row[name] for row in rows], kind) for name, (kind, _) in KINDS.items()}
    return pa.table({
        "id": range(len(rows)), **columns,
        "photo": pa.array([row["photo"] for row in rows], pa.binary()),
        "vector": pa.array([row["vector"] for row in rows], pa.list_(pa.float32())),
        **{name: pa.array([row[name].tolist() for row in rows], pa.list_(pa.list_(kind)))
           for name, kind in NESTED.items()},
        "labels": pa.array([row["labels"] for row in rows], pa.list_(pa.string())),
    })  # fmt: skip


def nested(row, shapes):
    """A row with the shape that its lists of lists had."""
    return row | {name: np.array(row[name]).reshape(shape).tolist() for name, shape in shapes.items()}


def as_json(value):
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def as_bytes(value):
    if isinstance(value, list):
        return [as_bytes(each) for each in value]
    return value.encode() if isinstance(value, str) else value


@given(rows=st.lists(ROW, min_size=30, max_size=40))
@settings(max_examples=tries(3, 8), deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("format", ["parquet", "tfrecord"])
def test_rows_come_back_value_for_value(model, format, rows):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        pyarrow.parquet.write_table(table(rows), root / "rows.parquet")
        ingesting.ingest(root, str(root / "rows.parquet"), options={"format": format})
        examples = ingesting.rows(root)
        shapes = layouts.read_manifest(root / "out").shapes
        assert shapes == {name: [3, 2] for name in NESTED}
        assert [nested(row, shapes) for row in examples] == table(rows).to_pylist()

        unasked = ("id", "labels")
        asked = [
            {name: as_json(value) for name, value in nested(row, shapes).items() if name not in unasked}
            for row in examples
        ]
        prediction = model.predict(json.dumps({"instances": asked}).encode())
        log = RequestLog(Settings(root / "log"))
        log.answered(Key("m", 1, "serving_default"), Answered("a", 1e9, 1.0, prediction.inputs, prediction.outputs))
        log.close()
        traffic = read_log.read(
            str(root / "log"), "m", "1", read_log.Period(LONG_AGO, LATER), (1000, "serving_default")
        )
        assert not traffic.unreadable
        logged = read_log.columns(traffic.rows, "inputs").to_pylist()
        assert len(logged[0]) == len(asked[0])
        assert [{name: as_bytes(row[name]) for name in row} for row in logged] == [
            {name: as_bytes(row[name]) for name in logged[0]} for row in examples
        ]


def test_files_of_texts_and_files_of_bytes_are_one_traffic(model, tmp_path):
    for number, photos in enumerate([["text"], [b"\xff"], ["é", b"\xfe"]]):
        row = {"photo": as_json(photos[-1]), "photos": as_json(photos), "vector": [0, 1]}
        row |= dict.fromkeys(NESTED, [[0, 1]] * 3)
        prediction = model.predict(json.dumps({"instances": [row]}).encode())
        log = RequestLog(Settings(tmp_path))
        answered = Answered(f"r{number}", 1e9 + number, 1.0, prediction.inputs, prediction.outputs)
        log.answered(Key("m", 1, "serving_default"), answered)
        log.close()
    traffic = read_log.read(str(tmp_path), "m", "1", read_log.Period(LONG_AGO, LATER), (1000, "serving_default"))
    assert not traffic.unreadable
    inputs = read_log.columns(traffic.rows, "inputs")
    assert inputs["photo"].to_pylist() == [b"text", b"\xff", b"\xfe"]
    assert inputs["photos"].to_pylist() == [[b"text"], [b"\xff"], ["é".encode(), b"\xfe"]]
    assert inputs["tags"].to_pylist() == [None, None, None]
