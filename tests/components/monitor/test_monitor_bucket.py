"""Log, labels and history in an S3 store: the same report as from files, and nothing lost to a bad network."""

import concurrent.futures
import datetime
import json

import pytest

import faulty_proxy
import seaweedfs
import small_examples
from faulty_proxy import LOSE_ANSWER, Answer, times
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.monitor import history, work
from kfp_ct.serving.request_files import Key
from kfp_ct.serving.request_log import RequestLog, Settings
from kfp_ct.serving.request_objects import RequestObjects
from kfp_ct.storage import storage
from served_traffic import START, WINDOW, YESTERDAY, answered, champion, label, log, monitor

KEY = Key("small", 1, "serving_default")
LOG, HISTORY = "s3://data/requests", "s3://data/monitoring/small.jsonl"


@pytest.fixture(scope="module")
def running():
    with seaweedfs.running() as store, faulty_proxy.before(store.url) as proxy:
        yield store, proxy


@pytest.fixture
def proxy(running, monkeypatch):
    store, proxy = running
    proxy.heal()
    for name, value in store.environment(url=proxy.url).items():
        monkeypatch.setenv(name, value)
    yield proxy
    proxy.heal()
    for item in storage.list_folder("s3://data/"):
        storage.delete(item.uri)


def log_to_bucket(answers):
    """Writes them as the service does."""
    written = (START + datetime.timedelta(hours=1)).isoformat()
    counted = {"requests": len(answers), "sampled": len(answers), "dropped": 0, "lost": 0, "errors": {}}
    said = {"signature": "serving_default", "written": written, **counted}
    RequestObjects(LOG, 1 << 40).write(KEY, answers, json.dumps(said))


def monitor_bucket(tmp_path, model, labels="", **rules):
    metadata = {"version": "1", "registered": "2013-06-01T00:00:00+00:00"}
    request = work.MonitoringRequest(model, metadata, "small", LOG, WINDOW, labels, HISTORY, rules)
    return work.monitor(request, work.Outputs(str(tmp_path / "report"), str(tmp_path / "view.html")))


def test_the_report_is_that_of_files(proxy, tmp_path):
    model, served = champion(tmp_path / "champion"), small_examples.table(2_000, seed=5)
    before = answered(small_examples.table(2_000, seed=6), YESTERDAY, "y")
    labels = label(tmp_path / "labels.parquet", served)
    for answers in (before, answered(served)):
        log(tmp_path / "log", answers)
        log_to_bucket(answers)
    storage.write("s3://data/labels/2013-06-01.parquet", (tmp_path / "labels.parquet").read_bytes())
    proxy.fault = times(3, Answer.s3(503, "SlowDown"))

    report = monitor_bucket(tmp_path, model, "s3://data/labels/*.parquet")
    alike = monitor(tmp_path, model, labels=labels)
    assert {**report, "staleness": 0} == {**alike, "staleness": 0}, "but for the age of the model, which grows"
    assert report["labels"]["coverage"] == 1.0
    (line,) = history.read(HISTORY)
    assert line["rows"] == 2_000


def test_no_log_yet_and_no_labels_yet_are_told_apart(proxy, tmp_path):
    model = champion(tmp_path / "champion")
    with pytest.raises(ConfigurationError, match=f"there is no request log at {LOG}"):
        monitor_bucket(tmp_path, model)
    log_to_bucket(answered(small_examples.table(1_000, seed=5)))
    assert monitor_bucket(tmp_path, model, "s3://data/labels/*.csv")["labels"]["read"] == 0


def test_what_a_service_logs_is_there_when_it_has_stopped(proxy):
    log = RequestLog(Settings(LOG, file_rows=100, file_seconds=0.2))
    answers = answered(small_examples.table(1_000, seed=5))
    proxy.fault = times(2, Answer.s3(503, "SlowDown"), lambda asked: asked.is_write)
    for each in answers:
        log.answered(KEY, each)
    log.close()
    names = [item.uri.removeprefix(f"{LOG}/small/1/") for item in storage.list_folder(LOG)]
    assert names
    assert all(name.endswith(".parquet") and "/" not in name for name in names)
    folder_rows = sum(_rows(f"{LOG}/small/1/{name}") for name in names)
    assert folder_rows == 1_000


def test_two_monitoring_runs_at_once_both_keep_their_line(proxy):
    def add(number):
        entry = {"model": "small", "version": str(number), "start": "a", "end": "b"}
        return history.upsert(HISTORY, entry)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(6)))
    assert sorted(line["version"] for line in history.read(HISTORY)) == [str(number) for number in range(6)]


def test_an_answer_that_is_lost_adds_no_second_line(proxy):
    proxy.fault = times(1, LOSE_ANSWER, lambda asked: asked.method == "PUT")
    entry = {"model": "small", "version": "1", "start": "a", "end": "b"}
    assert history.upsert(HISTORY, entry) == [entry]
    assert history.read(HISTORY) == [entry]


def _rows(uri):
    import io

    import pyarrow.parquet as pq

    return pq.read_metadata(io.BytesIO(storage.read(uri).data)).num_rows
