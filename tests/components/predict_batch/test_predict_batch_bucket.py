"""Predictions in a bucket: shard by shard, the manifest last; what a killed run published is taken as it is."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import predicting
import seaweedfs
from kfp_ct.components.predict_batch import work
from kfp_ct.data import layouts, reading
from kfp_ct.storage import storage

KEPT = "s3://data/predictions"


@pytest.fixture(scope="module", autouse=True)
def store():
    with seaweedfs.running() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment().items():
            patch.setenv(name, value)
        yield running


def names(folder: str) -> set[str]:
    return {each.uri.removeprefix(f"{folder}/") for each in storage.list_folder(folder)}


def test_a_killed_run_goes_on_elsewhere_with_what_is_in_the_bucket(tmp_path, capsys):
    examples = predicting.dataset(tmp_path / "examples", rows=1_000)
    model = predicting.save(tmp_path / "model")
    arguments = [sys.executable, str(Path(predicting.__file__)), examples, model, KEPT]
    dying = {**os.environ, "DIE_IN_SHARD": "2", "OUTPUT": str(tmp_path / "first")}
    killed = subprocess.run(arguments, capture_output=True, text=True, env=dying)
    assert killed.returncode == -9, killed.stderr
    (folder,) = {each.uri.rpartition("/")[0].removesuffix("/_shards") for each in storage.list_folder(KEPT)}
    assert {name for name in names(folder) if name.endswith(".parquet")} == {
        "predictions-00000-of-00004.parquet", "predictions-00001-of-00004.parquet",
    }  # fmt: skip
    assert layouts.MANIFEST not in names(folder), "nobody takes it for finished"
    before = {each.uri: each.version for each in storage.list_folder(folder)}
    storage.delete(f"{folder}/_shards/predictions-00001-of-00004.parquet.json")  # as if it was cut off there

    request = work.PredictionRequest(examples, model, "7", ["id"])
    written = work.predict(request, {"folder": KEPT}, str(tmp_path / "second"), shard_rows=300)

    assert "300 of 1,000 rows were scored by a run before" in capsys.readouterr().out
    after = {each.uri: each.version for each in storage.list_folder(folder)}
    assert (
        after[f"{folder}/predictions-00000-of-00004.parquet"] == before[f"{folder}/predictions-00000-of-00004.parquet"]
    )
    assert written.folder == str(tmp_path / "second"), "the artifact is the run's own, and whole"
    assert written.metadata["folder"] == folder
    there = tmp_path / "there"
    storage.download((each, there / each.uri.removeprefix(f"{folder}/")) for each in storage.list_folder(folder))
    rows = pa.Table.from_batches(reading.iter_batches(layouts.split_files(examples, "predict")))
    for place in (there, Path(written.folder)):
        files = layouts.split_files(str(place), "predict")
        found = pa.concat_tables(pyarrow.parquet.read_table(file) for file in files)
        assert found["id"].to_pylist() == rows["id"].to_pylist()
        np.testing.assert_allclose(found["score"].to_numpy(), predicting.expected(rows), rtol=1e-6)
        assert len(found["predicted_at"].unique()) == 1, "the time is the first run's"

    # In the folder of a killed try nothing is left to score; the upload that it missed is made up for.
    storage.delete(f"{folder}/predictions-00003-of-00004.parquet")
    again = work.predict(request, {"folder": KEPT}, str(tmp_path / "second"), shard_rows=300)
    assert again.metadata == written.metadata
    assert {"predictions-00003-of-00004.parquet", layouts.MANIFEST, layouts.SUMMARY} <= names(folder)
