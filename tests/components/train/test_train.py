"""The train component: users' modules as TFX has them, kills, and what is said to a module that fails."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import seaweedfs
import small_examples
from kfp_ct.base.errors import ConfigurationError, DataError, TrainingError
from kfp_ct.components.train import work
from kfp_ct.data import batches, layouts, reading, warm_up
from kfp_ct.storage import storage
from repository import ROOT
from training_modules import MODULE, TFX_MODULE

ROWS = 2_000


@pytest.fixture(scope="module")
def prepared(shared):
    return small_examples.shared_graph(shared, ROWS)


def request_for(prepared, tmp_path, source=MODULE, **changed):
    module = small_examples.write_text(tmp_path / "small_model.py", source)
    fields = {"examples_path": prepared[0], "base_model_path": "", **changed}
    return work.TrainingRequest(graph_path=prepared[2], schema_file=prepared[1], module=module, **fields)


def train(request, tmp_path):
    return work.train(request, str(tmp_path / "model"), str(tmp_path / "run"))


def summary(tmp_path):
    return json.loads((tmp_path / "run/summary.json").read_text())


def load(tmp_path):
    return tf.saved_model.load(str(tmp_path / "model/Format-Serving")).signatures["serving_default"]


def test_a_model_is_trained_and_its_history_kept(prepared, tmp_path, capsys):
    metadata = train(request_for(prepared, tmp_path, hyperparameters={"epochs": 3}), tmp_path)
    assert metadata == {"rows": ROWS, "epochs": 3, "steps": 30}
    told = summary(tmp_path)
    assert [set(epoch) for epoch in told["history"]] == [{"loss", "AUC"}] * 3
    assert told["best_epoch"] == 3
    assert told["history"][2]["loss"] < told["history"][0]["loss"]
    assert load(tmp_path)(size_xf=tf.zeros(3), weight_xf=tf.zeros(3))["probability"].shape == (3, 1)
    assert list((tmp_path / "run").rglob("events.out.tfevents.*"))
    said = capsys.readouterr().out
    assert "progress: epoch 3/3: " in said
    assert "rows/s" in said
    assert said.splitlines()[-1].startswith("summary: trained on 2,000 rows, 3 epochs, 30 steps, best after epoch 3")


def test_a_model_carries_the_schema_and_the_manifest_it_was_trained_by(prepared, tmp_path):
    train(request_for(prepared, tmp_path), tmp_path)
    training = tmp_path / "model" / layouts.TRAINING
    assert (training / layouts.SCHEMA).read_text() == Path(prepared[1]).read_text()
    assert layouts.read_manifest(training) == layouts.read_manifest(prepared[0])


def test_a_seed_decides_the_model(prepared, tmp_path):
    losses = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        train(request_for(prepared, tmp_path / name), tmp_path / name)
        losses.append(summary(tmp_path / name)["history"])
    assert losses[0] == losses[1]


def test_a_tfx_module_runs_unchanged(prepared, tmp_path):
    train(request_for(prepared, tmp_path, TFX_MODULE, hyperparameters={"train_steps": 60, "eval_steps": 2}), tmp_path)
    table = small_examples.table(500, seed=5)
    examples = batches.to_examples(table.drop(["label"]).combine_chunks().to_batches()[0])
    outputs = load(tmp_path)(examples=tf.constant(examples))
    late = next(iter(outputs.values())).numpy()[:, 0] > 0.5
    assert np.mean(late == table["label"].to_numpy()) > 0.8


def test_run_fn_is_given_what_tfx_gives(prepared, tmp_path):
    source = MODULE.replace("def run_fn(fn_args):", "def run_fn(fn_args):\n    global seen; seen = fn_args\n")
    base = tmp_path / "base"
    (base / "Format-Serving").mkdir(parents=True)
    hyperparameters = {"epochs": 1.0, "batch_size": 300.0, "rate": 0.5, "hidden": [8.0], "decay": 1,
                       "whole_floats": {"decay": True}}  # fmt: skip
    request = request_for(prepared, tmp_path, source, hyperparameters=hyperparameters, base_model_path=str(base))
    train(request, tmp_path)
    seen = sys.modules["user_module_small_model"].seen
    assert seen.train_files == layouts.split_files(prepared[0], "train")
    assert seen.eval_files == layouts.split_files(prepared[0], "eval")
    assert seen.schema_path == seen.schema_file == prepared[1]
    assert seen.transform_graph_path == seen.transform_output == prepared[2]
    assert seen.serving_model_dir == str(tmp_path / "model/Format-Serving")
    assert seen.model_run_dir == str(tmp_path / "run")
    assert seen.base_model == str(base / "Format-Serving")
    assert (seen.train_steps, seen.eval_steps) == (7, 1)
    # KFP carries numbers as doubles; whole ones are ints again, but for those that the settings wrote as floats.
    assert repr(seen.hyperparameters) == "{'epochs': 1, 'batch_size': 300, 'rate': 0.5, 'hidden': [8], 'decay': 1.0}"
    assert seen.custom_config == seen.hyperparameters
    assert seen.eval_model_dir
    assert seen.working_dir
    assert seen.data_accessor.record_batch_factory


def test_steps_are_no_hyperparameters(prepared, tmp_path):
    checks = "    assert (fn_args.train_steps, fn_args.eval_steps) == (60, 2)\n    assert not fn_args.hyperparameters\n"
    source = MODULE.replace("def run_fn(fn_args):\n", f"def run_fn(fn_args):\n{checks}")
    train(request_for(prepared, tmp_path, source, hyperparameters={"train_steps": 60.0, "eval_steps": 2.0}), tmp_path)


def test_without_a_base_model_there_is_none(prepared, tmp_path):
    source = MODULE.replace("def run_fn(fn_args):", "def run_fn(fn_args):\n    assert fn_args.base_model is None\n")
    train(request_for(prepared, tmp_path, source, base_model_path=str(tmp_path / "none")), tmp_path)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param("def run_fn(fn_args):\n    pass\n", "left no SavedModel", id="no model"),
        pytest.param(
            "import tensorflow as tf\ndef run_fn(fn_args):\n"
            "    tf.saved_model.save(tf.Module(), fn_args.serving_model_dir)\n",
            "has no signature",
            id="no signature",
        ),
        pytest.param(
            "import os\ndef run_fn(fn_args):\n    os.makedirs(fn_args.serving_model_dir)\n"
            "    open(fn_args.serving_model_dir + '/saved_model.pb', 'w').write('half')\n",
            "does not load",
            id="half a model",
        ),
    ],
)
def test_a_module_that_leaves_no_usable_model_is_refused(prepared, tmp_path, source, said):
    with pytest.raises(TrainingError, match=said) as caught:
        train(request_for(prepared, tmp_path, source), tmp_path)
    assert "expected: a SavedModel" in str(caught.value)


FAILING = """
import keras
import tensorflow as tf

def _build(x):
    return tf.nn.relu(x)

def run_fn(fn_args):
    _build(keras.Input((3,)))
"""


def test_a_module_that_fails_is_told_by_its_exception_and_its_own_line(prepared, tmp_path, capsys):
    with pytest.raises(TrainingError) as caught:
        train(request_for(prepared, tmp_path, FAILING), tmp_path)
    first, where, fix = str(caught.value).splitlines()
    assert "run_fn of " in first
    assert "fails: ValueError: A KerasTensor cannot be used as input to a TensorFlow function" in first
    assert where.startswith("where: ")
    assert where.endswith("small_model.py, line 6: return tf.nn.relu(x)")
    assert fix.endswith("put `keras: 2` into the settings")
    assert "Traceback (most recent call last)" in capsys.readouterr().err  # whole, in the log


@pytest.mark.parametrize("source", ["1 / 0\n", "def run_fn(fn_args:\n"], ids=["exception", "syntax"])
def test_a_module_that_cannot_be_imported_says_why(prepared, tmp_path, source):
    with pytest.raises(ConfigurationError, match=r"the import of .* fails: (ZeroDivisionError|SyntaxError): "):
        train(request_for(prepared, tmp_path, source), tmp_path)


WITHOUT_CALLBACKS = MODULE.replace("def run_fn(fn_args):", "def run_fn(fn_args):\n    fn_args.callbacks = []")


def test_fit_of_a_module_that_passes_no_callbacks_is_observed_all_the_same(prepared, tmp_path):
    fit = keras.Model.fit
    assert train(request_for(prepared, tmp_path, WITHOUT_CALLBACKS), tmp_path)["epochs"] == 2
    assert len(layouts.read_json(tmp_path / "run" / layouts.SUMMARY)["history"]) == 2
    assert keras.Model.fit is fit  # as it was


def test_what_nobody_counted_is_unknown(prepared, tmp_path, capsys):
    request = request_for(prepared, tmp_path, WITHOUT_CALLBACKS, hyperparameters={"fit_callbacks": False})
    assert train(request, tmp_path) == {"rows": ROWS}
    summary = layouts.read_json(tmp_path / "run" / layouts.SUMMARY)
    assert (summary["epochs"], summary["steps"], summary["history"]) == (None, None, [])
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == "summary: trained on 2,000 rows, epochs and steps unknown: no Model.fit had fn_args.callbacks"


def with_values(prepared, tmp_path, **columns):
    """A copy of the examples with other values in some columns of the train split."""
    table = small_examples.table(ROWS)
    for name, values in columns.items():
        index = table.schema.get_field_index(name)
        table = table.set_column(index, name, pa.array(values, table.schema.field(name).type))
    return small_examples.write(tmp_path / "changed", table)


def test_a_loss_that_is_nan_stops_and_names_step_and_feature(prepared, tmp_path):
    size = np.where(np.arange(ROWS) == 1234, np.inf, 1.0)
    examples = with_values(prepared, tmp_path, size=size)
    with pytest.raises(TrainingError, match=r"at step \d+ \(epoch 1\)") as caught:
        train(request_for(prepared, tmp_path, examples_path=examples), tmp_path)
    assert "size_xf (1 values)" in str(caught.value)
    assert "weight_xf" not in str(caught.value)


def test_a_loss_that_is_nan_by_the_model_says_so(prepared, tmp_path):
    source = MODULE.replace('"adam"', "keras.optimizers.SGD(1e38)").replace(
        'activation="sigmoid"', 'activation="exponential"'
    )
    with pytest.raises(TrainingError, match="every feature is finite"):
        train(request_for(prepared, tmp_path, source), tmp_path)


def test_a_label_of_one_class_is_refused(prepared, tmp_path):
    examples = with_values(prepared, tmp_path, label=np.ones(ROWS))
    with pytest.raises(DataError, match="label has one value only"):
        train(request_for(prepared, tmp_path, examples_path=examples), tmp_path)


def test_zero_train_rows_are_refused(prepared, tmp_path):
    examples = small_examples.write(tmp_path / "none", small_examples.table(0))
    with pytest.raises(DataError, match="train split has no rows"):
        train(request_for(prepared, tmp_path, examples_path=examples), tmp_path)


def test_an_unknown_distribution_is_refused(prepared, tmp_path):
    with pytest.raises(ConfigurationError, match='distribution is "magic": expected one of'):
        train(request_for(prepared, tmp_path, distribution="magic"), tmp_path)


def test_workers_that_nobody_starts_are_refused(prepared, tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ConfigurationError, match=r"nobody starts workers: \$TF_CONFIG is not set"):
        train(request_for(prepared, tmp_path, distribution="multi_worker_mirrored"), tmp_path)


def test_run_fn_runs_in_the_scope_of_the_strategy(prepared, tmp_path):
    check = "    assert isinstance(tf.distribute.get_strategy(), tf.distribute.MirroredStrategy)\n"
    source = MODULE.replace("def run_fn(fn_args):\n", f"def run_fn(fn_args):\n{check}")
    assert train(request_for(prepared, tmp_path, source, distribution="mirrored"), tmp_path)["epochs"] == 2


KILLED = MODULE.replace(
    "    fit(fn_args, model)\n",
    """
    class Kill(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1 and os.environ.get("KILL") == "1":
                os.kill(os.getpid(), signal.SIGKILL)
    fit(fn_args, model, callbacks=[Kill()])
""",
)


@pytest.fixture(params=["path", "s3"])
def lasting(request, tmp_path, monkeypatch):
    """Where checkpoints are kept: a folder, or a bucket of SeaweedFS."""
    if request.param == "path":
        yield str(tmp_path / "checkpoints")
        return
    with seaweedfs.running() as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        yield "s3://data/checkpoints"


def test_a_killed_training_goes_on_where_it_stopped(prepared, tmp_path, capsys, lasting):
    request = request_for(prepared, tmp_path, KILLED, checkpoints=lasting, hyperparameters={"epochs": 4})
    call = f"from kfp_ct.components.train import work; work.train(work.{request!r}, {str(tmp_path / 'model')!r}, 'run')"
    root = ROOT
    environment = {**os.environ, "KILL": "1", "PYTHONPATH": str(root)}
    killed = subprocess.run(
        [sys.executable, "-c", call], env=environment, cwd=tmp_path, capture_output=True, timeout=120
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    (folder,) = {item.uri.rpartition("/")[0] for item in storage.list_folder(lasting)}
    assert folder.endswith("/epoch-00002")
    # What a kill amid the next epoch's writing leaves is not used.
    storage.write(f"{folder.removesuffix('2')}3/latest.weights.h5", b"half")

    assert train(request, tmp_path) == {"rows": ROWS, "epochs": 4, "steps": 40}
    said = capsys.readouterr().out
    assert "resumes after epoch 2" in said
    assert "epoch 2/4" not in said
    losses = [epoch["loss"] for epoch in summary(tmp_path)["history"]]
    assert losses == sorted(losses, reverse=True)
    assert storage.list_folder(lasting) == []


@pytest.mark.parametrize("change", ["hyperparameters", "module", "data", "graph"])
def test_another_training_does_not_take_its_checkpoints(prepared, tmp_path, change):
    request = request_for(prepared, tmp_path, hyperparameters={"epochs": 2})
    key = work._key(request)
    if change == "hyperparameters":
        other = request_for(prepared, tmp_path, hyperparameters={"epochs": 3})
    elif change == "module":
        other = request_for(prepared, tmp_path, MODULE + "\n# changed\n", hyperparameters={"epochs": 2})
    elif change == "data":
        examples = with_values(prepared, tmp_path, label=np.zeros(ROWS))
        other = request_for(prepared, tmp_path, hyperparameters={"epochs": 2}, examples_path=examples)
    else:
        graph = small_examples.write_text(tmp_path / "graph", "")
        other = work.TrainingRequest(prepared[0], graph, prepared[1], "", request.module, request.hyperparameters)
    assert work._key(other) != key


def test_warm_up_requests_are_rows_of_the_eval_split_and_can_be_left_out(prepared, tmp_path):
    for name, rows in (("with", 5), ("without", 0)):
        (tmp_path / name).mkdir()
        train(request_for(prepared, tmp_path / name, TFX_MODULE, warm_up_rows=rows), tmp_path / name)
    logs = warm_up.read(tmp_path / "with/model/Format-Serving")
    expected = next(reading.iter_batches(layouts.split_files(prepared[0], layouts.EVAL))).slice(0, 5)
    parse = tf.train.Example.FromString
    sent = [[parse(each) for each in warm_up.arrays(log)["examples"].tolist()] for log in logs]
    rows = [parse(each) for each in batches.to_examples(expected)]
    assert sent == [rows[:1], rows]
    assert not (tmp_path / "without/model/Format-Serving" / warm_up.FILE).exists()


def test_a_modules_own_warm_up_requests_stay(prepared, tmp_path):
    source = MODULE + (
        "\n_run = run_fn\n\ndef run_fn(fn_args):\n    import pathlib\n    _run(fn_args)\n"
        "    extra = pathlib.Path(fn_args.serving_model_dir) / 'assets.extra'\n    extra.mkdir()\n"
        "    (extra / 'tf_serving_warmup_requests').write_bytes(b'own')\n"
    )
    train(request_for(prepared, tmp_path, source), tmp_path)
    assert (tmp_path / "model/Format-Serving" / warm_up.FILE).read_bytes() == b"own"
