"""Predictions in BigQuery: every row arrives once, by the official client's load jobs, whatever breaks between."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import bigquery_emulator
import predicting
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.predict_batch import loading, plan, shard, work
from kfp_ct.data import layouts

TABLE = "acme.air.scores"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return predicting.save(tmp_path_factory.mktemp("model"))


@pytest.fixture
def examples(tmp_path):
    return predicting.dataset(tmp_path / "examples", rows=1_000)


@pytest.fixture
def warehouse(monkeypatch):
    with bigquery_emulator.running(monkeypatch) as emulator:
        yield emulator


def predict(examples, model, folder: Path, table: str = TABLE, **changes):
    asked = work.PredictionRequest(
        **{"examples_path": examples, "model_path": model, "model_version": "7", "keys": ["id"]} | changes
    )
    return work.predict(asked, {"table": table, "folder": str(folder)}, str(folder / "out"), shard_rows=300)


def assert_arrived_once(warehouse, written) -> None:
    files = layouts.split_files(written.folder, "predict")
    scored = pa.concat_tables(pyarrow.parquet.read_table(file) for file in files).sort_by("id")
    found = warehouse.table(TABLE).sort_by("id")
    assert found["id"].to_pylist() == scored["id"].to_pylist()
    np.testing.assert_array_equal(found["score"].to_numpy(), scored["score"].to_numpy())


def assert_refused(error, *words: str, run) -> None:
    with pytest.raises(error) as caught:
        run()
    lines = str(caught.value).splitlines()
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert len(lines) == 3
    assert lines[1].startswith("expected: ")
    assert lines[2].startswith("fix: ")


def test_every_shard_is_loaded_by_a_job_of_its_own(warehouse, examples, model, tmp_path, capsys):
    written = predict(examples, model, tmp_path, carry=["colour"])

    assert_arrived_once(warehouse, written)
    found = warehouse.table(TABLE)
    assert found.column_names == ["id", "colour", "pair", "score", "model_version", "predicted_at"]
    assert pa.types.is_list(found.schema.field("pair").type)
    assert found.schema.field("predicted_at").type == pa.timestamp("us", "UTC")
    assert len(warehouse.loads.jobs) == 4
    for job in warehouse.loads.jobs.values():
        assert job["configuration"]["labels"] == {"managed_by": "kfp-ct"}
        assert job["configuration"]["load"]["writeDisposition"] == "WRITE_APPEND"
        assert job["configuration"]["load"]["createDisposition"] == "CREATE_IF_NEEDED"
    assert written.metadata["table"] == TABLE
    said = capsys.readouterr().out
    assert f"1,000 rows loaded into {TABLE}\n" in said
    assert f"summary: 1,000 rows scored by v7 in 4 files and {TABLE}" in said


@pytest.mark.parametrize("kept", [True, False], ids=["same folder", "another machine"])
def test_a_repeated_run_loads_nothing_twice(warehouse, examples, model, tmp_path, kept, capsys):
    written = predict(examples, model, tmp_path / "a")
    predict(examples, model, tmp_path / ("a" if kept else "b"))

    assert_arrived_once(warehouse, written)
    assert len(warehouse.loads.uploads) == 4
    assert f"0 rows loaded into {TABLE}; 1,000 were there already" in capsys.readouterr().out


def test_a_run_that_is_killed_between_shards_loads_the_rest_only(warehouse, examples, model, tmp_path, capsys):
    command = [sys.executable, predicting.__file__, examples, model, str(tmp_path / "kept"), TABLE]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    # The shard arrives, but its sender never hears of it.
    warehouse.loads.once_loaded[2] = lambda: (process.kill(), process.wait())
    assert process.wait() == -9
    assert len(warehouse.loads.uploads) == 2

    written = predict(examples, model, tmp_path / "kept")

    assert_arrived_once(warehouse, written)
    assert len(warehouse.loads.uploads) == 4
    assert f"400 rows loaded into {TABLE}; 600 were there already" in capsys.readouterr().out


def test_an_answer_that_is_lost_loads_nothing_twice(warehouse, examples, model, tmp_path):
    warehouse.loads.lost = 1
    assert_arrived_once(warehouse, predict(examples, model, tmp_path))
    assert len(warehouse.loads.uploads) == 5, "the client asked again"


def test_another_prediction_is_appended(warehouse, examples, model, tmp_path):
    predict(examples, model, tmp_path)
    predict(examples, model, tmp_path, model_version="8")
    assert warehouse.table(TABLE).group_by("model_version").aggregate([("id", "count")]).to_pylist() == [
        {"model_version": "7", "id_count": 1_000}, {"model_version": "8", "id_count": 1_000},
    ]  # fmt: skip


def test_a_table_that_was_deleted_is_loaded_anew(warehouse, examples, model, tmp_path):
    predict(examples, model, tmp_path)
    warehouse.database.execute(f"DROP TABLE {TABLE}")
    assert_arrived_once(warehouse, predict(examples, model, tmp_path))


def test_a_large_shard_is_sent_in_pieces(warehouse, tmp_path):
    score = np.random.default_rng(0).normal(size=700_000)
    pyarrow.parquet.write_table(pa.table({"score": score}), tmp_path / "predictions-00000-of-00001.parquet")
    planned = [plan.Shard("", (), len(score), "predictions-00000-of-00001.parquet")]
    job = shard.Job("1" * 64, str(tmp_path), "", "7", "", (), (), "", TABLE)
    loading.load(job, planned)
    assert warehouse.loads.uploads == ["resumable"]
    np.testing.assert_array_equal(warehouse.table(TABLE)["score"].to_numpy(), score)


# What is refused


def test_a_table_of_other_columns_is_one_message_and_mended_by_another(warehouse, examples, model, tmp_path):
    warehouse.database.execute(f"CREATE TABLE {TABLE} AS SELECT 1::BIGINT AS id")

    def run():
        return predict(examples, model, tmp_path / "kept")

    words = (f"{TABLE} does not take the predictions", "Field id has changed type", "id string, pair list")
    assert_refused(ConfigurationError, *words, run=run)
    assert warehouse.table(TABLE).num_rows == 1
    assert not list(tmp_path.glob(f"kept/*/{layouts.MANIFEST}"))

    warehouse.database.execute(f"DROP TABLE {TABLE}")
    assert_arrived_once(warehouse, run())


def test_predictions_that_are_refused_reach_no_table(warehouse, model, tmp_path):
    examples = predicting.dataset(tmp_path / "infinite", rows=1_000, infinite=10)
    with pytest.raises(DataError, match="NaN or infinite"):
        predict(examples, model, tmp_path)
    assert warehouse.loads.uploads == []


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [
        ("acme.gone.scores", DataError, "does not find something: Not found: Dataset acme:gone"),
        ("acme.air.late_view", ConfigurationError, "is a view"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_scored(
    warehouse, examples, model, tmp_path, table, error, words
):
    warehouse.database.execute("CREATE VIEW acme.air.late_view AS SELECT 1 AS id")
    assert_refused(error, words, run=lambda: predict(examples, model, tmp_path / "kept", table))
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("table", ["scores", "acme.air.`x`"])
def test_what_is_no_table_is_refused_before_anything_is_scored(examples, model, tmp_path, table):
    with pytest.raises(ConfigurationError) as refused:
        predict(examples, model, tmp_path / "kept", table)
    first, fix = str(refused.value).splitlines()
    assert first == f'destination.table is "{table}": expected a BigQuery table, project.dataset.table'
    assert fix.startswith("fix: ")
    assert not (tmp_path / "kept").exists()


def test_a_missing_permission_names_the_roles(warehouse, examples, model, tmp_path):
    warehouse.forbidden = True
    words = (f"{TABLE} may not be written", "BigQuery Data Editor", "BigQuery Job User")
    assert_refused(ConfigurationError, *words, run=lambda: predict(examples, model, tmp_path))


def test_a_job_that_loses_rows_is_noticed(warehouse, examples, model, tmp_path):
    warehouse.loads.dropped = 1
    words = "of predictions-00000-of-00004.parquet, 299 of 300 rows"
    assert_refused(DataError, words, run=lambda: predict(examples, model, tmp_path))


def test_rows_that_somebody_deleted_are_noticed(warehouse, examples, model, tmp_path):
    predict(examples, model, tmp_path)
    warehouse.database.execute(f"DELETE FROM {TABLE} WHERE score > 0.5")
    words = ("rows, 1,000 were loaded into it", "delete the table")
    assert_refused(DataError, *words, run=lambda: predict(examples, model, tmp_path))


@pytest.mark.parametrize("reason", ["quotaExceeded", "backendError"])
def test_a_failure_of_bigquery_is_no_users_mistake_and_the_next_run_goes_on(
    warehouse, examples, model, tmp_path, reason
):
    warehouse.loads.failure = {"reason": reason, "message": f"Quota exceeded or so: {reason}"}
    words = (f"BigQuery failed: Quota exceeded or so: {reason}", "fix: run again")
    assert_refused(DataError, *words, run=lambda: predict(examples, model, tmp_path))

    warehouse.loads.failure = {}
    assert_arrived_once(warehouse, predict(examples, model, tmp_path))
