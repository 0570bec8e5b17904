"""What monitoring decides on traffic that is as it was, that moved, that is too little, that is none."""

import datetime
import html

import numpy as np
import pyarrow as pa
import pytest

import small_examples
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.monitor import history
from kfp_ct.data import layouts
from served_traffic import END, START, WINDOW, YESTERDAY, answered, champion, label, log, monitor


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return champion(tmp_path_factory.mktemp("champion"))


def moved(table, by):
    """Rows whose size is another."""
    place = table.schema.get_field_index("size")
    size = pa.array(table["size"].to_numpy() + np.float32(by), pa.float32())
    return table.set_column(place, "size", size)


def kinds(findings):
    return [each["kind"] for each in findings]


def test_traffic_like_the_training_data_asks_for_nothing(model, tmp_path, capsys):
    served = small_examples.table(3_000, seed=5)
    log(tmp_path / "log", answered(small_examples.table(3_000, seed=6), YESTERDAY, "y"))
    log(tmp_path / "log", answered(served))
    report = monitor(tmp_path, model, labels=label(tmp_path / "labels.parquet", served))

    assert (report["state"], report["retrain"]) == ("OK", False)
    assert report["reasons"] == report["alarms"] == []
    assert report["traffic"]["rows"] == report["rows_before"] == 3_000
    assert {item["feature"] for item in report["skew"]} == {"size", "weight", "count", "colour"}
    assert report["drift"]
    assert report["predictions"]
    assert report["labels"]["coverage"] == 1.0
    assert report["quality"]["low"] < report["quality"]["value"] < report["quality"]["high"]
    assert report["staleness"]["age_days"] == 1.0
    assert report == layouts.read_json(tmp_path / "report" / "summary.json")
    assert "summary: no reason to retrain: small v1, 3,000 rows" in capsys.readouterr().out
    assert "No reason to retrain." in (tmp_path / "view.html").read_text()


def test_a_feature_that_moved_asks_for_retraining(model, tmp_path):
    log(tmp_path / "log", answered(small_examples.table(2_000, seed=6), YESTERDAY, "y"))
    log(tmp_path / "log", answered(moved(small_examples.table(2_000, seed=5), 6)))
    report = monitor(tmp_path, model)

    assert report["retrain"] is True
    assert kinds(report["reasons"]) == ["skew", "drift", "predictions"]
    assert "1 of 4 features moved from what the model was trained on: size 0." in report["reasons"][0]["text"]
    assert report["skew"][0]["feature"] == "size"
    assert "Retrain." in (tmp_path / "view.html").read_text()


def test_a_value_that_callers_stopped_sending_asks_for_retraining(model, tmp_path):
    table = small_examples.table(2_000, seed=5)
    gone = pa.array([None] * len(table), pa.string())
    log(tmp_path / "log", answered(table.set_column(table.schema.get_field_index("colour"), "colour", gone)))
    report = monitor(tmp_path, model)

    assert report["retrain"] is True
    assert "colour missing 0.9" in report["reasons"][0]["text"]


def test_a_new_share_of_a_category_asks_for_retraining(model, tmp_path):
    table = small_examples.table(2_000, seed=5)
    red = pa.array(["red"] * len(table), pa.string())
    log(tmp_path / "log", answered(table.set_column(table.schema.get_field_index("colour"), "colour", red)))

    assert "colour" in monitor(tmp_path, model)["reasons"][0]["text"]


def test_findings_that_are_no_reason_to_retrain_are_alarms(model, tmp_path):
    log(tmp_path / "log", answered(moved(small_examples.table(2_000, seed=5), 6)))
    report = monitor(tmp_path, model, retrain_on=["quality"])

    assert (report["state"], report["retrain"], kinds(report["alarms"])) == ("ATTENTION", False, ["skew"])


def test_one_moved_feature_of_several_that_are_needed_is_no_finding(model, tmp_path):
    log(tmp_path / "log", answered(moved(small_examples.table(2_000, seed=5), 6)))

    assert monitor(tmp_path, model, min_drifted=2)["state"] == "OK"


def test_no_traffic_is_no_health(model, tmp_path):
    (tmp_path / "log").mkdir()
    with pytest.raises(DataError, match="nothing examined: no row of v1 was logged"):
        monitor(tmp_path, model)

    report = layouts.read_json(tmp_path / "report" / "summary.json")
    assert (report["state"], report["retrain"], kinds(report["alarms"])) == ("NO_TRAFFIC", False, ["NO_TRAFFIC"])
    assert "this says nothing about the model's health" in html.unescape((tmp_path / "view.html").read_text())
    assert [line["state"] for line in history.read(tmp_path / "history.jsonl")] == ["NO_TRAFFIC"]


def test_no_traffic_may_only_be_said(model, tmp_path):
    log(tmp_path / "log", answered(small_examples.table(500), YESTERDAY))
    report = monitor(tmp_path, model, no_traffic="report")

    assert (report["state"], report["retrain"]) == ("NO_TRAFFIC", False)


def test_a_model_that_is_too_old_asks_even_without_traffic_but_is_not_called_healthy(model, tmp_path):
    (tmp_path / "log").mkdir()
    report = monitor(tmp_path, model, no_traffic="report", max_age_days=0.5)

    assert (report["state"], report["retrain"], kinds(report["reasons"])) == ("NO_TRAFFIC", True, ["staleness"])


def test_traffic_of_another_version_is_not_the_champions(model, tmp_path):
    log(tmp_path / "log", answered(small_examples.table(700)), version=2)
    report = monitor(tmp_path, model, no_traffic="report")

    assert report["state"] == "NO_TRAFFIC"
    assert "other versions: v2 700" in report["alarms"][0]["text"]
    assert report["versions"]["2"]["rows"] == 700


def test_a_few_rows_raise_no_alarm(model, tmp_path):
    few = moved(small_examples.table(40, seed=5), 6)
    log(tmp_path / "log", answered(few))
    report = monitor(tmp_path, model, labels=label(tmp_path / "l.parquet", few, values=pa.array([0, 1] * 20)))

    assert (report["state"], report["retrain"]) == ("TOO_FEW_ROWS", False)
    assert report["skew"] == []
    assert report["quality"]["unjudged"] == "40 labelled rows, 500 are needed"


def test_quality_below_the_promise_asks_for_retraining(model, tmp_path):
    served = small_examples.table(3_000, seed=5)
    log(tmp_path / "log", answered(served))
    wrong = np.where(np.random.default_rng(0).random(3_000) < 0.4, 1 - served["label"].to_numpy(), served["label"])
    report = monitor(tmp_path, model, labels=label(tmp_path / "l.parquet", served, values=pa.array(wrong)))

    assert kinds(report["reasons"]) == ["quality"]
    assert "the baseline is" in report["reasons"][0]["text"]
    assert report["quality"]["loss_low"] > 0.02


def test_the_same_loss_on_a_small_sample_is_within_its_noise(model, tmp_path):
    served = small_examples.table(60, seed=5)
    log(tmp_path / "log", answered(served))
    wrong = np.where(np.random.default_rng(3).random(60) < 0.1, 1 - served["label"].to_numpy(), served["label"])
    labels = label(tmp_path / "l.parquet", served, values=pa.array(wrong))
    report = monitor(tmp_path, model, labels=labels, min_labelled=20)

    assert report["quality"]["loss"] > 0.02
    assert report["retrain"] is False


def test_an_absolute_bound_counts_too(model, tmp_path):
    served = small_examples.table(1_000, seed=5)
    log(tmp_path / "log", answered(served))
    labels = label(tmp_path / "l.parquet", served)

    assert monitor(tmp_path, model, labels=labels, min_quality=0.5)["retrain"] is False
    assert kinds(monitor(tmp_path, model, labels=labels, min_quality=0.999)["reasons"]) == ["quality"]


def test_what_retraining_does_not_fix_is_an_alarm(model, tmp_path):
    served = small_examples.table(1_000, seed=5)
    log(tmp_path / "log", answered(served), dropped=3, lost=7, errors={"400": 4, "503": 1})
    (tmp_path / "log/small/1/20130601T010000.000000-1.parquet").write_bytes(b"half")
    labels = label(tmp_path / "l.parquet", served.slice(0, 500))
    report = monitor(tmp_path, model, labels=labels, max_p99_ms=5, min_coverage=0.9)

    assert report["state"] == "ATTENTION"
    assert [(each["kind"], each["text"]) for each in report["alarms"]] == [
        ("latency", "p99 is 11.0 ms, at most 5 are allowed"),
        ("errors", "5 of 10 requests got an error"),
        ("log", "3 sampled requests and 7 rows are not in the log"),
        ("log", "of the log cannot be read: 20130601T010000.000000-1.parquet"),
        ("labels", "500 of 1,000 rows have a label"),
    ]


def test_a_rerun_of_a_period_replaces_its_line(model, tmp_path):
    log(tmp_path / "log", answered(small_examples.table(1_000, seed=6), YESTERDAY, "y"))
    log(tmp_path / "log", answered(small_examples.table(1_000, seed=5)))
    before = ((START - datetime.timedelta(days=1)).isoformat(), START.isoformat())
    for window in (WINDOW, before, WINDOW):
        monitor(tmp_path, model, window)
    layouts.write_text(tmp_path / "history.jsonl", (tmp_path / "history.jsonl").read_text() + "not JSON\n")
    monitor(tmp_path, model, WINDOW)

    lines = history.read(tmp_path / "history.jsonl")
    assert [line["end"] for line in lines] == [START.isoformat(), END.isoformat()]
    assert {line["state"] for line in lines} == {"OK"}
    page = (tmp_path / "view.html").read_text()
    assert "Over time" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_the_newest_of_repeated_requests_counts(model, tmp_path):
    served = small_examples.table(600, seed=5)
    log(tmp_path / "log", answered(served))
    log(tmp_path / "log", answered(served, START + datetime.timedelta(hours=1)))
    report = monitor(tmp_path, model)

    assert (report["traffic"]["rows"], report["traffic"]["examined"]) == (1_200, 600)


def test_more_rows_than_are_read_are_sampled_evenly(model, tmp_path):
    for number in range(3):
        log(tmp_path / "log", answered(small_examples.table(1_000, seed=number), request=f"r{number}"))
    report = monitor(tmp_path, model, max_rows=700)

    assert (report["traffic"]["rows"], report["traffic"]["examined"]) == (3_000, 600)
    assert report["state"] == "OK"


def test_a_period_that_is_not_given_is_the_last_day(model, tmp_path):
    now = datetime.datetime.now(datetime.UTC)
    log(tmp_path / "log", answered(small_examples.table(600), now - datetime.timedelta(hours=7)), written=now)

    assert monitor(tmp_path, model, window=("", ""))["traffic"]["rows"] == 600


@pytest.mark.parametrize(
    ("window", "rules", "said"),
    [
        (("2013-06-02", "2013-06-01"), {}, "is empty"),
        (("June", ""), {}, "window_start is .June.: expected a date or instant"),
        (WINDOW, {"threshold": 1}, "rules.threshold is not a setting"),
        (WINDOW, {"confidence": 1.0}, "rules.confidence"),
        (WINDOW, {"min_rows": 0.5}, "rules.min_rows"),
        (WINDOW, {"min_rows": True}, "rules.min_rows"),
        (WINDOW, {"min_quality": "much"}, "rules.min_quality"),
        (WINDOW, {"retrain_on": ["weather"]}, "retrain_on.0. is .weather.: expected one of skew"),
        (WINDOW, {"retrain_on": "skew"}, "rules.retrain_on is .skew.: expected a list, each item one of"),
        (WINDOW, {"no_traffic": "ignore"}, "rules.no_traffic"),
    ],
)
def test_settings_that_do_not_fit_are_one_message(window, rules, said, model, tmp_path):
    (tmp_path / "log").mkdir()
    with pytest.raises(ConfigurationError, match=said):
        monitor(tmp_path, model, window, **rules)


def test_a_log_that_is_not_there_is_one_message(model, tmp_path):
    with pytest.raises(ConfigurationError, match="there is no request log"):
        monitor(tmp_path, model)


def test_a_model_without_its_registered_statistics_is_one_message(tmp_path):
    (tmp_path / "log").mkdir()
    with pytest.raises(DataError, match="has no Registered"):
        monitor(tmp_path, str(tmp_path))
