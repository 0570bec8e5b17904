"""What Vertex AI logs to BigQuery, monitored: the report of the service's own log, and what it cannot tell."""

import datetime
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bigquery_emulator
import monitoring_listener
import small_examples
import vertex_log
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.monitor import remote_log, request_log, work
from kfp_ct.components.monitor.request_log import Period
from kfp_ct.models.vertex_log_settings import VertexLog
from served_traffic import END, START, WINDOW, YESTERDAY, answered, champion, label, log, monitor

LOG = {"endpoint": "ct-small", "metrics": False}
FIRST = 1_000  # request ids of the period


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return champion(tmp_path_factory.mktemp("champion"))


@pytest.fixture
def warehouse(monkeypatch):
    with bigquery_emulator.running(monkeypatch) as emulator:
        yield emulator


def monitor_table(tmp_path, model, labels="", uri=vertex_log.URI, settings=None, **rules):
    metadata = {"version": "1", "registered": "2013-06-01T00:00:00+00:00"}
    request = work.MonitoringRequest(
        model, metadata, "small", uri, WINDOW, labels, "", rules, LOG if settings is None else settings
    )
    return work.monitor(request, work.Outputs(str(tmp_path / "table"), str(tmp_path / "table.html")))


def read(rows, warehouse, tmp_path, version="1", **settings):
    """Returns the traffic of the period, and of the period before."""
    vertex_log.write(warehouse, rows, tmp_path)
    period = Period(START, END)
    moments = [period.before.start, START, END]
    with remote_log.local(vertex_log.URI, VertexLog(**LOG, **settings), "small", moments) as root:
        return [request_log.read(root, "small", version, each, (10_000, "")) for each in (period, period.before)]


def test_the_report_is_that_of_the_services_own_log(model, warehouse, tmp_path):
    served = small_examples.table(2_000, seed=5)
    before, now = answered(small_examples.table(2_000, seed=6), YESTERDAY, "y"), answered(served)
    for answers in (before, now):
        log(tmp_path / "log", answers)
    vertex_log.write(warehouse, vertex_log.of_answers(before) + vertex_log.of_answers(now, first=FIRST), tmp_path)
    alike = monitor(tmp_path, model, labels=label(tmp_path / "labels.parquet", served))
    ids = pq.read_table(tmp_path / "labels.parquet")
    numbers = pa.array([int(text.removeprefix("r-")) + FIRST for text in ids["request_id"].to_pylist()])
    pq.write_table(ids.set_column(0, "request_id", numbers), tmp_path / "theirs.parquet")

    report = monitor_table(tmp_path, model, str(tmp_path / "theirs.parquet"))

    for name in ("state", "reasons", "skew", "drift", "quality", "labels", "rows_before"):
        assert report[name] == alike[name], name
    assert [{**each, "feature": "probability"} for each in report["predictions"]] == alike["predictions"]
    assert report["traffic"]["rows"] == 2_000
    assert (report["traffic"]["p99_ms"], report["traffic"]["unknown"]) == (None, ["errors", "latency"])
    assert "errors, latency" in (tmp_path / "table.html").read_text()


def test_errors_and_latency_are_cloud_monitorings(model, warehouse, monkeypatch, tmp_path):
    vertex_log.write(warehouse, vertex_log.of_answers(answered(small_examples.table(600, seed=5))), tmp_path)
    settings = {"endpoint": "ct-small"}
    with monitoring_listener.running(monkeypatch) as monitoring:
        missing = monitor_table(tmp_path, model, settings=settings)
        monitoring.answered("1", START + datetime.timedelta(hours=2), {"200": 90, "503": 10}, [3.0] * 90 + [80.0] * 10)
        monitoring.answered("1", END + datetime.timedelta(minutes=1), {"500": 7}, [9.0])
        report = monitor_table(tmp_path, model, settings=settings, max_p99_ms=60)

    assert [each["text"] for each in missing["alarms"]] == [
        "Cloud Monitoring has no errors and no latency for some of the requests"
    ]
    assert {name: report["traffic"][name] for name in ("requests", "sampled", "errors", "unknown")} == {
        "requests": 100, "sampled": 6, "errors": 10, "unknown": [],
    }  # fmt: skip
    assert report["traffic"]["p50_ms"] == pytest.approx(3.0, rel=0.2)
    texts = [each["text"] for each in report["alarms"]]
    assert texts[0].startswith("p99 is 9"), "to the width of Cloud Monitoring's buckets"
    assert texts[1:] == ["10 of 100 requests got an error"]


def test_the_window_and_the_endpoint_are_asked_of_bigquery(warehouse, tmp_path):
    rows = vertex_log.of_answers(answered(small_examples.table(400, seed=5)))
    other = vertex_log.of_answers(answered(small_examples.table(300, seed=5)), endpoint=f"{vertex_log.ENDPOINT}-2")
    late = vertex_log.of_answers(answered(small_examples.table(200, seed=5), END), first=50)
    second = vertex_log.of_answers(answered(small_examples.table(100, seed=5)), version="2", first=70)

    now, before = read(rows + other + late + second, warehouse, tmp_path)

    assert (now.logged, before.logged) == (400, 0)
    sql = warehouse.jobs[-1]["configuration"]["query"]
    assert "WHERE logging_time >= @start AND logging_time < @end AND (endpoint = 'ct-small'" in sql["query"]
    given = {each["name"]: each["parameterValue"]["value"] for each in sql["queryParameters"]}
    assert given["start"].startswith("2013-05-31")
    assert given["end"].startswith("2013-06-02")
    assert sum(warehouse.batches) == 5, "a request a row: nothing else left BigQuery"


def test_a_sampled_log_stands_for_all_requests(warehouse, tmp_path):
    now, _ = read(vertex_log.of_answers(answered(small_examples.table(400, seed=5))), warehouse, tmp_path, sample=0.25)

    assert (now.counts["sampled"], now.counts["requests"]) == (4, 16)


BODY = '{"instances": [{"size": 1.5}, {"size": 2}]}'


@pytest.mark.parametrize(
    ("instances", "predictions", "inputs", "outputs"),
    [
        ([BODY], ['{"predictions": [0.25, 0.5]}'], {"size": [1.5, 2.0]}, {"prediction": [0.25, 0.5]}),
        ([3, 4], [[1, 2], [3, 4]], {"instance": [3, 4]}, {"prediction": [[1, 2], [3, 4]]}),
        (
            [{"name": "", "at": {"b64": "AP8="}, "none": None}], [{"a": True, "b": "x"}],
            {"at": [b"\x00\xff"], "name": [None], "none": [None]}, {"a": [1], "b": ["x"]},
        ),
        ([{"image": [[1, 2.5], [3, 4]]}], ["NaN"], {"image": [[1.0, 2.5, 3.0, 4.0]]}, {"prediction": [None]}),
    ],
    ids=["a whole body", "bare values and lists", "texts, bytes, nothing", "tensors and NaN"],
)  # fmt: skip
def test_values_are_those_of_the_services_own_log(instances, predictions, inputs, outputs, warehouse, tmp_path):
    now, _ = read([vertex_log.exchange(7, START, instances, predictions)], warehouse, tmp_path)

    found = [request_log.columns(now.rows, side).to_pydict() for side in ("inputs", "outputs")]
    assert found == [inputs, outputs]
    assert set(now.rows["request_id"].to_pylist()) == {"7"}
    assert now.rows["row"].to_pylist() == list(range(len(now.rows)))


UNREADABLE = [
    (["{"], [0.5], "no JSON"),
    ([], [0.5], "it has no instances"),
    ([{"size": {"x": 1}}], [0.5], "a value is an object"),
    ([{"size": [1, "a"]}], [0.5], "a list holds numbers and texts"),
    ([{"size": "wide"}], [0.5], 'size is "wide", of another form than most'),
    ([{"size": []}], [0.5], "size is [], of another form than most"),
    ([{"size": [None]}], [0.5], "size is [null], of another form than most"),
    ([{"size": 1}], [0.5, 0.6], "1 instances were answered by 2 predictions"),
    ([{"size": 1}], ["<html>"], "its predictions are no JSON"),
    ([{"size": {"b64": "?"}}], [0.5], "a value is no base64"),
]


@pytest.mark.parametrize(("instances", "predictions", "why"), UNREADABLE, ids=[each[2] for each in UNREADABLE])
def test_a_payload_that_cannot_be_read_is_counted_and_named(instances, predictions, why, warehouse, tmp_path):
    good = [vertex_log.exchange(number, START, [{"size": 1.5}], [0.5]) for number in (1, 2)]
    bad = vertex_log.exchange(9, START, instances, predictions)

    now, _ = read([*good, bad], warehouse, tmp_path)

    assert (now.logged, now.counts["sampled"]) == (2, 3)
    ((text),) = now.unreadable
    assert text.startswith("request 9: ")
    assert why in text
    of_the_answer = "predictions" in why
    assert (now.counts["lost"], now.counts.get("error_payload", 0)) == ((0, 1) if of_the_answer else (1, 0))


def test_what_cannot_be_read_is_an_alarm_that_names_it(model, warehouse, tmp_path):
    rows = vertex_log.of_answers(answered(small_examples.table(1_000, seed=5)))
    vertex_log.write(warehouse, [*rows, vertex_log.exchange(99, START, ["?"], [0.5])], tmp_path)

    report = monitor_table(tmp_path, model)

    texts = [each["text"] for each in report["alarms"] if each["kind"] == "log"]
    assert any("of the log cannot be read: request 99: its instances are no JSON" in text for text in texts), texts


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"settings": {}}, "log: .*expected log: {endpoint: ID}"),
        ({"uri": "bq://acme"}, "request_log: .*names no table"),
        ({"uri": "gs://acme/log"}, "log: .*says how a table"),
        ({"max_p99_ms": 50.0}, "rules: .*has no latency"),
        ({"settings": {"endpoint": "x' OR '1'='1"}}, "log.endpoint"),
    ],
    ids=["no endpoint", "no table", "not a table", "latency", "quotes"],
)
def test_settings_that_do_not_fit_are_refused_before_anything_is_asked(given, words, warehouse, tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        monitor_table(tmp_path, "nowhere", **given)
    assert re.search(words, str(caught.value)), caught.value
    assert warehouse.jobs == []


def test_what_may_not_be_read_is_told_with_its_fix(model, warehouse, tmp_path):
    with pytest.raises(DataError, match="BigQuery does not find"):
        monitor_table(tmp_path, model)
    vertex_log.write(warehouse, [], tmp_path)
    with pytest.raises(DataError, match=r"nothing examined(.|\n)*the endpoint logs to that table"):
        monitor_table(tmp_path, model)
    with pytest.raises(ConfigurationError, match=r"log\.bigquery\.max_bytes_billed"):
        monitor_table(tmp_path, model, settings={**LOG, "bigquery": {"max_bytes_billed": 10}})
    warehouse.forbidden = True
    with pytest.raises(ConfigurationError, match="BigQuery Read Session User"):
        monitor_table(tmp_path, model)


def test_rows_at_a_bound_belong_to_the_period_that_begins(warehouse, tmp_path):
    instant = datetime.timedelta(microseconds=1)
    rows = [vertex_log.exchange(n, at, [1], [2]) for n, at in enumerate((START - instant, START, END - instant, END))]

    now, before = read(rows, warehouse, tmp_path)

    assert (now.logged, before.logged) == (2, 1)
    assert (now.counts["requests"], before.counts["requests"]) == (2, 1)
