"""Traffic of lists, of lists of lists and of several labels a row, against what a model of them was trained on."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import ingesting
from kfp_ct.data import feature_statistics, layouts
from kfp_ct.serving.request_files import Answered
from kfp_ct.serving.values import Lists
from served_traffic import START, YESTERDAY, champion, log, monitor

SCHEMA = """
feature { name: "image" type: FLOAT presence { min_fraction: 1 } shape { dim { size: 3 } dim { size: 2 } } }
feature { name: "tokens" type: INT int_domain { is_categorical: true } value_count { min: 0 } }
"""
EVALUATION = {
    "task": "multilabel", "label": "genres", "gates": {"metric": "macro_auc", "confidence": 0.95},
    "baseline": {"metric": "macro_auc", "challenger": 0.8, "low": 0.2, "high": 0.4},
}  # fmt: skip


def rows(count, seed, dark=0.0, tokens=4):
    random = np.random.default_rng(seed)
    return {
        "image": random.normal(-dark, 1, (count, 3, 2)).astype(np.float32),
        "tokens": [random.integers(0, tokens, random.integers(0, 4)).tolist() for _ in range(count)],
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Registered with the statistics that ingest's flat lists have."""
    root, given = tmp_path_factory.mktemp("lists"), rows(2_000, 1)
    table = pa.table({
        "id": range(2_000), "image": pa.array(given["image"].tolist(), pa.list_(pa.list_(pa.float32()))),
        "tokens": pa.array(given["tokens"], pa.list_(pa.int64())),
    })  # fmt: skip
    pa.parquet.write_table(table, root / "rows.parquet")
    ingesting.ingest(root, str(root / "rows.parquet"), "SELECT * FROM t")
    trained = ingesting.table(root, "train").select(["image", "tokens"])
    folder = champion(root / "champion", evaluation=EVALUATION)
    layouts.write_text(root / "champion" / layouts.TRAINING / layouts.SCHEMA, SCHEMA)
    path = layouts.split_path(root / "champion" / layouts.REGISTERED / "statistics", "train") / layouts.STATISTICS_FILE
    path.write_bytes(feature_statistics.compute(trained.to_batches(), "train").SerializeToString())
    return folder


def answered(given, at=START, request="r", shift=0.0):
    """One request, as the service logs it."""
    count = len(given["image"])
    lengths = np.array([len(each) for each in given["tokens"]])
    flat = np.array([token for each in given["tokens"] for token in each], np.int64)
    inputs = {
        "image": given["image"], "tokens": Lists(flat, lengths, np.ones(count, bool), -(2**63)),
    }  # fmt: skip
    chances = np.random.default_rng(count).random((count, 3)).astype(np.float32) * (1 - shift)
    return [Answered(request, at.timestamp() + 60, 2.0, inputs, {"genres": chances})]


def test_traffic_of_lists_like_training_asks_for_nothing(model, tmp_path):
    log(tmp_path / "log", answered(rows(1_500, 6), YESTERDAY, "y"))
    log(tmp_path / "log", answered(rows(1_500, 5)))
    report = monitor(tmp_path, model)
    assert (report["state"], report["reasons"]) == ("OK", [])
    assert {each["feature"] for each in report["skew"]} == {"image", "tokens"}
    assert {each["feature"] for each in report["drift"]} == {"image", "tokens"}


@pytest.mark.parametrize(("name", "change"), [("image", {"dark": 4.0}), ("tokens", {"tokens": 40})])
def test_lists_that_moved_ask_for_retraining(model, tmp_path, name, change):
    log(tmp_path / "log", answered(rows(1_500, 6), YESTERDAY, "y"))
    log(tmp_path / "log", answered(rows(1_500, 5, **change)))
    report = monitor(tmp_path, model)
    assert [each["kind"] for each in report["reasons"]] == ["skew", "drift"]
    assert f"1 of 2 features moved from what the model was trained on: {name} " in report["reasons"][0]["text"]


def test_predictions_of_a_class_that_moved_are_a_finding(model, tmp_path):
    log(tmp_path / "log", answered(rows(1_500, 6), YESTERDAY, "y"))
    log(tmp_path / "log", answered(rows(1_500, 5), shift=0.7))
    report = monitor(tmp_path, model)
    assert [each["kind"] for each in report["reasons"]] == ["predictions"]
    assert {each["feature"] for each in report["predictions"]} == {"genres[0]", "genres[1]", "genres[2]"}


def test_quality_of_several_labels_a_row_is_said_not_to_be_measured(model, tmp_path):
    log(tmp_path / "log", answered(rows(1_500, 5)))
    places = pa.table({"request_id": ["r"] * 900, "row": range(900), "label": [[1, 0, 1], [0, 0, 0], [1, 1, 1]] * 300})
    pa.parquet.write_table(places, tmp_path / "labels.parquet")
    report = monitor(tmp_path, model, labels=str(tmp_path / "labels.parquet"))
    assert report["quality"]["labelled"] == 900
    assert report["quality"]["unjudged"] == "macro_auc of a multilabel model is not measured on live rows"
