"""The query, the window, the order and the fingerprint of an ingested dataset."""

import datetime
import json
from pathlib import Path

import pytest

from ingesting import BY_ID, assert_refused, ids, ingest, table
from kfp_ct.base.errors import ComponentError, ConfigurationError, DataError
from kfp_ct.components.ingest import query, shards, work
from kfp_ct.data import layouts
from repository import ROOT

FLIGHTS = ROOT / ".ct/data/nycflights13"
BY_TIME = {"method": "time", "column": "seen", "holdout": "10 days"}
WINDOWED = """
SELECT * FROM t -- @nothing here; nor '@there'
WHERE (@window_start IS NULL OR seen >= @window_start) AND (@window_end IS NULL OR seen < @window_end)
  AND '@window_end' <> '' /* @window_what */;
"""
FIRST = datetime.date(2013, 1, 1)


@pytest.fixture
def days(tmp_path) -> str:
    """A source with a row a day, 2013-01-01 to 2013-04-10."""
    lines = [f"{i},{FIRST + datetime.timedelta(days=i)}" for i in range(100)]
    (tmp_path / "days.csv").write_text("\n".join(["id,seen", *lines]))
    return str(tmp_path / "days.csv")


# The query


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT delay FROM t", 'column "delay" not found'),
        ("SELECT * FROM nowhere", "nowhere does not exist"),
        ("SELECT * FROM t; SELECT 1", "2 statements"),
        ("", "0 statements"),
        ("DROP VIEW t", "no SELECT"),
        ("COPY t TO 'x.csv'", "no SELECT"),
        ("SELECT id, t.id FROM t", "named id"),
        ("SELECT id, seen AS ID FROM t", "named"),
        ("SELECT * FROM t WHERE seen > @since", "@since"),
        ("SELECT sum(seen) FROM t", "sum(DATE)"),
    ],
)
def test_a_wrong_query_is_the_users_error(tmp_path, days, sql, words):
    assert_refused(ConfigurationError, words, root=tmp_path, source=days, sql=sql)


def test_a_missing_query_file_is_named(tmp_path, days):
    with pytest.raises(ConfigurationError, match=r"no query at gone\.sql"):
        work.ingest(work.IngestRequest({"t": days}, "gone.sql", BY_ID), tmp_path / "out")


@pytest.mark.parametrize("sql", ["SELECT id, days FROM t", "SELECT 1 AS id FROM read_csv('{days}')", "FROM '{days}'"])
def test_a_query_reaches_nothing_but_the_sources(tmp_path, days, sql):
    assert_refused(ComponentError, root=tmp_path, source=days, sql=sql.format(days=days))


def test_comments_with_clauses_and_short_selects_are_fine(tmp_path, days):
    ingest(tmp_path, days, "-- first\nWITH a AS (FROM t) FROM a -- last")
    assert len(ids(tmp_path, "train")) > 50


# The window


def test_the_window_is_half_open(tmp_path, days):
    ingest(tmp_path, days, WINDOWED, BY_TIME, window_start="2013-02-01", window_end="2013-03-01")
    dates = sorted(
        table(tmp_path, "train").column("seen").to_pylist() + table(tmp_path, "eval").column("seen").to_pylist()
    )
    assert (dates[0], dates[-1], len(dates)) == ("2013-02-01", "2013-02-28", 28)


def test_instants_with_a_zone_are_compared_in_utc(tmp_path, days):
    ingest(tmp_path, days, WINDOWED, window_end="2013-02-01T02:00:00+02:00")
    assert len(ids(tmp_path, "train") + ids(tmp_path, "eval")) == 31
    assert layouts.read_manifest(tmp_path / "out").window == {"start": "", "end": "2013-02-01T00:00:00"}


def test_an_unbounded_window_takes_everything(tmp_path, days):
    assert sum(ingest(tmp_path, days, WINDOWED)["rows"].values()) == 100


def test_an_empty_window_says_what_there_is(tmp_path, days):
    assert_refused(
        DataError, "no rows in the window from 2014-01-01T00:00:00 up to the end", "seen 2013-01-01 to 2013-04-10",
        root=tmp_path, source=days, sql=WINDOWED, window_start="2014-01-01",
    )  # fmt: skip


def test_a_query_without_rows_says_that_no_window_is_to_blame(tmp_path, days):
    sql = "SELECT * FROM t WHERE id < 0"
    assert_refused(DataError, "no rows", "none without a window either", root=tmp_path, source=days, sql=sql)


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ({"window_end": "June"}, 'window_end is "June": expected a date or instant'),
        ({"window_start": "2013-02-01", "window_end": "2013-02-01"}, "is empty"),
        ({"window_start": "2013-03-01", "window_end": "2013-02-01"}, "is empty"),
    ],
)
def test_a_window_that_encloses_nothing_is_refused(tmp_path, days, window, words):
    assert_refused(ConfigurationError, words, root=tmp_path, source=days, sql=WINDOWED, **window)


def test_a_window_that_the_query_ignores_is_refused(tmp_path, days):
    assert_refused(ConfigurationError, "does not use it", root=tmp_path, source=days, window_end="2013-02-01")


# Order and fingerprint


def write_rows(path: Path, rows: list[int]) -> str:
    path.mkdir(exist_ok=True)
    for n in range(0, len(rows), 40):
        lines = [f"{i},{i % 7}.5,name {i % 3}" for i in rows[n : n + 40]]
        (path / f"{n:03d}.csv").write_text("\n".join(["id,x,s", *lines]))
    return str(path)


def test_the_same_rows_give_the_same_files_whatever_their_order(tmp_path):
    first = ingest(tmp_path, write_rows(tmp_path / "a", list(range(100))), out="first")
    again = ingest(tmp_path, write_rows(tmp_path / "b", list(range(99, -1, -1))), out="again")
    assert first == again
    for split in ("train", "eval"):
        assert table(tmp_path, split, "first").equals(table(tmp_path, split, "again"))
        assert ids(tmp_path, split, "first") != sorted(ids(tmp_path, split, "first")), "rows are mixed"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * REPLACE (CASE id WHEN 3 THEN 'other' ELSE s END AS s) FROM t",
        "SELECT * REPLACE (CASE id WHEN 3 THEN NULL ELSE s END AS s) FROM t",
        "FROM t WHERE id <> 3",
        "FROM t UNION ALL FROM t WHERE id = 3",
        "SELECT *, 1 AS more FROM t",
        "SELECT id, x, s AS renamed FROM t",
        "SELECT id, x::VARCHAR AS x, s FROM t",
    ],
)
def test_any_change_of_content_changes_the_fingerprint(tmp_path, sql):
    source = write_rows(tmp_path / "a", list(range(100)))
    changed = ingest(tmp_path, source, sql, out="changed")["fingerprint"]
    assert ingest(tmp_path, source, out="first")["fingerprint"] != changed


def test_the_split_is_part_of_the_fingerprint(tmp_path):
    source = write_rows(tmp_path / "a", list(range(100)))
    prints = {ingest(tmp_path, source, split={**BY_ID, "eval_fraction": f})["fingerprint"] for f in (0.3, 0.5)}
    assert len(prints) == 2


def test_large_splits_are_sharded_without_losing_a_row(tmp_path, days, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_ROWS", 30)
    metadata = ingest(tmp_path, days)
    train = layouts.read_manifest(tmp_path / "out").split("train")
    assert len(train.files) == -(-metadata["rows"]["train"] // 30) > 1
    assert train.files[0] == f"Split-train/data_parquet-00000-of-{len(train.files):05d}.parquet"
    assert sorted(ids(tmp_path, "train") + ids(tmp_path, "eval")) == list(range(100))


def test_metadata_is_json_and_names_no_time_or_path(tmp_path, days):
    metadata = ingest(tmp_path, days)
    assert json.loads(json.dumps(metadata)) == metadata
    assert set(metadata) == {"rows", "fingerprint", "rejected_rows"}
    assert str(tmp_path) not in json.dumps(metadata)


# What is left on disk


def test_a_dataset_is_its_manifest_its_summary_and_its_shards(tmp_path, days):
    ingest(tmp_path, days)
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert files == [
        "Split-eval/data_parquet-00000-of-00001.parquet", "Split-train/data_parquet-00000-of-00001.parquet",
        "manifest.json", "summary.json",
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["days.csv", "out", "query.sql"]


def test_a_failure_takes_an_earlier_dataset_away(tmp_path, days):
    ingest(tmp_path, days)
    assert_refused(DataError, "is empty", root=tmp_path, source=days, split={**BY_TIME, "holdout": "1 year"})
    ingest(tmp_path, days)
    assert (tmp_path / "out/manifest.json").exists()


def test_what_a_killed_run_left_is_no_obstacle(tmp_path, days):
    (tmp_path / ".out.ingest").mkdir()
    (tmp_path / ".out.ingest/ingest.duckdb").write_text("half a database")
    (tmp_path / "out/Split-train").mkdir(parents=True)
    (tmp_path / "out/Split-train/data_parquet-00000-of-00009.parquet").write_text("half a file")
    ingest(tmp_path, days)
    assert len(layouts.split_files(tmp_path / "out", "train")) == 1


def test_an_output_that_cannot_be_written_is_one_clear_error(tmp_path, days):
    (tmp_path / "file").write_text("")
    with pytest.raises(ComponentError, match="cannot write to"):
        ingest(tmp_path, days, out="file/out")


def test_windows_know_what_they_are():
    assert str(query.parse_window("", "2013-06-01")) == "from the beginning up to 2013-06-01T00:00:00"


# The shipped data


@pytest.mark.skipif(not (FLIGHTS / "flights.csv.zip").exists(), reason="the flights data is fetched by make setup")
def test_a_year_of_flights_is_ingested_whole(tmp_path):
    source = {"uri": str(FLIGHTS / "flights.csv.zip"), "null_values": ["NA"]}
    split = {"method": "time", "column": "time_hour", "holdout": "1 month"}
    metadata = ingest(tmp_path, source, split=split)
    assert (sum(metadata["rows"].values()), metadata["rejected_rows"]) == (336_776, 0)
    assert layouts.read_manifest(tmp_path / "out").columns["dep_delay"] == "int"
    assert table(tmp_path, "train").column("dep_delay").null_count > 5_000
