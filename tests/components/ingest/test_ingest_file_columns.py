"""Columns that the names of files say: the file a row came from, Hive's partitions, shards of BigQuery."""

import bz2
import zipfile

import pyarrow as pa
import pyarrow.parquet
import pytest

import bigquery_emulator
from ingesting import assert_refused, ingest, rows
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data import layouts, tfrecord
from kfp_ct.data import source_version as ct_sources


def column(root, name):
    return {row["id"]: row[name] for row in rows(root)}


def write(path, ids, format):
    """Writes a file with a column `id`, and one called as DuckDB calls the name of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if format == "csv":
        path.write_text("id,filename\n" + "".join(f"{n},x\n" for n in ids))
    elif format == "csv.bz2":
        path.write_bytes(bz2.compress(("id,filename\n" + "".join(f"{n},x\n" for n in ids)).encode()))
    elif format == "jsonl":
        path.write_text("".join(f'{{"id": {n}, "filename": "x"}}\n' for n in ids))
    else:
        table = pa.table({"id": pa.array(ids, pa.int64()), "filename": ["x"] * len(ids)})
        if format == "parquet":
            pyarrow.parquet.write_table(table, path)
        else:
            tfrecord.write(path, iter(table.to_batches()), {"id": "int", "filename": "string"})


FORMATS = {"csv": "csv", "csv.bz2": "csv.bz2", "jsonl": "jsonl", "parquet": "parquet", "tfrecord": "tfrecord.gz"}
PARTS = {
    "year=2013/month=01": range(20), "year=2013/month=02": range(20, 50), "year=2014/month=01": range(50, 60),
}  # fmt: skip


@pytest.mark.parametrize(("format", "suffix"), FORMATS.items(), ids=FORMATS)
def test_partitions_and_the_file_are_columns_of_every_format(tmp_path, format, suffix):
    for part, ids in PARTS.items():
        write(tmp_path / "data" / part / f"a.{suffix}", ids, format)
    ingest(tmp_path, {"t": {"uri": str(tmp_path / "data"), "file_column": "came from"}})
    assert column(tmp_path, "came from") == {n: f"{part}/a.{suffix}" for part, ids in PARTS.items() for n in ids}
    assert set(column(tmp_path, "filename").values()) == {"x"}
    assert column(tmp_path, "year") == {n: int(part[5:9]) for part, ids in PARTS.items() for n in ids}
    assert column(tmp_path, "month") == {n: part[-2:] for part, ids in PARTS.items() for n in ids}, "01 keeps its zero"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("1", "12"), [1, 12]),
        (("2024-02-29", "2013-01-01"), ["2024-02-29", "2013-01-01"]),
        (("2024-02-30", "2013-01-01"), ["2024-02-30", "2013-01-01"]),
        (("a%20b%2Fc", "ü"), ["a b/c", "ü"]),
        (("7", "__HIVE_DEFAULT_PARTITION__"), [7, None]),
        (("12345678901234567890", "1"), ["12345678901234567890", "1"]),
        (("1.50", "2"), ["1.50", "2"]),
        (("-3", "0"), [-3, 0]),
    ],
    ids=["integers", "days", "no day", "escaped", "missing", "too long", "decimals", "negative"],
)
def test_a_partitions_type_keeps_every_value(tmp_path, values, expected):
    for number, value in enumerate(values):
        write(tmp_path / "d" / f"k={value}" / "a.csv", [100 * number + n for n in range(20)], "csv")
    ingest(tmp_path, {"t": {"uri": f"{tmp_path}/d/*/*.csv"}})
    assert column(tmp_path, "k") == {
        100 * number + n: value for number, value in enumerate(expected) for n in range(20)
    }


def test_only_folders_below_the_one_that_the_uri_names_are_partitions(tmp_path):
    write(tmp_path / "year=2013" / "a.csv", range(20), "csv")
    ingest(tmp_path, {"t": {"uri": f"{tmp_path}/year=2013/*.csv", "file_column": "file"}})
    assert set(rows(tmp_path)[0]) == {"id", "filename", "file"}
    assert set(column(tmp_path, "file").values()) == {"a.csv"}


def test_partitions_can_be_left_out(tmp_path):
    write(tmp_path / "d" / "year=2013" / "a.csv", range(20), "csv")
    ingest(tmp_path, {"t": {"uri": f"{tmp_path}/d", "hive_partitions": False}})
    assert set(rows(tmp_path)[0]) == {"id", "filename"}


@pytest.mark.parametrize(
    ("paths", "more", "words"),
    [
        (("ID=3/a.csv",), {}, ("a folder of its files names a column ID", "hive_partitions: false")),
        (("a.csv",), {"file_column": "Id"}, ("file_column names a column Id", "file_column: Id_of_file")),
        (("k=1/a.csv",), {"file_column": "K"}, ("file_column names a column K",)),
        (("k=1/a.csv", "b.csv"), {}, ("k=1/a.csv has the partitions k, and b.csv has (none)",)),
        (("k=1/a.csv", "l=1/a.csv"), {}, ("l=1/a.csv has the partitions l, and k=1/a.csv has k",)),
    ],
    ids=["partition", "file column", "each other", "some without", "different"],
)
def test_columns_that_collide_and_files_that_differ_are_refused(tmp_path, paths, more, words):
    for path in paths:
        write(tmp_path / "d" / path, range(20), "csv")
    assert_refused(DataError, *words, root=tmp_path, source={"t": {"uri": f"{tmp_path}/d", **more}})


def test_the_members_of_an_archive_are_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, first in (("a.csv", 0), ("b.csv", 100)):
            archive.writestr(name, "id\n" + "".join(f"{first + n}\n" for n in range(20)))
    ingest(tmp_path, {"t": {"uri": f"{tmp_path}/all.zip", "file_column": "file", "format": "csv"}})
    assert column(tmp_path, "file") == {
        n: f"all.zip/{'b' if n > 99 else 'a'}.csv" for n in (*range(20), *range(100, 120))
    }


def test_the_span_of_a_row_is_in_its_files_name(tmp_path):
    for span in (1, 2):
        write(tmp_path / f"span-{span}" / "a.csv", [100 * span + n for n in range(20)], "csv")
    uri = f"{tmp_path}/span-{{SPAN}}/*.csv"
    ingest(tmp_path, {"t": {"uri": uri, "spans": "all", "file_column": "file"}})
    assert column(tmp_path, "file") == {100 * n + k: f"span-{n}/a.csv" for n in (1, 2) for k in range(20)}


def test_a_rejected_row_is_counted_as_before(tmp_path):
    write(tmp_path / "d" / "k=1" / "a.csv", range(98), "csv")
    with (tmp_path / "d/k=1/a.csv").open("a") as file:
        file.write("1,2,3,4\n")
    ingest(tmp_path, {"t": {"uri": f"{tmp_path}/d"}})
    assert layouts.read_manifest(tmp_path / "out").rejected_rows == 1
    assert len(rows(tmp_path)) == 98


@pytest.fixture
def warehouse(monkeypatch):
    with bigquery_emulator.running(monkeypatch) as emulator:
        for day, first in (("20240228", 0), ("20240229", 100), ("20240301", 200)):
            emulator.database.execute(
                f"CREATE TABLE acme.air.events_{day} AS SELECT i::BIGINT AS id FROM range({first}, {first + 20}) r(i)"
            )
        emulator.database.execute("CREATE TABLE acme.air.events AS SELECT 99::BIGINT AS id")
        yield emulator


OPTIONS = {"bigquery": {"project": "acme", "location": "EU", "max_bytes_billed": 1e6}}
SHARDS = {"bigquery": "acme.air.events_{YYYY}{MM}{DD}"}


@pytest.mark.parametrize(
    ("wanted", "days"),
    [("", ["20240301"]), ("last 2", ["20240229", "20240301"]), ("all", ["20240228", "20240229", "20240301"])],
)
def test_shards_of_bigquery_are_spans(warehouse, tmp_path, wanted, days):
    ingest(tmp_path, {"t": {**SHARDS, "spans": wanted, "file_column": "shard"}}, options=OPTIONS)
    assert sorted(set(column(tmp_path, "shard").values())) == [f"events_{day}" for day in days]
    assert len(rows(tmp_path)) == 20 * len(days)


def test_a_shard_that_is_not_there_is_refused(warehouse, tmp_path):
    source = {"t": {**SHARDS, "spans": "7"}}
    assert_refused(DataError, "no span of 7: there are 19781, 19782", root=tmp_path, source=source, options=OPTIONS)


def test_a_new_shard_is_another_version_of_the_data(warehouse, tmp_path):
    before = ct_sources.source_version({"t": SHARDS}, tmp_path, OPTIONS)
    assert ct_sources.source_version({"t": SHARDS}, tmp_path, OPTIONS) == before
    warehouse.database.execute("CREATE TABLE acme.air.events_20240302 AS SELECT 1::BIGINT AS id")
    assert ct_sources.source_version({"t": SHARDS}, tmp_path, OPTIONS) != before


def test_a_table_has_no_files(tmp_path):
    source = {"t": {"bigquery": "acme.air.flights", "file_column": "file"}}
    assert_refused(ConfigurationError, "a table or a query of BigQuery has no files", root=tmp_path, source=source)
