"""Tuning: a real Keras Tuner finds values, in one process or two; failures and kills cost no more than themselves."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet
import pytest

import seaweedfs
import small_examples
from kfp_ct.base import setting_problems
from kfp_ct.base.errors import ConfigurationError, DataError, TrainingError
from kfp_ct.components.tune import rows, work
from kfp_ct.components.tune.settings import Tuning
from kfp_ct.data import layouts, reading, tfrecord
from kfp_ct.storage import storage
from repository import ROOT
from tuning import request, write_module


@pytest.fixture(scope="module")
def prepared(shared, tmp_path_factory):
    """Fewer rows; of which ones the graph is made changes nothing here."""
    _, schema, graph = small_examples.shared_graph(shared)
    return small_examples.write(tmp_path_factory.mktemp("small") / "examples", small_examples.table(600)), schema, graph


class Bench:
    def __init__(self, root, prepared):
        self.root, self.prepared = root, prepared
        self.outputs = work.Outputs(str(root / "trials"), str(root / "view.html"))

    def tune(self, tuning, sabotage="", **hyperparameters):
        asked = request(self.prepared, write_module(self.root, sabotage), tuning, **hyperparameters)
        return work.tune(asked, self.outputs)

    @property
    def summary(self):
        return layouts.read_json(self.root / "trials" / "summary.json")

    @property
    def page(self):
        return (self.root / "view.html").read_text()


@pytest.fixture
def bench(tmp_path, prepared):
    return Bench(tmp_path, prepared)


def test_without_settings_the_hyperparameters_are_handed_on(bench, capsys):
    assert bench.tune({}, epochs=3.0, hidden=[8]) == {"epochs": 3.0, "hidden": [8]}
    assert bench.summary["trials"] == []
    assert "No search" in bench.page
    assert "summary: no search" in capsys.readouterr().out


@pytest.mark.usefixtures("real_interpreter")
def test_handing_on_imports_nothing_heavy():
    script = (
        "import sys, tempfile; from kfp_ct.components.tune import work; d = tempfile.mkdtemp();"
        "work.tune(work.TuningRequest('', '', '', ''), work.Outputs(d, d + '/view.html'));"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'keras_tuner', 'pyarrow')))"
    )
    root = ROOT
    assert subprocess.run([sys.executable, "-c", script], cwd=root, check=False).returncode == 0


def test_the_best_trials_values_come_under_those_given(bench, capsys):
    tuning = {"trials": 3.0, "epochs": 2.0, "rows": 300.0, "objective": "val_accuracy"}
    found = bench.tune(tuning, rate=0.5, epochs=9, train_steps=4)
    summary = bench.summary
    assert len(summary["trials"]) == 3
    best = max(summary["trials"], key=lambda trial: trial["score"])
    assert summary["best"] == best["id"]
    chosen = {"units": best["values"]["units"], "rate": 0.5, "epochs": 9, "train_steps": 4}
    assert found == chosen == summary["hyperparameters"]
    assert summary["overruled"] == ["rate"]
    assert (summary["rows"], summary["held_out_rows"]) == (240, 60)
    assert {trial["worker"] for trial in summary["trials"]} == {"worker-1"}
    said = capsys.readouterr().out
    assert "progress: trial 3/3: val_accuracy" in said
    assert f"summary: 3 trials, best val_accuracy {best['score']:.4f}" in said
    assert f"Trial {best['id']} is the best" in bench.page
    assert "own values were kept for rate" in bench.page


def test_two_processes_share_the_trials(bench):
    bench.tune({"trials": 4, "parallel": 2, "rows": 200}, "time.sleep(1)")
    trials = bench.summary["trials"]
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * 4
    assert {trial["worker"] for trial in trials} == {"worker-1", "worker-2"}
    assert len({str(trial["values"]) for trial in trials}) == 4


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_trial_that_fails_costs_no_other(bench, parallel):
    tuning = {"trials": 4, "parallel": parallel, "rows": 200}
    bench.tune(
        tuning, "if units % 2: raise ValueError('an odd number')" if parallel == 1 else "if units % 2: os._exit(3)"
    )
    trials = bench.summary["trials"]
    failed = [trial for trial in trials if trial["score"] is None]
    assert [trial["values"]["units"] % 2 for trial in trials] == [int(trial in failed) for trial in trials]
    assert 0 < len(failed) < 4
    why = "an odd number" if parallel == 1 else "its process stopped unexpectedly"
    assert all(why in trial["why"] for trial in failed)
    assert why in bench.page


def test_a_score_that_is_not_a_number_is_a_failure(bench):
    bench.tune({"trials": 4, "rows": 200}, NAN_IF_ODD)
    failed = [trial["why"] for trial in bench.summary["trials"] if trial["score"] is None]
    assert failed
    assert set(failed) == {"val_accuracy is nan"}


NAN_IF_ODD = """
class Broken(keras.metrics.Metric):
    def __init__(self, **kwargs): super().__init__(name="accuracy")
    def update_state(self, *args, **kwargs): pass
    def result(self): return tf.constant(float("nan"))
    def reset_state(self): pass
if units % 2:
    model.compile("adam", "binary_crossentropy", metrics=[Broken()], run_eagerly=True)
"""


# The tuner builds a model with the defaults before any trial, and 0.0 is this value's.
ALWAYS = "if hp.Float('depth', 0.0, 1.0): raise ValueError('no model')"


@pytest.mark.parametrize("parallel", [1, 2])
def test_no_completed_trial_fails_and_three_in_a_row_are_enough(bench, parallel):
    with pytest.raises(TrainingError) as raised:
        bench.tune({"trials": 9, "parallel": parallel, "rows": 200}, ALWAYS)
    lines = str(raised.value).splitlines()
    assert lines[0] in ("no trial of 3 was completed", "no trial of 4 was completed")
    assert "no model" in lines[1]
    assert lines[-1].startswith("fix: correct tuner_fn of")


def start(bench, folder, parallel):
    """Starts a search of slow trials in a process of its own."""
    module = write_module(bench.root, "time.sleep(0.5)")
    script = f"""
import sys; sys.path.insert(0, {str(ROOT / "tests" / "helpers")!r})
from tuning import request
from kfp_ct.components.tune import work
asked = request({bench.prepared!r}, {module!r}, {{"trials": 5, "parallel": {parallel}, "rows": 200}}, {str(folder)!r})
work.tune(asked, work.Outputs({str(bench.root / "trials")!r}, {str(bench.root / "view.html")!r}))
"""
    root = ROOT
    return subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [1, 2])
def test_a_killed_search_goes_on_where_it_was(bench, tmp_path, parallel):
    folder = tmp_path / "checkpoints"
    search = start(bench, folder, parallel)
    completed = set()
    while len(completed) < 2:
        assert search.poll() is None
        completed = {file for file in folder.glob("tune-*/small/trial_*/trial.json") if "COMPLETED" in file.read_text()}
        time.sleep(0.05)
    os.kill(search.pid, signal.SIGKILL)
    search.wait()
    kept = {file.parent.name.removeprefix("trial_") for file in completed}
    again = start(bench, folder, parallel)
    said, _ = again.communicate()
    assert again.returncode == 0
    assert "progress: goes on after" in said
    trials = bench.summary["trials"]
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * 5
    assert {trial["id"] for trial in trials if trial["seconds"] is None} >= kept
    assert not list(folder.glob("tune-*"))


def test_a_search_that_was_ended_goes_on_from_its_state_in_a_bucket(bench, monkeypatch, capsys):
    stop = (
        'seen = build.__dict__.setdefault("seen", set())\n'
        "seen.add(str(sorted(hp.values.items())))\n"
        'if os.environ.get("STOP") and len(seen) > 2: raise KeyboardInterrupt'
    )
    module = write_module(bench.root, stop)
    asked = request(bench.prepared, module, {"trials": 4, "rows": 100}, "s3://data/checkpoints")
    with seaweedfs.running() as store:
        for name, value in {**store.environment(), "STOP": "1"}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(KeyboardInterrupt):
            work.tune(asked, bench.outputs)
        kept = {each.file_name for each in storage.list_folder("s3://data/checkpoints")}
        assert {"oracle.json", "tuner0.json", "trial.json"} <= kept
        monkeypatch.delenv("STOP")
        work.tune(asked, bench.outputs)
        assert storage.list_folder("s3://data/checkpoints") == [], "what has ended leaves nothing"
    assert re.search(r"goes on after [1-3] completed trials", capsys.readouterr().out)
    assert [trial["status"] for trial in bench.summary["trials"]] == ["COMPLETED"] * 4


def test_a_damaged_state_starts_over(bench, tmp_path, capsys):
    folder = tmp_path / "checkpoints"
    asked = request(bench.prepared, write_module(bench.root), {"trials": 1, "rows": 100}, str(folder))
    project = folder / f"tune-{work._key(asked)}" / "small"
    layouts.write_text(project / "tuner0.json", "{}")
    layouts.write_text(project / "oracle.json", '{"ongoing')
    work.tune(asked, bench.outputs)
    assert "damaged: starts over" in capsys.readouterr().out
    assert len(bench.summary["trials"]) == 1


@pytest.mark.parametrize(
    ("tuning", "said"),
    [
        ({"trails": 3}, "tuning.trails is not a setting: did you mean trials"),
        ({"trials": -1}, "tuning.trials is -1: expected a whole number of 0 or more"),
        ({"parallel": "two"}, 'tuning.parallel is "two"'),
        ({"rows": True}, "tuning.rows is true: expected a whole number"),
        ({"objective": 3}, "tuning.objective is 3"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(tuning, said):
    with pytest.raises(ConfigurationError, match=said):
        setting_problems.read(Tuning, tuning, "tuning")


def test_an_objective_that_the_tuner_does_not_have_is_refused(bench):
    with pytest.raises(ConfigurationError, match=r"objective is val_accuracy, tuning.objective is val_auc"):
        bench.tune({"objective": "val_auc", "rows": 100})


def test_a_module_without_a_tuner_is_refused(bench):
    module = Path(write_module(bench.root))
    module.write_text("def tuner_fn(fn_args): return 3")
    with pytest.raises(ConfigurationError, match="returned int"):
        work.tune(request(bench.prepared, str(module), {"trials": 1}), bench.outputs)
    module.write_text("x = 1")
    with pytest.raises(ConfigurationError, match="tuner_fn"):
        work.tune(request(bench.prepared, str(module), {"trials": 1}), bench.outputs)


def test_rows_are_drawn_from_the_train_split_and_held_out_of_it(tmp_path, prepared):
    everything = rows.draw(prepared[0], 0, tmp_path)
    fit, held = (
        pyarrow.parquet.read_table(file)["id"].to_pylist() for [file] in (everything.train_files, everything.eval_files)
    )
    assert (len(fit), len(held)) == (480, 120) == (everything.train_rows, everything.eval_rows)
    assert sorted([*fit, *held]) == sorted(f"row-{index}" for index in range(600))
    (tmp_path / "again").mkdir()
    few = [rows.draw(prepared[0], 50, folder) for folder in (tmp_path, tmp_path / "again")]
    first, second = (pyarrow.parquet.read_table(drawn.train_files[0]) for drawn in few)
    assert first.equals(second)
    assert len(first) == 40


def test_fewer_than_two_rows_are_refused(tmp_path):
    examples = small_examples.write(tmp_path / "one", small_examples.table(1), shards=1)
    with pytest.raises(DataError, match="the train split has 1 rows to tune on"):
        rows.draw(examples, 0, tmp_path)


def test_rows_stay_in_the_format_they_came_in(tmp_path, prepared):
    manifest = layouts.read_manifest(prepared[0])
    kinds, files = manifest.columns, layouts.split_files(prepared[0], "train")
    (tmp_path / "examples/Split-train").mkdir(parents=True)
    tfrecord.write(tmp_path / "examples/Split-train/data_tfrecord.gz", reading.iter_batches(files), kinds)
    split = layouts.Split("train", 600, ["Split-train/data_tfrecord.gz"])
    layouts.write_manifest(tmp_path / "examples", dataclasses.replace(manifest, splits=[split], format="tfrecord"))
    drawn = [rows.draw(examples, 50, tmp_path) for examples in (prepared[0], str(tmp_path / "examples"))]
    parquet, records = ([batch["id"].to_pylist() for batch in reading.iter_batches(each.train_files)] for each in drawn)
    assert parquet == records
    assert layouts.is_tfrecord(drawn[1].train_files[0])
