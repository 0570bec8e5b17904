"""Sources and queries in Cloud Storage, read through the official client from a server on loopback."""

import gzip
import http.server
import threading
from pathlib import Path

import pytest

import cloud_storage
from ingesting import BY_ID, assert_refused, ids, ingest
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.ingest import work
from kfp_ct.data import source_version as ct_sources
from kfp_ct.data import user_code
from kfp_ct.storage import search

HEADER = "id,x\n"


@pytest.fixture(scope="module")
def bucket():
    with cloud_storage.running() as bucket:
        yield bucket


@pytest.fixture
def put(bucket):
    """Writes objects; the bucket is emptied afterwards."""
    yield lambda name, content: bucket.blob(name).upload_from_string(content)
    for blob in bucket.list_blobs():
        blob.delete()


def lines(first: int, end: int) -> str:
    return HEADER + "".join(f"{i},{i}.5\n" for i in range(first, end))


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("gs://data/flights/a.csv", range(20)),
        ("gs://data/flights/*.csv", range(40)),
        ("gs://data/flights/[ab].csv", range(40)),
        ("gs://data/flights/[!b].csv", range(20)),
        ("gs://data/flights/?.csv", range(40)),
        ("gs://data/**/*.csv", [*range(60), *range(100, 120)]),
        ("gs://data/flights", range(60)),
        ("gs://data/flights/", range(60)),
    ],
)
def test_objects_globs_and_folders_are_one_table(put, tmp_path, uri, expected):
    put("flights/a.csv", lines(0, 20))
    put("flights/b.csv", lines(20, 40))
    put("flights/deep/er/c.csv", lines(40, 60))
    put("flights/_SUCCESS", "")
    put("flights/_temporary/d.csv", lines(60, 80))
    put("flightsother/d.csv", lines(100, 120))
    ingest(tmp_path, uri, "SELECT * FROM t WHERE id < 60 OR id >= 100")
    assert sorted(ids(tmp_path, "train") + ids(tmp_path, "eval")) == list(expected)
    assert not (tmp_path / ".out.ingest").exists(), "the copies are gone"


def test_a_dataset_from_cloud_storage_equals_one_from_files(put, tmp_path):
    put("a.csv.gz", gzip.compress(lines(0, 50).encode()))
    (tmp_path / "a.csv").write_text(lines(0, 50))
    assert ingest(tmp_path, "gs://data/a.csv.gz") == ingest(tmp_path, str(tmp_path / "a.csv"), out="local")


def test_bad_rows_name_the_object(put, tmp_path):
    put("a.csv", lines(0, 100) + "oops,1\n")
    source = {"uri": "gs://data/a.csv", "columns": {"id": "BIGINT"}}
    assert_refused(DataError, "a.csv line 102", root=tmp_path, source=source, max_bad_fraction=0.0)


@pytest.mark.parametrize(
    ("uri", "error", "words"),
    [
        ("gs://data/gone.csv", DataError, "there is no file at gs://data/gone.csv"),
        ("gs://data/*.json", DataError, "there is no file"),
        ("gs://nowhere/a.csv", DataError, "there is no bucket"),
        ("gs://", ConfigurationError, "names no bucket"),
        ("gs://*/a.csv", ConfigurationError, "names no bucket"),
    ],
)
def test_what_is_not_there_is_named(bucket, tmp_path, uri, error, words):
    assert "fix: " in assert_refused(error, words, root=tmp_path, source=uri)


@pytest.mark.parametrize("pattern", ["in", "in/", "in/*.csv", "in/**", "in/a.csv", "", "i"])
def test_what_is_behind_a_uri_is_known_without_asking(put, pattern):
    names = ["in/a.csv", "in/b/c.csv", "in/_SUCCESS", "in/.part.csv", "inner/d.csv", "e.csv"]
    for name in names:
        put(name, "x\n")
    found = [each.name for each in search.find(f"gs://data/{pattern}")]
    assert [name for name in sorted(names) if search.is_behind(f"gs://data/{pattern}", "data", name)] == found
    assert not search.is_behind(f"gs://data/{pattern}", "other", "in/a.csv")


def test_an_object_overwritten_meanwhile_is_not_mixed_in(put, tmp_path):
    put("a.csv", lines(0, 20))
    found = search.find("gs://data/a.csv")
    put("a.csv", lines(20, 40))
    with pytest.raises(DataError, match="overwritten or removed"):
        search.download(found, tmp_path)


def test_a_query_may_be_an_object(put, tmp_path):
    (tmp_path / "a.csv").write_text(lines(0, 50))
    put("query.sql", "SELECT * FROM t WHERE id < 40")
    request = work.IngestRequest({"t": str(tmp_path / "a.csv")}, "gs://data/query.sql", BY_ID)
    assert sum(work.ingest(request, tmp_path / "out")["rows"].values()) == 40
    with pytest.raises(ConfigurationError, match=r"no query at gs://data/gone\.sql"):
        user_code.read_text("gs://data/gone.sql", "query")


class Refusing(http.server.BaseHTTPRequestHandler):
    """A storage server that allows nothing."""

    def do_GET(self):
        self.send_response(403)
        self.end_headers()
        self.wfile.write(b'{"error": {"message": "caller does not have storage.objects.list access"}}')

    def log_message(self, *_):
        pass


@pytest.fixture
def refusing(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    server.server_close()


def test_a_missing_permission_names_the_role(refusing, tmp_path):
    words = ("may not be read", "storage.objects.list", "Storage Object Viewer")
    assert_refused(ConfigurationError, *words, root=tmp_path, source="gs://data/a.csv")
    with pytest.raises(ConfigurationError, match="Storage Object Viewer"):
        ct_sources.source_version({"t": "gs://data/a.csv"}, tmp_path)


# The data's version


def test_the_version_follows_content_and_nothing_else(put, bucket, tmp_path):
    def version(uri: str = "gs://data/part*.csv") -> str:
        return ct_sources.source_version({"t": {"uri": uri}}, tmp_path)

    put("part1.csv", lines(0, 20))
    first = version()
    put("part1.csv", lines(0, 20))
    assert version() == first, "the same content, written again"
    put("other.csv", lines(0, 20))
    assert version() == first, "an object that the source does not name"
    put("part1.csv", lines(0, 21))
    changed = version()
    put("part2.csv", lines(21, 22))
    assert len({first, changed, version()}) == 3


def test_the_version_of_local_files_is_their_content(tmp_path):
    (Path(tmp_path) / "a.csv").write_text(lines(0, 20))
    first = ct_sources.source_version({"t": "a.csv"}, tmp_path)
    (Path(tmp_path) / "a.csv").write_text(lines(0, 21))
    assert ct_sources.source_version({"t": "a.csv"}, tmp_path) != first
