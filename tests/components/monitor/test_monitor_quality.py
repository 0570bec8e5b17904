"""Labels joined to predictions, and metrics with intervals of each task."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import small_examples
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.monitor import labels, metrics, quality
from kfp_ct.components.monitor.settings import Rules
from served_traffic import answered, champion, label, log, monitor, scores

ROWS = pa.table({
    "request_id": ["a", "a", "b", "c"], "row": pa.array([0, 1, 0, 0], pa.int32()), "score": [0.1, 0.2, 0.3, 0.4],
})  # fmt: skip


def written(path, table):
    pq.write_table(table, path)
    return str(path)


def scored(joined):
    return list(zip(joined.rows["score"].to_pylist(), joined.rows["label"].to_pylist(), strict=True))


def test_labels_are_joined_by_request_and_row(tmp_path):
    given = pa.table({"request_id": ["b", "a", "z", "a"], "row": [0, 1, 0, 7], "label": [1, 0, 1, 1]})
    joined = labels.join(ROWS, written(tmp_path / "l.parquet", given))

    assert scored(joined) == [(0.2, 0), (0.3, 1)]
    assert (joined.labels, joined.conflicting) == (4, 0)


def test_without_a_row_a_label_belongs_to_the_first(tmp_path):
    (tmp_path / "l.csv").write_text("request_id,label\na,1\nc,0\n")

    assert scored(labels.join(ROWS, str(tmp_path / "*.csv"))) == [(0.1, 1), (0.4, 0)]


def test_labels_may_come_in_several_files_of_json(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"request_id": name, "label": 1}) + "\n")

    assert len(labels.join(ROWS, str(tmp_path / "*.jsonl")).rows) == 2


def test_labels_that_differ_are_not_used_and_equal_ones_are(tmp_path):
    given = pa.table({"request_id": ["a", "a", "b", "b", "c"], "label": [0, 1, 1, 1, None]})
    joined = labels.join(ROWS, written(tmp_path / "l.parquet", given))

    assert scored(joined) == [(0.3, 1)]
    assert joined.conflicting == 1


def test_no_file_yet_is_no_label_yet(tmp_path):
    assert len(labels.join(ROWS, str(tmp_path / "*.parquet")).rows) == 0


def test_labels_that_cannot_be_read_are_one_message(tmp_path):
    with pytest.raises(DataError, match="expected: the columns request_id"):
        labels.join(ROWS, written(tmp_path / "l.parquet", pa.table({"id": ["a"], "label": [1]})))
    (tmp_path / "l.xml").write_text("<a/>")
    with pytest.raises(ConfigurationError, match="is none of"):
        labels.join(ROWS, str(tmp_path / "l.xml"))


def test_an_auc_is_the_share_of_pairs_in_order_and_delongs_error():
    random = np.random.default_rng(0)
    truth = (random.random(400) < 0.4).astype(float)
    guesses = np.round(truth * 0.3 + random.random(400), 2)
    pairs = guesses[truth == 1][:, None] - guesses[truth == 0][None, :]
    found = metrics.estimate("binary", "auc", truth, guesses)
    resampled = []
    for _ in range(300):
        chosen = random.integers(0, 400, 400)
        resampled.append(metrics.estimate("binary", "auc", truth[chosen], guesses[chosen]).value)

    assert found.value == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    assert found.error == pytest.approx(np.std(resampled), rel=0.2)


@pytest.mark.parametrize(
    ("task", "metric", "truth", "guesses", "value"),
    [
        ("binary", "accuracy", [0, 1, 1, 0], [0.2, 0.7, 0.4, 0.1], 0.75),
        ("binary", "log_loss", [0, 1], [0.5, 0.5], np.log(2)),
        ("multiclass", "accuracy", [0, 2], [[0.5, 0.3, 0.2], [0.6, 0.2, 0.2]], 0.5),
        ("multiclass", "log_loss", [0, 2], [[0.5, 0.3, 0.2], [0.4, 0.1, 0.5]], np.log(2)),
        ("regression", "mae", [1, 2], [2, 4], 1.5),
        ("regression", "mse", [1, 2], [2, 4], 2.5),
        ("regression", "rmse", [1, 2], [2, 4], 2.5**0.5),
    ],
)
def test_metrics_of_every_task(task, metric, truth, guesses, value):
    found = metrics.estimate(task, metric, np.array(truth, float), np.array(guesses, float))

    assert found.value == pytest.approx(value)
    assert found.error >= 0


def test_the_error_of_a_root_is_that_of_resampling():
    random = np.random.default_rng(1)
    truth, guesses = np.zeros(500), random.normal(0, 2, 500)
    found = metrics.estimate("regression", "rmse", truth, guesses)
    resampled = [
        metrics.estimate("regression", "rmse", truth, guesses[random.integers(0, 500, 500)]).value for _ in range(300)
    ]

    assert found.error == pytest.approx(np.std(resampled), rel=0.2)


def baseline(task, metric, value=0.9, classes=()):
    return quality.baseline_metric({
        "task": task, "label": "y", "classes": list(classes), "gates": {"metric": metric, "confidence": 0.95},
        "baseline": {"challenger": value, "low": 0.38, "high": 0.42},
    })  # fmt: skip


def labelled(outputs, truth):
    struct = pa.StructArray.from_arrays(list(outputs.values()), names=list(outputs))
    return pa.table({"outputs": struct, "label": truth})


RULES = Rules(min_labelled=2, max_loss=0.05)


def test_a_multiclass_model_is_judged_by_the_names_of_its_classes():
    scores = pa.FixedSizeListArray.from_arrays(pa.array([0.8, 0.1, 0.1] * 100, pa.float32()), 3)
    rows = labelled({"scores": scores}, ["dog"] * 70 + ["cat"] * 30)
    report = quality.judge(baseline("multiclass", "accuracy", classes=("dog", "cat", "cow")), rows, RULES)

    assert report["value"] == 0.7
    assert report["lost"]


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string()], ids=str)
def test_classes_named_by_whole_numbers_are_names_whatever_the_labels_are_read_as(kind):
    scores = pa.FixedSizeListArray.from_arrays(pa.array([0.8, 0.1, 0.1] * 100, pa.float32()), 3)
    rows = labelled({"scores": scores}, pa.array([1] * 70 + [2] * 30, pa.int64()).cast(kind))
    report = quality.judge(baseline("multiclass", "accuracy", value=0.7, classes=("1", "2", "3")), rows, RULES)

    assert report["value"] == 0.7
    assert not report["lost"]
    strange = labelled({"scores": scores}, pa.array([1, 4] * 50, pa.int64()).cast(kind))
    with pytest.raises(DataError, match=r"the label '?4"):
        quality.judge(baseline("multiclass", "accuracy", classes="123"), strange, RULES)


def test_answers_that_are_no_numbers_are_a_reason_to_retrain(tmp_path):
    model = champion(tmp_path / "model")
    served = small_examples.table(1_000, seed=5)
    given = np.where(np.arange(1_000) % 4 == 0, np.nan, scores(served))
    log(tmp_path / "log", answered(served, outputs=given))
    label(tmp_path / "l.parquet", served)
    report = monitor(tmp_path, model, labels=str(tmp_path / "l.parquet"))

    assert report["quality"]["not_finite"] == 250
    assert ("quality", "250 of 1,000 labelled rows were answered by NaN or infinity") in [
        (each["kind"], each["text"]) for each in report["reasons"] + report["alarms"]
    ]


def test_nan_is_no_label(tmp_path):
    given = pa.table({"request_id": ["a", "b", "c"], "label": [1.0, float("nan"), 0.0]})
    joined = labels.join(ROWS, written(tmp_path / "l.parquet", given))

    assert scored(joined) == [(0.1, 1), (0.4, 0)]
    assert (joined.labels, joined.conflicting) == (2, 0)


def test_a_regression_is_worse_where_its_error_is_larger():
    guesses = pa.array(np.random.default_rng(0).normal(0, 1.0, 2_000), pa.float32())
    rows = labelled({"prediction": guesses, "extra": guesses}, np.zeros(2_000))

    assert quality.judge(baseline("regression", "rmse", value=0.8), rows, RULES)["lost"]
    assert not quality.judge(baseline("regression", "rmse", value=1.0), rows, RULES)["lost"]
    assert quality.judge(baseline("regression", "rmse", value=1.0), rows, Rules(min_quality=0.5))["below_bound"]


@pytest.mark.parametrize(
    ("task", "metric", "outputs", "truth", "said"),
    [
        ("binary", "balanced_accuracy", {"p": pa.array([0.1, 0.2])}, [0, 1], "is not measured on live rows"),
        ("binary", "auc", {"p": pa.array([0.1, 0.2])}, [1, 1], "is not defined"),
        ("multiclass", "accuracy", {"p": pa.array([0.1, 0.2])}, [0, 1], "no output that could be the prediction"),
        ("binary", "auc", {"a": pa.array([0.1, 0.2]), "b": pa.array([0.1, 0.2])}, [0, 1], "no output"),
    ],
)
def test_what_cannot_be_judged_is_said(task, metric, outputs, truth, said):
    report = quality.judge(baseline(task, metric), labelled(outputs, truth), RULES)

    assert said in report["unjudged"]
    assert report["lost"] is False


@pytest.mark.parametrize(
    ("task", "truth"), [("binary", [0, 2]), ("multiclass", ["cat", "emu"]), ("binary", ["a", "b"])]
)
def test_a_label_of_another_task_is_one_message(task, truth):
    output = pa.FixedSizeListArray.from_arrays(pa.array([0.5] * 4), 2) if task == "multiclass" else pa.array([0.1, 0.2])
    metric, classes = ("accuracy", ("cat", "dog")) if task == "multiclass" else ("auc", ())
    with pytest.raises(DataError, match="label"):
        quality.judge(baseline(task, metric, classes=classes), labelled({"p": output}, truth), RULES)


def test_a_promise_without_a_value_only_has_its_bound(tmp_path):
    model = champion(tmp_path / "model", evaluation={"metrics": {}})
    served = small_examples.table(600, seed=5)
    log(tmp_path / "log", answered(served))
    truth = pa.table({"request_id": [f"r-{n // 100}" for n in range(600)], "row": [n % 100 for n in range(600)],
                      "label": served["label"]})  # fmt: skip
    report = monitor(tmp_path, model, labels=written(tmp_path / "l.parquet", truth), min_quality=0.999)

    assert report["quality"]["baseline"] is None
    assert [reason["kind"] for reason in report["reasons"]] == ["quality"]
