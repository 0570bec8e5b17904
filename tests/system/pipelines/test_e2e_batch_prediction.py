"""Train on real flights, then score a month with the champion: the whole of it, as a person runs it."""

import json
import subprocess
from pathlib import Path

import pytest

import trained_home
from ct_command import ct, run
from kfp_ct.project.environments import component_python
from repository import ROOT

pytestmark = pytest.mark.slow

BATCH = ("--settings", "batch_prediction-local")
# Asks the SavedModel itself, row by row of the ingested dataset, and compares by key.
COMPARE = """
import sys
import numpy as np, pyarrow as pa, tensorflow as tf
from kfp_ct.data import batches, layouts
from kfp_ct.data import reading
examples, predictions, model = sys.argv[1:]
def read(root):
    return pa.Table.from_batches(reading.iter_batches(layouts.split_files(root, "predict")))
rows, scored = read(examples), read(predictions)
loaded = tf.saved_model.load(f"{model}/Format-Serving")
function = loaded.signatures["serving_default"]
inputs = function.structured_input_signature[1]
(name,) = function.structured_outputs
own = np.concatenate([
    function(**batches.to_signature_inputs(batch, inputs))[name].numpy().ravel()
    for batch in rows.to_batches(max_chunksize=1_000)
])
given = dict(zip(scored["flight_id"].to_pylist(), scored[name].to_pylist()))
assert len(given) == len(own) == scored.num_rows, (len(given), len(own))
print(max(abs(given[key] - value) for key, value in zip(rows["flight_id"].to_pylist(), own)))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def june(home, shared):
    trained_home.copy(shared, home)
    return run(home, *BATCH)


def place(done, task, artifact):
    return done.task(task)["artifacts"][artifact]["uri"]


def test_without_a_champion_it_says_what_to_do_first(tmp_path):
    done = run(tmp_path, *BATCH)
    assert done.code == 4
    assert "has no champion of flights" in done.err
    assert "fix: run the training pipeline first" in done.err


def test_every_departure_of_june_is_scored_as_the_model_itself_does(june):
    assert june.code == 0, june.err
    found = june.summary("predict-batch", "predictions")
    assert found["rows"] == 28_243, "all that were scheduled, cancelled ones too"
    assert found["model_version"] == "1"
    command = [
        component_python(), "-c", COMPARE, place(june, "ingest", "examples"),
        place(june, "predict-batch", "predictions"), place(june, "resolve-model", "model"),
    ]  # fmt: skip
    compared = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert compared.returncode == 0, compared.stderr
    assert float(compared.stdout) < 1e-6


def test_the_run_ends_with_a_report_that_says_what_was_done(home, june):
    folder = home / "runs" / june.record["id"]
    report = json.loads((folder / "report.json").read_text())
    assert report["decision"]["outcome"] == "finished"
    assert report["decision"]["headline"].startswith("Done: 28,243 rows scored by v1")
    assert report["predictions"]["nonfinite"] == 0
    page = (folder / "report.html").read_text()
    assert "could not be drawn" not in page
    assert "Predictions" in page
    assert "no champion" not in page
    assert "28,243 rows scored by v1" in june.err
    listed = json.loads(ct(home, "runs", "--json").out)[0]
    assert (listed["pipeline"], listed["state"]) == ("pipelines.batch_prediction", "SUCCEEDED")


def test_predictions_lie_where_the_settings_say_and_an_unchanged_run_makes_none(home, june):
    written = Path(place(june, "predict-batch", "predictions"))
    assert written.parent == home / "predictions" / "flights"
    before = {path: path.stat().st_mtime_ns for path in written.glob("*.parquet")}

    again = run(home, *BATCH)

    assert again.states() == {
        "resolve-sources": "SUCCEEDED", "ingest": "CACHED", "resolve-model": "SUCCEEDED", "predict-batch": "CACHED",
    }  # fmt: skip
    assert {path: path.stat().st_mtime_ns for path in written.glob("*.parquet")} == before
    assert run(home, *BATCH, "--no-cache").code == 0
    assert {path: path.stat().st_mtime_ns for path in written.glob("*.parquet")} == before, "found finished"


def test_a_compiled_package_passes_the_backends_rules(home, tmp_path):
    package = str(tmp_path / "package.yaml")
    assert ct(home, "compile", "flights", *BATCH, "-o", package).code == 0
    assert "4 executors checked" in ct(home, "check", package).out
