"""Every row of a dataset is scored once, keys and all; a killed run goes on, another model or input starts afresh."""

import dataclasses
import datetime
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import predicting
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.predict_batch import plan, shard, work
from kfp_ct.data import layouts, reading


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return predicting.save(tmp_path_factory.mktemp("model"))


@pytest.fixture
def examples(tmp_path):
    return predicting.dataset(tmp_path / "examples", rows=1_000)


def request(examples, model, **changes):
    return work.PredictionRequest(
        **{"examples_path": examples, "model_path": model, "model_version": "7", "keys": ["id"]} | changes
    )


def scored(written):
    files = layouts.split_files(written.folder, "predict")
    return pa.concat_tables(pyarrow.parquet.read_table(file) for file in files)


def test_every_row_is_scored_with_its_key_model_version_and_time(examples, model, tmp_path, capsys):
    written = work.predict(request(examples, model, carry=["colour"]), {}, str(tmp_path / "out"), shard_rows=300)

    found = scored(written)
    rows = pa.Table.from_batches(reading.iter_batches(layouts.split_files(examples, "predict")))
    assert found.column_names == ["id", "colour", "pair", "score", "model_version", "predicted_at"]
    assert found["id"].to_pylist() == rows["id"].to_pylist(), "in the order of the input"
    assert found["colour"].to_pylist() == rows["colour"].to_pylist()
    np.testing.assert_allclose(found["score"].to_numpy(), predicting.expected(rows), rtol=1e-6)
    assert [len(pair) for pair in found["pair"].to_pylist()] == [2] * 1_000
    assert found["model_version"].unique().to_pylist() == ["7"]
    assert found.schema.field("predicted_at").type == pa.timestamp("us", "UTC")
    (at,) = found["predicted_at"].unique().to_pylist()
    assert abs(datetime.datetime.now(datetime.UTC) - at) < datetime.timedelta(minutes=10)
    assert written.metadata["rows"] == 1_000
    assert written.metadata["files"] == 4
    assert "summary: 1,000 rows scored by v7 in 4 files" in capsys.readouterr().out
    summary = layouts.read_json(tmp_path / "out" / layouts.SUMMARY)
    assert sum(summary["outputs"]["score"]["histogram"]) == 1_000
    assert summary["outputs"]["score"]["mean"] == pytest.approx(np.mean(predicting.expected(rows)), rel=1e-5)


def test_predictions_are_a_dataset_that_the_other_steps_read(examples, model, tmp_path):
    written = work.predict(request(examples, model), {}, str(tmp_path / "out"))
    manifest = layouts.read_manifest(written.folder)
    assert manifest.split("predict").rows == 1_000
    assert manifest.columns["id"] == "string"
    assert next(reading.iter_batches(layouts.split_files(written.folder, "predict"), batch_rows=10)).num_rows == 10


def test_a_killed_run_goes_on_and_finished_shards_are_not_scored_again(examples, model, tmp_path, capsys):
    arguments = [sys.executable, str(Path(predicting.__file__)), examples, model, str(tmp_path / "kept")]
    killed = subprocess.run(arguments, capture_output=True, text=True, env={**os.environ, "DIE_IN_SHARD": "2"})
    assert killed.returncode == -9, killed.stderr
    (folder,) = (tmp_path / "kept").iterdir()
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("predictions-*")}
    assert len(before) == 2
    assert list(folder.glob(".*.partial"))
    assert not (folder / layouts.MANIFEST).exists()

    destination = {"folder": str(tmp_path / "kept")}
    written = work.predict(request(examples, model), destination, str(tmp_path / "out"), shard_rows=300)

    assert written.folder == str(folder)
    assert "600 of 1,000 rows were scored by a run before" in capsys.readouterr().out
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("predictions-*")}
    assert {name: after[name] for name in before} == before
    assert len(scored(written)["predicted_at"].unique()) == 1, "the time is the first run's"
    assert not list(folder.glob(".*.partial"))
    rows = pa.Table.from_batches(reading.iter_batches(layouts.split_files(examples, "predict")))
    np.testing.assert_allclose(scored(written)["score"].to_numpy(), predicting.expected(rows), rtol=1e-6)


def test_a_finished_prediction_is_not_made_again(examples, model, tmp_path):
    destination = {"folder": str(tmp_path / "kept")}
    first = work.predict(request(examples, model), destination, "", shard_rows=300)
    again = work.predict(request(examples, model), destination, "", shard_rows=300)
    assert again == first


@pytest.mark.parametrize("what", ["model", "version", "rows", "keys", "carry"])
def test_whatever_changes_the_predictions_starts_afresh(examples, model, tmp_path, what):
    changes = {
        "model": lambda: {"model_path": predicting.save(tmp_path / "other", slope=2.0)},
        "version": lambda: {"model_version": "8"},
        "rows": lambda: {"examples_path": predicting.dataset(tmp_path / "others", rows=1_000, seed=1)},
        "keys": lambda: {"keys": ["id", "count"]},
        "carry": lambda: {"carry": ["colour"]},
    }
    destination = {"folder": str(tmp_path / "kept")}
    first = work.predict(request(examples, model), destination, "", shard_rows=300)
    other = work.predict(request(examples, model, **changes[what]()), destination, "", shard_rows=300)

    assert other.folder != first.folder
    assert scored(first).num_rows == scored(other).num_rows == 1_000, "the first are still there"


def test_a_task_that_is_retried_in_its_own_folder_keeps_nothing_of_another_prediction(examples, model, tmp_path):
    work.predict(request(examples, model), {}, str(tmp_path / "out"), shard_rows=300)
    work.predict(request(examples, model, model_version="8"), {}, str(tmp_path / "out"), shard_rows=600)

    assert len(list((tmp_path / "out").glob("predictions-*"))) == 2
    assert len(list((tmp_path / "out" / shard.RECORDS).iterdir())) == 2


def test_a_damaged_shard_is_scored_again(examples, model, tmp_path):
    destination = {"folder": str(tmp_path / "kept")}
    first = work.predict(request(examples, model), destination, "", shard_rows=300)
    damaged = Path(first.folder) / "predictions-00001-of-00004.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-10])

    assert scored(work.predict(request(examples, model), destination, "", shard_rows=300)).num_rows == 1_000


@pytest.mark.parametrize(("fraction", "passes"), [(0.0, False), (0.009, False), (0.01, True), (1.0, True)])
def test_predictions_that_are_not_finite_are_counted_and_bounded(model, tmp_path, fraction, passes):
    examples = predicting.dataset(tmp_path / "examples", rows=1_000, infinite=10)
    asked = request(examples, model, max_nonfinite_fraction=fraction)
    if passes:
        assert work.predict(asked, {}, str(tmp_path / "out")).metadata["nonfinite"] == 10
        return
    with pytest.raises(
        DataError, match=r"10 of 1,000 rows \(1.*%\) have a prediction that is NaN or infinite\nexpected"
    ):
        work.predict(asked, {}, str(tmp_path / "out"))
    assert not (tmp_path / "out" / layouts.MANIFEST).exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"keys": ["flight"]},
            "keys and carry name flight, which the examples do not have\nexpected: columns among id",
        ),
        ({"carry": ["shape"]}, "keys and carry name shape"),
        ({"carry": ["id"]}, "two columns of the predictions would be named id"),
        ({"signature": "regress"}, "the model v7 has no signature regress\nexpected: one of"),
        ({"signature": "total"}, "the model's output sum has the shape"),
        ({"signature": "wide"}, r"the model v7 needs the columns \['height'\], which the examples do not have"),
        ({"signature": "mistyped"}, "column size is float, the schema or the model says"),
        ({"max_nonfinite_fraction": 1.5}, "max_nonfinite_fraction is 1.5"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_says_in_one_message_what_does_not_fit(examples, model, tmp_path, changes, message):
    with pytest.raises((ConfigurationError, DataError), match=message):
        work.predict(request(examples, model, **changes), {}, str(tmp_path / "out"))
    assert not list((tmp_path / "out").glob("predictions-*"))


def test_refuses_a_destination_it_does_not_know(examples, model, tmp_path):
    with pytest.raises(ConfigurationError, match=r"destination\.fodler is not a setting: did you mean folder"):
        work.predict(request(examples, model), {"fodler": "x"}, str(tmp_path / "out"))


def test_no_rows_are_no_prediction(model, tmp_path):
    examples = predicting.dataset(tmp_path / "none", rows=0)
    with pytest.raises(DataError, match="holds 0 rows, its manifest says 0\nexpected: at least one row"):
        work.predict(request(examples, model), {}, str(tmp_path / "out"))


def test_rows_that_are_missing_are_noticed_before_anything_is_scored(examples, model, tmp_path):
    files = layouts.split_files(examples, "predict")
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(files[0]).slice(0, 10), files[0])
    with pytest.raises(DataError, match="its manifest says 1,000"):
        work.predict(request(examples, model), {}, str(tmp_path / "out"))


def test_a_shard_that_lost_rows_is_noticed(examples, model, tmp_path):
    written = work.predict(request(examples, model), {"folder": str(tmp_path)}, "", shard_rows=300)
    planned = plan.shards(examples, 300)
    (Path(written.folder) / planned[1].file).unlink()
    job = shard.Job(
        written.metadata["fingerprint"], written.folder, model, "7", "serving_default", ("id",), ("id",), ""
    )
    with pytest.raises(DataError, match=r"predictions-00001-of-00004.parquet does not hold the 300 rows"):
        work._total(job, planned)


def test_a_model_of_serialised_examples_is_asked_with_all_columns(examples, model, tmp_path):
    found = scored(work.predict(request(examples, model, signature="examples"), {}, str(tmp_path / "out")))
    rows = pa.Table.from_batches(reading.iter_batches(layouts.split_files(examples, "predict")))
    np.testing.assert_allclose(found["score"].to_numpy(), predicting.expected(rows), rtol=1e-6)


@pytest.mark.usefixtures("real_interpreter")
def test_memory_does_not_grow_with_the_rows(model, tmp_path):
    peaks = []
    for rows in (200_000, 1_200_000):
        examples = predicting.dataset(tmp_path / f"{rows}", rows=rows)
        command = [sys.executable, str(Path(predicting.__file__)), examples, model, str(tmp_path / "kept")]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(result.stdout.split()[-1]))
    assert peaks[1] - peaks[0] < 150 * 2**20, peaks


def test_a_dataset_of_another_format_is_refused(examples, model, tmp_path):
    manifest = layouts.read_manifest(examples)
    layouts.write_manifest(examples, dataclasses.replace(manifest, format="tfrecord"))
    with pytest.raises(DataError, match="is tfrecord\nexpected: Parquet"):
        work.predict(request(examples, model), {}, str(tmp_path / "out"))
