"""Sources and whole queries in BigQuery: the official clients over sockets, an emulator on loopback."""

import json

import pytest

import bigquery_emulator
from ingesting import assert_refused, ids, ingest, rows, table
from kfp_ct.base.errors import ComponentError, ConfigurationError, DataError
from kfp_ct.cloud import bigquery
from kfp_ct.cloud.bigquery_access import Access
from kfp_ct.components.ingest.query import Window
from kfp_ct.components.ingest.warehouse import Warehouse
from kfp_ct.data import layouts
from kfp_ct.data import source_version as ct_sources

OPTIONS = {"bigquery": {"project": "acme", "location": "EU", "max_bytes_billed": 1e6, "labels": {"team": "flights"}}}
IN_BIGQUERY = {**OPTIONS, "engine": "bigquery"}
WINDOWED = """
-- '@window_what' is no parameter; # nor @this
SELECT id, seen, name FROM `acme.air.flights` /* @nothing */
WHERE seen >= @window_start AND (@window_end IS NULL OR seen < @window_end) AND name <> '@there'
"""
FLIGHTS = """
CREATE TABLE acme.air.flights AS SELECT i AS id, TIMESTAMPTZ '2013-01-01 00:00:00Z' + INTERVAL 1 HOUR * i AS seen,
CASE WHEN i % 5 > 0 THEN 'Zürich ' || i ELSE '' END AS name, CASE WHEN i % 3 > 0 THEN i / 4 END AS delay,
(i / 8)::DECIMAL(38, 9) AS price, i % 2 = 0 AS even, DATE '2013-01-01' AS day, [i, i + 1] AS list
FROM range(2400) r(i)
"""


@pytest.fixture
def warehouse(monkeypatch):
    with bigquery_emulator.running(monkeypatch) as emulator:
        emulator.database.execute(FLIGHTS)
        yield emulator


def test_a_table_is_a_source_beside_files(warehouse, tmp_path):
    (tmp_path / "names.csv").write_text("id,code\n" + "".join(f"{i},c{i}\n" for i in range(2400)))
    sources = {"flights": {"bigquery": "acme.air.flights"}, "names": str(tmp_path / "names.csv")}
    ingest(tmp_path, sources, "SELECT f.*, n.code FROM flights f JOIN names n USING (id)", options=OPTIONS)
    assert len(rows(tmp_path)) == 2400
    assert rows(tmp_path)[7] == {
        "id": 7, "seen": "2013-01-01T07:00:00Z", "name": "Zürich 7", "delay": 1.75, "price": 0.875, "even": 0,
        "day": "2013-01-01", "list": [7, 8], "code": "c7",
    }  # fmt: skip
    assert rows(tmp_path)[0]["name"] == ""
    assert rows(tmp_path)[0]["delay"] is None
    assert layouts.read_manifest(tmp_path / "out").sources["flights"] == "bigquery:acme.air.flights"
    assert warehouse.jobs == [], "a table is read without a query"
    assert warehouse.sessions[0].parent == "projects/acme"
    assert not (tmp_path / ".out.ingest").exists()


def test_a_query_runs_in_bigquery_with_its_parameters(warehouse, tmp_path, capsys):
    window = {"window_start": "2013-01-02", "window_end": "2013-01-04T02:00:00+02:00"}
    ingest(tmp_path, {}, WINDOWED, options=IN_BIGQUERY, **window)
    assert sorted(ids(tmp_path, "train") + ids(tmp_path, "eval")) == list(range(24, 72))
    dry, run = (job["configuration"] for job in warehouse.jobs)
    assert (dry["dryRun"], dry["query"]["useQueryCache"]) == (True, False)
    assert "dryRun" not in run
    for job in (dry, run):
        assert job["labels"] == {"team": "flights", "managed_by": "kfp-ct"}
        assert job["query"]["maximumBytesBilled"] == "1000000"
        parameters = {each["name"]: each for each in job["query"]["queryParameters"]}
        assert {name: each["parameterType"] for name, each in parameters.items()} == {
            "window_start": {"type": "TIMESTAMP"}, "window_end": {"type": "TIMESTAMP"},
        }  # fmt: skip
        assert parameters["window_end"]["parameterValue"]["value"].startswith("2013-01-04 00:00:00")
    assert warehouse.jobs[0]["jobReference"].get("location", "EU") == "EU"
    assert "query.sql: BigQuery will read 5 kB of at most 1 MB" in capsys.readouterr().out


def test_only_real_parameters_of_bigquerys_sql_are_bound(tmp_path):
    text = r"""SELECT '@a\'@b', "@c", `@d`, @@e, @window_start -- @f
    # @g's
    FROM t WHERE x = '''it's @h''' /* @i */"""
    (tmp_path / "query.sql").write_text(text)
    asked = Warehouse(Access(), Window()).query(str(tmp_path / "query.sql"))
    assert (asked.sql, asked.parameters) == (text, {"window_start": None})


def test_both_engines_give_the_same_dataset(warehouse, tmp_path):
    sql = "SELECT id, seen, name, delay FROM acme.air.flights WHERE id < 500"
    in_bigquery = ingest(tmp_path, {}, sql, options=IN_BIGQUERY)
    source = {"flights": {"bigquery": "acme.air.flights"}}
    local = ingest(tmp_path, source, sql.replace("acme.air.", ""), options=OPTIONS, out="local")
    assert in_bigquery == local
    assert table(tmp_path, "train").equals(table(tmp_path, "train", "local"))


def test_a_source_may_be_a_query_that_bounds_the_window(warehouse, tmp_path):
    (tmp_path / "part.sql").write_text("SELECT id FROM acme.air.flights WHERE seen < @window_end")
    source = {"flights": {"bigquery": str(tmp_path / "part.sql")}}
    ingest(tmp_path, source, "FROM flights", options=OPTIONS, window_end="2013-01-03")
    assert len(rows(tmp_path)) == 48


def test_a_view_is_read_by_a_query(warehouse, tmp_path):
    warehouse.database.execute("CREATE VIEW acme.air.late_view AS FROM acme.air.flights WHERE id > 2000")
    ingest(tmp_path, {"bigquery": "acme.air.late_view"}, options=OPTIONS)
    assert len(rows(tmp_path)) == 399
    assert [job["configuration"]["query"]["query"] for job in warehouse.jobs] == [
        "SELECT * FROM `acme.air.late_view`"
    ] * 2


def test_a_broken_stream_is_read_on_from_where_it_broke(warehouse, tmp_path):
    warehouse.breaks = 2
    ingest(tmp_path, {"bigquery": "acme.air.flights"}, options=OPTIONS)
    assert [row["id"] for row in rows(tmp_path)] == list(range(2400))
    assert len(warehouse.reads) == 4
    assert any(request.offset for request in warehouse.reads)


def test_memory_holds_a_piece_of_each_stream(warehouse, tmp_path, monkeypatch):
    monkeypatch.setattr(bigquery, "GROUP_ROWS", 1_000)
    (first, second) = bigquery.read_table("acme.air.flights", Access(**OPTIONS["bigquery"]), tmp_path / "parts")
    groups = [bigquery.pyarrow.parquet.read_metadata(path) for path in (first, second)]
    assert [each.num_rows for each in groups] == [1200, 1200]
    assert [each.row_group(0).num_rows for each in groups] == [1000, 1000]


# What is refused


@pytest.mark.parametrize("source", [{"bigquery": "acme.air.gone"}, {"bigquery": "acme.nowhere.flights"}])
def test_a_table_that_is_not_there_is_named(warehouse, tmp_path, source):
    words = (source["bigquery"], "does not find", "fix: ")
    assert_refused(DataError, *words, root=tmp_path, source=source, options=OPTIONS)


@pytest.mark.parametrize(
    ("sql", "error", "words"),
    [
        ("SELECT id FROM acme.air.gone", DataError, "does not find"),
        ("SELEC 1", ConfigurationError, "not a valid query for BigQuery"),
        ("SELECT nothing FROM acme.air.flights", ConfigurationError, "nothing"),
        ("SELECT id FROM acme.air.flights WHERE seen > @since", ConfigurationError, "@since"),
        ("SELECT id FROM acme.air.flights WHERE id < 0", DataError, "no rows"),
    ],
)
def test_a_query_that_bigquery_cannot_run_is_one_clear_error(warehouse, tmp_path, sql, error, words):
    assert_refused(error, words, root=tmp_path, source={}, sql=sql, options=IN_BIGQUERY)


@pytest.mark.parametrize("source", [{}, {"bigquery": "acme.air.flights"}], ids=["query", "table"])
def test_what_would_read_more_than_allowed_is_not_run(warehouse, tmp_path, source):
    warehouse.bytes = 2_000_000
    options, sql = (OPTIONS, "FROM t") if source else (IN_BIGQUERY, "SELECT id FROM acme.air.flights")
    words = ("would read 2 MB, allowed are 1 MB", "max_bytes_billed")
    assert_refused(ConfigurationError, *words, root=tmp_path, source=source, sql=sql, options=options)
    assert not [job for job in warehouse.jobs if not job["configuration"].get("dryRun")]
    assert warehouse.reads == []


def test_a_cap_that_only_the_job_exceeds_is_bigquerys_own(warehouse, tmp_path):
    warehouse.bytes, warehouse.limit_hidden = 2_000_000, True
    sql = "SELECT id FROM acme.air.flights"
    words = ("reads more than is allowed", "bytes billed")
    assert_refused(ConfigurationError, *words, root=tmp_path, source={}, sql=sql, options=IN_BIGQUERY)


@pytest.mark.parametrize("source", [{}, {"bigquery": "acme.air.flights"}], ids=["query", "table"])
def test_a_missing_permission_names_the_roles(warehouse, tmp_path, source):
    warehouse.forbidden = True
    options, sql = (OPTIONS, "FROM t") if source else (IN_BIGQUERY, "SELECT id FROM acme.air.flights")
    words = ("may not be read", "BigQuery Job User")
    assert_refused(ConfigurationError, *words, root=tmp_path, source=source, sql=sql, options=options)


def test_missing_credentials_are_said(warehouse, tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))
    words = ("may not be read", "gone.json", "gcloud auth application-default login")
    assert_refused(ConfigurationError, *words, root=tmp_path, source={"bigquery": "acme.air.flights"})


def test_a_project_that_nobody_names_is_asked_for(warehouse, tmp_path, monkeypatch):
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    user = {"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}
    (tmp_path / "user.json").write_text(json.dumps(user))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "user.json"))
    words = "set options.bigquery.project"
    assert_refused(ComponentError, words, root=tmp_path, source={"bigquery": "acme.air.flights"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "spark"}, 'options.engine is "spark": expected one of duckdb, bigquery'),
        ({"engines": "bigquery"}, "options.engines is not a setting: did you mean engine?"),
        ({"bigquery": "acme"}, 'options.bigquery is "acme": expected an object'),
        ({"bigquery": {"cap": 1}}, "options.bigquery.cap is not a setting"),
        ({"bigquery": {"max_bytes_billed": 0}}, "max_bytes_billed is 0: expected a whole number of 1 or more"),
        ({"bigquery": {"max_bytes_billed": 0.5}}, "max_bytes_billed is 0.5: expected a whole number"),
        ({"bigquery": {"labels": {"a": 1}}}, "options.bigquery.labels.a is 1: expected a text"),
        ({"bigquery": {"project": 1}}, "options.bigquery.project is 1: expected a text"),
    ],
)
def test_wrong_options_are_refused(tmp_path, options, words):
    assert_refused(ConfigurationError, words, root=tmp_path, source="a.csv", options=options)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"t": {"bigquery": "a.b.c", "uri": "a.csv"}}, "sources.t.uri: expected either it or bigquery"),
        ({"t": {"bigquery": 3}}, "sources.t.bigquery is 3: expected a text"),
        ({"t": {"bigquery": "a.b.c", "format": "csv"}}, "sources.t.bigquery: beside it nothing is taken"),
    ],
)
def test_a_source_described_wrongly_is_refused(tmp_path, source, words):
    assert_refused(ConfigurationError, words, root=tmp_path, source=source)


def test_a_query_in_bigquery_has_no_sources(tmp_path):
    assert_refused(
        ConfigurationError,
        "sources: t cannot be used, the query runs in BigQuery",
        root=tmp_path,
        source="a.csv",
        options=IN_BIGQUERY,
    )


def test_a_window_that_a_query_in_bigquery_ignores_is_refused(tmp_path):
    words, window = "does not use it", {"window_end": "2013-02-01"}
    assert_refused(ConfigurationError, words, root=tmp_path, source={}, sql="SELECT 1", options=IN_BIGQUERY, **window)


# The data's version


def test_a_table_has_a_version_and_a_query_another_one_every_time(warehouse, tmp_path):
    def version(reference: str = "acme.air.flights", **more) -> str:
        return ct_sources.source_version({"t": {"bigquery": reference}}, tmp_path, {**OPTIONS, **more})

    first = version()
    assert version() == first
    warehouse.database.execute("DELETE FROM acme.air.flights WHERE id = 0")
    assert version() != first
    assert version("part.sql") != version("part.sql")
    assert version(engine="bigquery") != version(engine="bigquery")
    with pytest.raises(DataError, match="does not find"):
        version("acme.air.gone")
