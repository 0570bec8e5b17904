"""What a replay does with real data and models: windows are read by ingest, rows answered as the service does."""

import datetime
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import small_examples
from kfp_ct.base.errors import CtError
from kfp_ct.components.register import work as registering
from kfp_ct.data import feature_statistics, layouts
from kfp_ct.models import blessing
from kfp_ct.replay import worker
from kfp_ct.replay.tasks import Desk
from release_artifacts import make_run

LABEL, WINDOW = "label", ["2013-03-01T00:00:00", "2013-03-04T00:00:00"]


def save(folder, sign):
    """A model that knows that large and light rows are ones, or takes it the other way round."""
    specs = {name: tf.TensorSpec([None], tf.float32, name) for name in ("size", "weight")}

    @tf.function(input_signature=[specs])
    def predict(features):
        weight = tf.where(tf.math.is_nan(features["weight"]), 0.0, features["weight"])
        return {"probability": tf.sigmoid(sign * (features["size"] - weight))[:, None]}

    module = tf.Module()
    module.predict = predict
    tf.saved_model.save(module, str(folder), tf.function(lambda **f: predict(f)).get_concrete_function(**specs))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Rows of a week, a registry with two versions, the second of which is served."""
    root = tmp_path_factory.mktemp("replayed")
    table = small_examples.table(3_500, seed=3)
    days = [datetime.datetime(2013, 3, 1) + datetime.timedelta(minutes=2 * row) for row in range(len(table))]
    pyarrow.csv.write_csv(table.append_column("moment", pa.array(days)), root / "rows.csv")
    columns = "id, CAST(size AS FLOAT) AS size, CAST(weight AS FLOAT) AS weight, count, colour, label"
    (root / "rows.sql").write_text(
        f"SELECT {columns} FROM rows "
        "WHERE moment >= CAST(@window_start AS TIMESTAMP) AND moment < CAST(@window_end AS TIMESTAMP)"
    )
    for name, sign in (("one", -1.0), ("two", 1.0)):
        save(root / name, sign)
        _register(root, name, table)
    shutil.copytree(root / "two", root / "serving" / "small" / "2")
    return root


def _register(root, name, table):
    run = make_run(root / "runs" / name, name, saved_model=root / name)
    layouts.write_text(Path(run.model) / layouts.TRAINING / layouts.SCHEMA, small_examples.SCHEMA)
    statistics = layouts.split_path(run.statistics, "train") / layouts.STATISTICS_FILE
    statistics.write_bytes(feature_statistics.compute(table.to_batches(), "train").SerializeToString())
    evaluation = {"label": LABEL, "task": "binary", "gates": {"metric": "auc"}, "baseline": {"metric": "auc"}}
    layouts.write_json(Path(run.evaluation) / layouts.SUMMARY, evaluation)
    checks = [blessing.Check("auc", True, "it is good")]
    final = blessing.extended(blessing.decide(run.model, checks), blessing.VALIDATE_INFRA, checks)
    blessing.write(run.blessing, final)
    registering.register(run.candidate(name), f"sqlite:///{root}/registry.db", "small")


def read(place, window=WINDOW, name="march"):
    request = {
        "sources": {"rows": {"uri": str(place / "rows.csv")}}, "query": str(place / "rows.sql"), "split": {},
        "window_start": window[0], "window_end": window[1],
    }  # fmt: skip
    return Desk().read(request, str(place / name))


def answer(place, desk, file="answers.parquet"):
    where = {"serving": str(place / "serving"), "model": "small", "log": str(place / "log"),
             "answers": str(place / file)}  # fmt: skip
    return desk.answer(where, str(place / "march"), WINDOW, LABEL)


def test_only_the_rows_of_the_window_are_read_and_an_empty_one_has_none(place):
    assert read(place) == {"rows": 3 * 720}
    assert read(place) == {"rows": 3 * 720}
    assert read(place, ["2014-01-01T00:00:00", "2014-02-01T00:00:00"], "empty") == {"rows": 0}


def test_rows_are_answered_by_what_is_served_logged_and_monitored(place):
    read(place)
    desk, registry = Desk(), f"sqlite:///{place}/registry.db"
    assert desk.champion(registry, "small") == {"version": "2", "trained_until": "2013-06-01"}
    assert answer(place, desk) == {"version": "2"}
    assert answer(place, desk) == {"version": "2"}  # again, as after a kill: the log has it once
    found = desk.measure(registry, "small", "2", [str(place / "answers.parquet")])
    assert found["rows"] == 2160
    assert 0.99 < found["low"] <= found["value"] <= 1

    logs = list((place / "log").rglob("*.parquet"))
    assert [path.parent.name for path in logs] == ["2"]
    table = pq.read_table(logs[0])
    assert len(table) == 2160
    assert str(min(table["time"].to_pylist())) >= "2013-03-01"
    assert str(max(table["time"].to_pylist())) < "2013-03-04"
    assert table["inputs"].combine_chunks().field("weight").null_count > 100  # what was missing was left out

    where = {"registry": registry, "model": "small", "log": str(place / "log"),
             "history": str(place / "monitoring.jsonl"), "folder": str(place / "report")}  # fmt: skip
    line = desk.monitor(where, WINDOW, {}, [str(place / "answers.parquet")])
    assert (line["rows"], line["labelled"], line["version"]) == (2160, 2160, "2")
    assert line["value"] == pytest.approx(found["value"])
    assert desk.monitor(where, WINDOW, {}, [])["labelled"] == 0  # no label is known yet
    assert len((place / "monitoring.jsonl").read_text().splitlines()) == 1


def test_another_version_is_asked_about_the_same_rows_and_nothing_is_logged(place):
    read(place)
    desk, registry = Desk(), f"sqlite:///{place}/registry.db"
    before = sorted((place / "log").rglob("*")) if (place / "log").exists() else []
    about = {"examples": str(place / "march"), "label": LABEL, "answers": str(place / "other.parquet")}
    desk.answer_by(registry, "small", "1", about)
    assert desk.measure(registry, "small", "1", [str(place / "other.parquet")])["value"] < 0.01
    assert (sorted((place / "log").rglob("*")) if (place / "log").exists() else []) == before


def test_the_worker_answers_line_by_line_and_says_what_is_wrong(place):
    asked = [
        {"task": "champion", "registry": f"sqlite:///{place}/registry.db", "model": name} for name in ("small", "x")
    ]
    out = io.StringIO()
    worker.serve(io.StringIO("".join(json.dumps(each) + "\n" for each in asked)), out)
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first["result"]["version"] == "2"
    assert "has no champion of x" in second["error"]


def test_a_model_that_asks_for_what_the_query_does_not_select_is_named(place, tmp_path):
    read(place)
    table = pa.table({"label": np.zeros(4, np.int64)})
    from kfp_ct.testing import datasets

    datasets.write(tmp_path / "rows", {"predict": table})
    where = {"serving": str(place / "serving"), "model": "small", "log": str(tmp_path), "answers": str(tmp_path / "a")}
    with pytest.raises(CtError, match="asks for size, weight"):
        Desk().answer(where, str(tmp_path / "rows"), WINDOW, LABEL)
