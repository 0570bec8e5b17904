"""The fingerprint of what ingest would read: the same while nothing changed, another one when something did."""

import datetime

import pytest

import seaweedfs
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.resolve_sources import work
from kfp_ct.storage import storage

NOON = datetime.datetime(2026, 11, 28, 12, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def running():
    with seaweedfs.running() as store:
        yield store


@pytest.fixture
def bucket(running, monkeypatch):
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    yield "s3://data"
    for item in storage.list_folder("s3://data/"):
        storage.delete(item.uri)


def resolve(uri, window=("", ""), now=NOON, known=""):
    return work.resolve({"t": {"uri": uri}}, window, {}, known, now)


def test_a_bucket_is_another_one_when_an_object_is_added_changed_or_removed(bucket):
    storage.write(f"{bucket}/in/a.csv", b"id\n1\n")
    first = resolve(f"{bucket}/in/*.csv")
    storage.write(f"{bucket}/in/a.csv", b"id\n1\n")
    assert resolve(f"{bucket}/in/*.csv") == first
    storage.write(f"{bucket}/in/notes.txt", b"not read")
    assert resolve(f"{bucket}/in/*.csv") == first
    storage.write(f"{bucket}/in/b.csv", b"id\n2\n")
    added = resolve(f"{bucket}/in/*.csv")
    storage.write(f"{bucket}/in/b.csv", b"id\n3\n")
    changed = resolve(f"{bucket}/in/*.csv")
    storage.delete(f"{bucket}/in/b.csv")
    assert len({first, added, changed}) == 3
    assert resolve(f"{bucket}/in/*.csv") == first


def test_files_count_by_their_content(tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\n")
    first = resolve(str(tmp_path / "a.csv"))
    (tmp_path / "a.csv").write_text("id\n2\n")
    assert resolve(str(tmp_path / "a.csv")) != first


def test_a_window_that_hangs_on_the_day_is_another_one_tomorrow(tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\n")
    source, window = str(tmp_path / "a.csv"), ("last 90 days", "")
    assert resolve(source, window) == resolve(source, window, NOON + datetime.timedelta(hours=1))
    assert resolve(source, window) != resolve(source, window, NOON + datetime.timedelta(days=1))
    fixed = ("2013-01-01", "2013-04-01")
    assert resolve(source, fixed) == resolve(source, fixed, NOON + datetime.timedelta(days=1))


def test_a_query_of_bigquery_is_another_one_every_time():
    asked = {"t": {"bigquery": "in.sql"}}
    assert work.resolve(asked, ("", ""), {}, now=NOON) != work.resolve(asked, ("", ""), {}, now=NOON)


def test_what_is_known_already_is_not_looked_at(tmp_path):
    assert resolve("s3://nowhere/at-all.csv", known="abc") == "abc"


@pytest.mark.parametrize(
    ("uri", "error", "words"),
    [("s3://nowhere/a.csv", DataError, "there is no bucket"), ("s3://", ConfigurationError, "names no bucket")],
)
def test_what_cannot_be_looked_at_stops_the_run(bucket, uri, error, words):
    with pytest.raises(error, match=words):
        resolve(f"{uri}/*" if uri.endswith(".csv") else uri)


def test_a_window_that_cannot_be_used_stops_the_run(tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\n")
    with pytest.raises(ConfigurationError, match=r"the window from 'last 0 days' to '' cannot be used: .*expected"):
        resolve(str(tmp_path / "a.csv"), ("last 0 days", ""))
