"""Sources and queries in an S3 store, read from a real SeaweedFS, also through a bad network."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import faulty_proxy
import seaweedfs
from faulty_proxy import Answer, times
from ingesting import BY_ID, assert_refused, ids, ingest
from kfp_ct.base.errors import ComponentError, ConfigurationError, DataError
from kfp_ct.components.ingest import work
from kfp_ct.data import source_version
from kfp_ct.storage import storage


@pytest.fixture(scope="module")
def proxied():
    with seaweedfs.running() as store, faulty_proxy.before(store.url) as proxy:
        yield store, proxy


@pytest.fixture
def put(proxied, monkeypatch):
    """Writes objects; the bucket is emptied afterwards. Everything goes through the proxy, which is well again."""
    store, proxy = proxied
    proxy.heal()
    for name, value in store.environment(url=proxy.url).items():
        monkeypatch.setenv(name, value)
    yield lambda name, content: storage.write(
        f"s3://data/{name}", content.encode() if isinstance(content, str) else content
    )
    proxy.heal()
    for item in storage.list_folder("s3://data/"):
        storage.delete(item.uri)


@pytest.fixture
def proxy(proxied):
    return proxied[1]


def lines(first: int, end: int) -> str:
    return "id,x\n" + "".join(f"{i},{i}.5\n" for i in range(first, end))


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://data/flights/a.csv", range(20)),
        ("s3://data/flights/*.csv", range(40)),
        ("s3://data/flights/**/*.csv", range(60)),
        ("s3://data/flights", range(60)),
    ],
)
def test_objects_globs_and_folders_are_one_table(put, tmp_path, uri, expected):
    put("flights/a.csv", lines(0, 20))
    put("flights/b.csv", lines(20, 40))
    put("flights/deep/er/c.csv", lines(40, 60))
    put("flights/_SUCCESS", "")
    put("flightsother/d.csv", lines(100, 120))
    ingest(tmp_path, uri)
    assert sorted(ids(tmp_path, "train") + ids(tmp_path, "eval")) == list(expected)
    assert not (tmp_path / ".out.ingest").exists(), "the copies are gone"


def test_a_dataset_from_a_bucket_equals_one_from_files(put, tmp_path):
    put("a.csv.gz", gzip.compress(lines(0, 50).encode()))
    (tmp_path / "a.csv").write_text(lines(0, 50))
    assert ingest(tmp_path, "s3://data/a.csv.gz") == ingest(tmp_path, str(tmp_path / "a.csv"), out="local")


def test_parquet_and_a_query_may_be_objects(put, tmp_path):
    pq.write_table(pa.table({"id": list(range(100))}), tmp_path / "a.parquet")
    put("in/a.parquet", (tmp_path / "a.parquet").read_bytes())
    put("query.sql", "SELECT * FROM t WHERE id < 40")
    request = work.IngestRequest({"t": "s3://data/in/*.parquet"}, "s3://data/query.sql", BY_ID)
    assert sum(work.ingest(request, tmp_path / "out")["rows"].values()) == 40


@pytest.mark.parametrize(
    ("uri", "error", "words"),
    [
        ("s3://data/gone.csv", DataError, "there is no file at s3://data/gone.csv"),
        ("s3://nowhere/a.csv", DataError, "there is no bucket"),
        ("s3://", ConfigurationError, "names no bucket"),
    ],
)
def test_what_is_not_there_is_named(put, tmp_path, uri, error, words):
    assert "fix: " in assert_refused(error, words, root=tmp_path, source=uri)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        pytest.param(Answer.s3(403, "AccessDenied"), ConfigurationError, "may not be read: AccessDenied",
                     id="forbidden"),
        pytest.param(Answer.s3(400, "ExpiredToken"), ConfigurationError, "credentials are not accepted: ExpiredToken",
                     id="expired"),
        pytest.param(Answer.s3(403, "SignatureDoesNotMatch"), ConfigurationError, "credentials are not accepted",
                     id="wrong secret"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_fixes_it_and_leaves_no_data(put, proxy, tmp_path, fault, error, words):
    put("in/a.csv", lines(0, 20))
    proxy.fault = lambda asked: fault
    assert "fix: " in assert_refused(error, words, root=tmp_path, source="s3://data/in/*.csv")


def test_credentials_that_expire_halfway_leave_no_dataset(put, proxy, tmp_path):
    for number in range(6):
        put(f"in/{number}.csv", lines(number * 10, number * 10 + 10))
    left = iter(range(3))
    proxy.fault = lambda asked: (
        None if asked.is_listing or next(left, None) is not None else Answer.s3(400, "ExpiredToken")
    )
    assert_refused(ConfigurationError, "ExpiredToken", "renew", root=tmp_path, source="s3://data/in")


@pytest.mark.parametrize("fault", [Answer.s3(503, "SlowDown"), Answer.s3(429, "TooManyRequests")], ids=["503", "429"])
def test_throttling_is_waited_through(put, proxy, tmp_path, fault):
    put("a.csv", lines(0, 50))
    proxy.fault = times(3, fault)
    assert sum(ingest(tmp_path, "s3://data/a.csv")["rows"].values()) == 50
    assert len(proxy.asked) > 3


def test_a_download_that_is_cut_is_taken_up_again(put, proxy, tmp_path):
    text = lines(0, 200_000)
    put("a.csv", text)
    proxy.fault = times(2, faulty_proxy.CUT_ANSWER, lambda asked: asked.method == "GET" and asked.path.endswith(".csv"))
    assert sum(ingest(tmp_path, "s3://data/a.csv")["rows"].values()) == 200_000


def test_a_store_that_cuts_every_download_stops_the_step(put, proxy, tmp_path, monkeypatch):
    put("a.csv", lines(0, 20_000))
    proxy.fault = lambda asked: faulty_proxy.CUT_ANSWER if asked.method == "GET" and not asked.is_listing else None
    assert_refused(ComponentError, "does not answer for s3://data/a.csv", root=tmp_path, source="s3://data/a.csv")


def test_the_version_follows_content_and_nothing_else(put, tmp_path):
    def version(uri: str = "s3://data/part*.csv") -> str:
        return source_version.source_version({"t": {"uri": uri}}, tmp_path)

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
