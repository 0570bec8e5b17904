"""Train: TFX's contract, checkpoints that outlive a kill, clear refusals."""

import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from tfx_bsl.tfxio import dataset_options

import small_project
from components import artifacts, batches
from components.errors import ConfigurationError, DataError, TrainingError
from components.train import work
from components.train.data import Reader

# Keras says so of every dataset that repeats for ever, as TFX's do.
pytestmark = pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return small_project.make(tmp_path_factory.mktemp("small")).analyze()


@pytest.fixture
def train(tmp_path):
    def _train(request):
        return work.train(request, str(tmp_path / "model"), str(tmp_path / "run"))

    return _train


def reader(small):
    return Reader(batches.read_schema(f"{small.folder}/schema.pbtxt"), small.graph)


def options(**fields):
    return dataset_options.TensorFlowDatasetOptions(**{"batch_size": 32, "num_epochs": 1, **fields})


def test_a_tfx_style_module_trains_and_leaves_what_tfx_leaves(small, train, tmp_path):
    metadata = train(small.train_request(hyperparameters={"epochs": 2.0}))
    assert metadata == {"rows": 300, "epochs": 2, "steps": 16}
    signatures = tf.saved_model.load(str(tmp_path / "model" / "Format-Serving")).signatures
    assert list(signatures) == ["serving_default"]
    summary = artifacts.read_json(tmp_path / "run" / "summary.json")
    assert summary["history"][1]["loss"] < summary["history"][0]["loss"]
    assert list((tmp_path / "run").rglob("events.out.tfevents*"))


def test_every_row_is_read_once_an_epoch_shuffled_and_the_same_way_each_time(small):
    files = artifacts.split_files(small.examples, "train")
    seen = [
        np.concatenate([labels["weight"].numpy().ravel() for labels in reader(small).dataset(files, options())])
        for _ in range(2)
    ]
    weights = [value or 0.0 for value in small.columns("train")["weight"]]
    np.testing.assert_allclose(sorted(seen[0]), sorted(weights))
    np.testing.assert_array_equal(seen[0], seen[1])
    assert not np.allclose(seen[0], weights)


@pytest.mark.parametrize(
    ("fields", "sizes"),
    [
        pytest.param({}, [32] * 9 + [12], id="last-batch-kept"),
        pytest.param({"drop_final_batch": True}, [32] * 9, id="last-batch-dropped"),
        pytest.param({"batch_size": 200, "num_epochs": 2}, [200] * 3, id="epochs-run-together"),
    ],
)
def test_batches_are_what_tfx_makes_them(small, fields, sizes):
    dataset = reader(small).dataset(artifacts.split_files(small.examples, "train"), options(label_key="good", **fields))
    assert [int(tf.size(label)) for _, label in dataset] == sizes


def test_the_raw_schema_yields_raw_features(small):
    schema = batches.read_schema(f"{small.folder}/schema.pbtxt")
    files = artifacts.split_files(small.examples, "eval")
    [features] = reader(small).dataset(files, options(batch_size=100, shuffle=False), schema)
    assert set(features) == {"size", "colour", "weight", "good"}
    np.testing.assert_allclose(features["size"][:, 0], small.columns("eval")["size"])


KILLED = """
import sys
sys.path.insert(0, {tests!r})
import pathlib, small_project
from components.train import work
small = small_project.Small(pathlib.Path({folder!r}))
request = small.train_request({source!r}, "slow", checkpoints={checkpoints!r}, hyperparameters={{"epochs": 6}})
work.train(request, {model!r}, {run!r})
"""


def test_a_killed_training_goes_on_where_it_stopped(small, tmp_path, capfd):
    wait = "class Wait(tf.keras.callbacks.Callback):\n    def on_epoch_begin(self, epoch, logs=None):\n"
    wait += "        import time; time.sleep(1.5)\n"
    source = small_project.MODEL.replace("def run_fn", f"{wait}\ndef run_fn")
    source = source.replace('getattr(fn_args, "callbacks", [])', "[*fn_args.callbacks, Wait()]")
    kept = tmp_path / "checkpoints"
    script = KILLED.format(
        tests=str(small_project.__file__.rpartition("/")[0]), folder=str(small.folder), source=source,
        checkpoints=str(kept), model=str(tmp_path / "m"), run=str(tmp_path / "r"),
    )  # fmt: skip
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", script])
    deadline = time.monotonic() + 120
    while not list(kept.glob("*/epoch-00002/done.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert not (tmp_path / "m" / "Format-Serving").exists()
    request = small.train_request(source, "slow", checkpoints=str(kept), hyperparameters={"epochs": 6})
    assert work.train(request, str(tmp_path / "m"), str(tmp_path / "r"))["epochs"] == 6
    assert "resumes after epoch" in capfd.readouterr().out
    assert not list(kept.glob("*"))


def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_feature(tmp_path, train):
    broken = small_project.make(tmp_path / "small", weight=[float("inf")] * 300).analyze()
    with pytest.raises(TrainingError, match=r"(?s)at step 1 \(epoch 1\).*weight \("):
        train(broken.train_request())


def test_a_diverging_training_is_told_from_bad_data(small, train):
    with pytest.raises(TrainingError, match=r"(?s)the loss became .*every feature is finite"):
        train(
            small.train_request(small_project.MODEL.replace('"binary_crossentropy")', "lambda y, p: p * float('nan'))"))
        )


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        pytest.param("def run_fn(fn_args): pass\n", TrainingError, "left no SavedModel", id="no-model"),
        pytest.param("x = 1\n", ConfigurationError, "has no function run_fn", id="no-run-fn"),
        pytest.param("import nowhere\n", ConfigurationError, "imports nowhere, which is not installed", id="import"),
        pytest.param("import tfx.v1\n", ConfigurationError, "imports tfx, which is not installed", id="tfx"),
    ],
)
def test_a_module_that_does_not_fit_is_named(small, train, request, source, error, said):
    name = request.node.callspec.id.replace("-", "_")
    if "tfx" in source and __import__("importlib").util.find_spec("tfx"):
        pytest.skip("tfx is installed here")
    with pytest.raises(error, match=said):
        train(small.train_request(source, f"bad_{name}"))


def test_one_class_zero_rows_and_unknown_strategies_are_refused(small, train, tmp_path):
    single = small_project.make(tmp_path / "single", good=[1] * 300).analyze()
    with pytest.raises(DataError, match="the label good has one value only"):
        train(single.train_request())
    with pytest.raises(DataError, match="the train split has no rows"):
        train(small_project.make(tmp_path / "zero", rows=0).train_request())
    with pytest.raises(ConfigurationError, match="unknown distribution 'all'"):
        train(small.train_request(distribution="all"))


def test_it_trains_under_a_mirrored_strategy(small, train):
    assert train(small.train_request(distribution="mirrored"))["epochs"] == 2
