"""A release on a Vertex AI endpoint, judged by what Google has of it: rows in BigQuery, errors and latency."""

import dataclasses
import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bigquery_emulator
import monitoring_listener
import vertex_log
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.monitor import remote_log
from kfp_ct.models.release_state import RUNNING, State
from kfp_ct.releasing import evidence, judge

START = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)
NOW, ROWS = START + 30 * MINUTE, 300
LATENCIES = np.random.default_rng(5).lognormal(3, 0.4, ROWS)


@pytest.fixture
def google(monkeypatch):
    with bigquery_emulator.running(monkeypatch) as warehouse, monitoring_listener.running(monkeypatch) as monitoring:
        yield warehouse, monitoring


def release(log=(), **judge):
    log = {"endpoint": "ct-small", "location": "europe-west1", **dict(log)}
    rules = {"request_log": vertex_log.URI, "log": log, "min_rows": 100, "min_labelled": 100, **judge}
    policy = {"canary": [50, 80], "every": "20m", "judge": rules}
    at = START.isoformat()
    return State("2-a", "m", "1", "2", RUNNING, 50, 0, "", 0, at, at, policy, "", {}, by_time=True)


def served(google, folder, errors=0, slower=1.0, metrics=("1", "2"), noise=1.0):
    """Both versions answer alike, but for what is said of the candidate; returns labels of the rows."""
    warehouse, monitoring = google
    random, rows, labels = np.random.default_rng(7), [], []
    for version in ("1", "2"):
        truth = random.normal(0, 1.5, ROWS)
        logits = truth + random.normal(0, noise if version == "2" else 0.3, ROWS)
        for place, logit in enumerate(logits):
            number, at = 1000 * int(version) + place, START + place * datetime.timedelta(seconds=4)
            rows.append(vertex_log.exchange(number, at, [{"x": 1}], [float(1 / (1 + np.exp(-logit)))], version))
            labels.append((number, int(random.random() < 1 / (1 + np.exp(-truth[place])))))
        failed, factor = (errors, slower) if version == "2" else (0, 1.0)
        if version in metrics:
            codes = {"200": ROWS, **({"500": failed} if failed else {})}
            monitoring.answered(version, START + 21 * MINUTE, codes, LATENCIES * factor)
    vertex_log.write(warehouse, rows, folder)
    return labels


def criteria(look):
    return {each["name"]: each for each in look["criteria"]}


def test_one_that_is_no_worse_goes_on_with_all_criteria_known(google, tmp_path):
    served(google, tmp_path)

    look = judge.judge(release(), NOW)

    assert (look["verdict"], look["rows"], look["live_rows"]) == ("advance", ROWS, ROWS)
    found = criteria(look)
    assert found["latency"]["value"] == pytest.approx(0.0)
    assert found["errors"]["value"] == 0.0
    assert all(found[name]["low"] is not None for name in ("errors", "latency", "predictions"))
    assert "unknown" not in look


@pytest.mark.parametrize(
    ("given", "reason"),
    [({"errors": 150}, "errors differ by +0.3"), ({"slower": 4.0}, "latency differ by +1.")],
    ids=["errors", "latency"],
)
def test_what_the_table_does_not_have_is_judged_by_cloud_monitoring(given, reason, google, tmp_path):
    served(google, tmp_path, **given)

    look = judge.judge(release(), NOW)

    assert look["verdict"] == "back_out"
    assert look["reason"].startswith(reason)


def test_quality_is_judged_as_labels_come(google, tmp_path):
    labels = served(google, tmp_path, noise=8.0)
    state = release(labels=str(tmp_path / "labels.parquet"), max_prediction_distance=1.0)
    assert judge.judge(state, NOW)["verdict"] == "hold"
    numbers, values = zip(*labels, strict=True)
    pq.write_table(pa.table({"request_id": numbers, "label": values}), tmp_path / "labels.parquet")

    look = judge.judge(state, NOW)

    assert (look["verdict"], look["labelled"]) == ("back_out", ROWS)
    assert look["reason"].startswith("quality differ by +")


def test_nothing_goes_on_while_errors_and_latency_are_not_there(google, tmp_path):
    served(google, tmp_path, metrics=("1",))

    look = judge.judge(release(), NOW)
    late = judge.judge(release(), START + datetime.timedelta(hours=25))

    assert (look["verdict"], look["unknown"]) == ("hold", ["errors", "latency"])
    assert look["reason"] == "Cloud Monitoring has no errors and no latency for some of the requests"
    assert (late["verdict"], "nothing that was not examined goes on" in late["reason"]) == ("back_out", True)


def test_who_leaves_cloud_monitoring_out_is_told_what_was_not_judged(google, tmp_path):
    served(google, tmp_path)

    look = judge.judge(release(log={"metrics": False, "sample": 0.5}), NOW)

    assert (look["verdict"], look["unknown"]) == ("advance", ["errors", "latency"])
    assert criteria(look)["latency"]["value"] is None
    assert google[1].requests == []


def test_minutes_belong_to_the_step_that_they_lie_in(google, tmp_path):
    served(google, tmp_path)
    google[1].answered("2", START + 10 * MINUTE, {"500": 1_000}, [5.0])
    between = (START + 10 * MINUTE).isoformat()
    step = {"percent": 50, "shadow": 0, "from": START.isoformat(), "to": between, "decision": "running"}
    state = dataclasses.replace(release(), steps=[step], step=1, since=between)
    rules = state.rules.judge

    moments = evidence.moments(state, NOW)
    assert moments == [START, START + 10 * MINUTE, NOW + MINUTE]
    with remote_log.local(rules.request_log, rules.log, "m", moments) as folder:
        first, second = evidence.read(state, folder, NOW)
    assert first.candidate.errors(rules) == (1_000, 1_000)
    assert second.candidate.errors(rules) == (0, ROWS)
    assert [len(each.candidate.traffic.rows) for each in (first, second)] == [150, 150]


def test_cloud_monitoring_that_may_not_be_read_is_told_with_the_role(google, tmp_path):
    served(google, tmp_path)
    google[1].forbidden = True

    with pytest.raises(ConfigurationError) as caught:
        judge.judge(release(), NOW)

    first, *rest = str(caught.value).splitlines()
    assert first.startswith("Cloud Monitoring of acme may not be read: Permission monitoring.timeSeries.list denied")
    assert "roles/monitoring.viewer" in rest[0]
