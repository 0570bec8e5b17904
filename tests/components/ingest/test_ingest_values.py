"""No value changes without a word: a type is that of all values in all files, and names are the query's."""

import datetime
import decimal
import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from ingest_workplace import Workplace, assert_refused
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data import layouts


@pytest.fixture
def place(tmp_path):
    return Workplace(tmp_path)


def csv_text(*values: object, name: str = "x") -> str:
    return f"id,{name}\n" + "".join(f"{i},{value}\n" for i, value in enumerate(values))


def lines_of(*values: object) -> str:
    return "".join(json.dumps({"id": i, "x": value}) + "\n" for i, value in enumerate(values))


def parquet(place: Workplace, name: str, **columns: pa.Array) -> None:
    path = place.root / "parts" / name
    path.parent.mkdir(exist_ok=True)
    pyarrow.parquet.write_table(pa.table(columns), path)


# Types of texts


MANY = [str(i) for i in range(100, 12_100)]


@pytest.mark.parametrize(
    "values",
    [
        ["00501", "501", "01234"] * 10,
        ["1_11", "11_1", "2_07"] * 10,
        [*MANY, "00501"],
        [*MANY, "1_11"],
        ["1E5", "10", "7E10", "70"] * 10,
        ["+41791234567", "41791234567"] * 10,
        [str(2**63), "1", "2", "3"] * 10,
        [str(2**53 + 1), "0.5"] * 10,
        ["1-2-3", "10-20-30"] * 10,
        ["2024-03-09T16:00:00.123456789", "2024-03-09T16:00:00.123456788"] * 10,
        ["2024-03-09 16:00:00 BST", "2024-03-09 16:00:00 CST"] * 10,
        ["0x1F", "0b11", "31"] * 10,
    ],
    ids=lambda values: values[0],
)
def test_what_a_number_or_a_time_would_not_keep_stays_text(place, values, capsys):
    place.ingest(place.file("d.csv", csv_text(*values)))
    assert place.column("x") == values


def test_a_column_that_is_text_for_one_of_its_values_says_so(place, capsys):
    place.ingest(place.file("d.csv", csv_text(*MANY, "00501")))
    assert "t.x is read as text: 1 of 12,001 values, such as 00501: codes" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_dates_that_turn_out_to_have_times_of_day_keep_them(place, suffix):
    values = ["2024-03-09"] * 11_000 + ["2024-03-10T16:30:00"]
    text = csv_text(*values) if suffix == "csv" else lines_of(*values)
    place.ingest(place.file(f"d.{suffix}", text))
    assert place.column("x")[0] == "2024-03-09T00:00:00"
    assert place.column("x")[-1] == "2024-03-10T16:30:00"


OFFSETS = [
    "2024-03-09T16:00:00-08:00", "2024-03-10T00:00:00Z", "2024-03-10 00:00:00+00", "2024-03-10 05:30:00 +0530",
    "2024-03-09 16:00:00 America/Los_Angeles", "2024-03-10 00:00 UTC", "2024/03/10 01:00:00 Europe/Zurich",
]  # fmt: skip


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize("declared", ["", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP"])
def test_offsets_and_zone_names_are_instants_in_utc(place, suffix, declared):
    values = OFFSETS * 3
    source = {"uri": place.file(f"d.{suffix}", csv_text(*values) if suffix == "csv" else lines_of(*values))}
    place.ingest(source | ({"columns": {"x": declared}} if declared else {}))
    assert set(place.column("x")) == {"2024-03-10T00:00:00" + "Z" * (declared != "TIMESTAMP")}


REPEATED = {
    "2024-11-03 01:30:00 America/New_York": "2024-11-03T06:30:00Z",
    "2024-04-07 01:45 Australia/Lord_Howe": "2024-04-06T15:15:00Z",
}


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_local_hour_that_comes_twice_is_said_to_be_the_later_one(place, suffix, capsys):
    values = [*OFFSETS, *REPEATED] * 3
    place.ingest(place.file(f"d.{suffix}", csv_text(*values) if suffix == "csv" else lines_of(*values)))
    assert place.column("x")[len(OFFSETS) : len(OFFSETS) + 2] == list(REPEATED.values())
    assert "6 of a local hour that comes twice, such as 2024-04-07 01:45 Australia/Lord_Howe" in capsys.readouterr().out


@pytest.mark.parametrize("skipped", ["2024-03-10 02:30:00 America/Los_Angeles", "2024-10-06 02:15 Australia/Lord_Howe"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize("declared", ["", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP"])
def test_a_local_time_that_a_clock_change_leaves_out_is_no_instant(place, suffix, declared, skipped):
    values = [*OFFSETS * 5, skipped]
    source = {"uri": place.file(f"d.{suffix}", csv_text(*values) if suffix == "csv" else lines_of(*values))}
    place.ingest(source | ({"columns": {"x": declared}} if declared else {}), max_bad_fraction=0.1)
    assert (len(place.column("x")), len(place.quarantine())) == (len(values) - 1, 1)
    assert skipped in str(place.quarantine())


def test_a_window_is_of_instants_whatever_their_offset(place):
    start = datetime.datetime(2024, 3, 9, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=-8)))
    seen = [(start + datetime.timedelta(hours=i - 8)).isoformat() for i in range(72)]
    window = {"window_start": "2024-03-10", "window_end": "2024-03-11"}
    sql = "SELECT * FROM t WHERE x >= @window_start AND x < @window_end"
    place.ingest(place.file("d.csv", csv_text(*seen)), sql, **window)
    assert place.column("id") == list(range(24, 48))


@pytest.mark.parametrize("other", ["2024-03-10T00:00:00", "2024-03-10"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_instants_with_an_offset_and_without_one_are_refused(place, suffix, other):
    values = [OFFSETS[0]] * 20 + [other]
    source = place.file(f"d.{suffix}", csv_text(*values) if suffix == "csv" else lines_of(*values))
    message = assert_refused(place, DataError, "column x", f"1 without one, such as {other}", source=source)
    assert "TIMESTAMP WITH TIME ZONE" in message.splitlines()[-1]
    place.ingest({"uri": source, "columns": {"x": "TIMESTAMPTZ"}})
    assert place.column("x")[-1] == "2024-03-10T00:00:00Z"


@pytest.mark.parametrize(
    ("declared", "bad"),
    [
        ("DATE", "2024-03-10T16:30:00"), ("DECIMAL(8,2)", "1.239"), ("BIGINT", "1_11"), ("DOUBLE", "1_1.5"),
        ("TIMESTAMP", "2024-03-10T00:00:00.1234567"), ("TIME", "2024-03-10 10:00:00"), ("BIGINT", "0x1F"),
        ("TIMESTAMP", "2024-03-10T00:00:00 BST"),
    ],
)  # fmt: skip
def test_what_a_declared_type_would_cut_is_set_aside(place, declared, bad):
    good = {"DATE": "2024-03-10", "TIMESTAMP": "2024-03-10T16:30:00", "TIME": "10:00:00"}.get(declared, "7")
    source = {"uri": place.file("d.csv", csv_text(*[good] * 99, bad)), "columns": {"x": declared}}
    assert place.ingest(source)["rejected_rows"] == 1
    assert place.quarantine()[0]["raw"] == f"99,{bad}"
    assert place.quarantine()[0]["line"] == 101


def test_keys_of_json_lines_that_appear_late_are_columns(place):
    lines = [{"id": i} for i in range(11_000)] + [{"id": 11_000, "late": 7}]
    place.ingest(place.file("d.jsonl", "".join(json.dumps(line) + "\n" for line in lines)))
    assert place.column("late") == [None] * 11_000 + [7]


def test_a_string_with_a_leading_zero_makes_a_json_column_text(place):
    place.ingest(place.file("d.jsonl", lines_of(*range(1, 200), "00501")))
    assert place.column("x")[-2:] == ["199", "00501"]


def test_an_object_with_a_key_twice_is_set_aside(place):
    text = lines_of(*range(99)) + '{"id": 99, "x": 1, "x": 2}\n'
    assert place.ingest(place.file("d.jsonl", text))["rejected_rows"] == 1
    assert place.quarantine()[0]["reason"] == "an object with a key twice"


@pytest.mark.parametrize("values", [[2**53 + 1, 0.5], [2**64, 1], [2**63, 2]], ids=str)
def test_large_integers_of_json_keep_every_digit(place, values):
    place.ingest(place.file("d.jsonl", lines_of(*values * 10)))
    assert place.column("x") == [json.dumps(value) for value in values] * 10


# Float columns


IDS = [1718000000.0 + i for i in range(30)]


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_ids_in_a_float_column_are_never_rounded_together(place, format):
    parquet(place, "d.parquet", id=pa.array(range(30)), x=pa.array(IDS))
    source = place.file("d.csv", csv_text(*IDS)) if format == "csv" else str(place.root / "parts")
    assert_refused(place, DataError, "column x is a float and holds whole numbers only", "AS BIGINT", source=source)
    place.ingest(source, "SELECT id, CAST(x AS BIGINT) AS x FROM t")
    assert place.column("x") == [int(value) for value in IDS]
    place.ingest(source, "SELECT id, CAST(x AS FLOAT) AS x FROM t")
    assert len(set(place.column("x"))) < 5


def test_measurements_and_small_whole_numbers_are_floats(place):
    place.ingest(place.file("d.csv", "id,x,y\n" + "".join(f"{i},{i}.0,{i * 1e7 + 0.5}\n" for i in range(1, 30))))
    assert place.table("train").schema.field("x").type == place.table("train").schema.field("y").type == pa.float32()


# Parquet files that differ


NARROW = {
    "int32-int64": (pa.array([1, 2], pa.int32()), pa.array([2**40, 4]), [1, 2, 2**40, 4]),
    "int64-double": (pa.array([1, 2]), pa.array([0.5, 0.25]), [1.0, 2.0, 0.5, 0.25]),
    "float-double": (pa.array([1.5, 2], pa.float32()), pa.array([0.5, 0.25]), [1.5, 2.0, 0.5, 0.25]),
    "date-timestamp": (
        pa.array([datetime.date(2024, 3, 9)] * 2),
        pa.array([datetime.datetime(2024, 3, 10, 16, 30)] * 2, pa.timestamp("us")),
        ["2024-03-09T00:00:00"] * 2 + ["2024-03-10T16:30:00"] * 2,
    ),
    "decimals": (
        pa.array([decimal.Decimal("1.5")] * 2, pa.decimal128(4, 1)),
        pa.array([decimal.Decimal("0.125")] * 2, pa.decimal128(4, 3)),
        [1.5, 1.5, 0.125, 0.125],
    ),
    "null-string": (pa.nulls(2), pa.array(["a", "b"]), [None, None, "a", "b"]),
    "string-dictionary": (pa.array(["a", "b"]), pa.array(["c", "d"]).dictionary_encode(), ["a", "b", "c", "d"]),
    "uint8-int8": (pa.array([255, 2], pa.uint8()), pa.array([-3, 4], pa.int8()), [255, 2, -3, 4]),
    "seconds-milliseconds": (
        pa.array([0, 1], pa.timestamp("ms")), pa.array([1_500, 2_000], pa.timestamp("us")),
        ["1970-01-01T00:00:00", "1970-01-01T00:00:00.001", "1970-01-01T00:00:00.0015", "1970-01-01T00:00:00.002"],
    ),
    "lists": (pa.array([[1], [2]], pa.list_(pa.int32())), pa.array([[2**40], []]), [[1], [2], [2**40], []]),
}  # fmt: skip


@pytest.mark.parametrize("order", [1, -1], ids=["narrow-first", "wide-first"])
@pytest.mark.parametrize("pair", NARROW)
def test_parquet_files_of_different_types_have_the_common_one(place, pair, order):
    first, second, expected = NARROW[pair]
    ids = [pa.array([1, 2]), pa.array([3, 4])]
    for name, part, x in zip(["1.parquet", "2.parquet"][::order], ids, (first, second), strict=True):
        parquet(place, name, id=part, x=x)
    place.ingest(str(place.root / "parts"), split={"method": "hash", "columns": ["id"], "eval_fraction": 0.5})
    assert place.column("x") == expected


DIFFERENT = {
    "text-int": (pa.array(["045", "7"]), pa.array([45, 7])),
    "zone-none": (pa.array([0, 1], pa.timestamp("us", "UTC")), pa.array([0, 1], pa.timestamp("us"))),
    "bool-int": (pa.array([True, False]), pa.array([1, 0])),
    "large-int-double": (pa.array([2**53 + 1, 1]), pa.array([0.5, 1.5])),
    "long-decimal-double": (pa.array([decimal.Decimal("1.5")] * 2, pa.decimal128(30, 10)), pa.array([0.5, 1.5])),
    "date-text": (pa.array([datetime.date(2024, 3, 9)] * 2), pa.array(["2024-03-09", "x"])),
    "list-scalar": (pa.array([[1], [2]]), pa.array([1, 2])),
    "ints-floats": (pa.array([[2**60], [2]]), pa.array([[0.5], [1.5]])),
}


@pytest.mark.parametrize("pair", DIFFERENT)
def test_parquet_files_without_a_common_type_are_refused_by_file_and_column(place, pair):
    first, second = DIFFERENT[pair]
    parquet(place, "1.parquet", id=pa.array([1, 2]), x=first)
    parquet(place, "2.parquet", id=pa.array([3, 4]), x=second)
    assert_refused(place, DataError, "column x is", "1.parquet", "2.parquet", source=str(place.root / "parts"))


def test_a_column_that_some_parquet_files_lack_is_missing_there(place, capsys):
    parquet(place, "1.parquet", id=pa.array(range(10)), price=pa.array([1] * 10))
    parquet(place, "2.parquet", rebate=pa.array([0.5] * 10), price=pa.array([0.49] * 10), id=pa.array(range(10, 20)))
    place.ingest(str(place.root / "parts"))
    assert place.column("rebate") == [None] * 10 + [0.5] * 10
    assert place.column("price")[10] == pytest.approx(0.49)
    assert "t.rebate is not in 1.parquet: missing there" in capsys.readouterr().out


# Missing values


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_marks_of_missing_are_values_among_texts(place, suffix):
    values = ["silver", "gold", "none", "NA", "nan", "null", "-"] * 5
    place.ingest(place.file(f"d.{suffix}", csv_text(*values) if suffix == "csv" else lines_of(*values)))
    assert place.column("x") == values
    assert layouts.read_manifest(place.out).null_marks == {}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "NA", "3", "none"], [1, None, 3, None]),
        (["0.5", "NA", "nan", "?"], [0.5, None, "nan", None]),
        (["2024-03-09", "NA", "2024-03-10", "NaT"], ["2024-03-09", None, "2024-03-10", None]),
        (["true", "NA", "False", "null"], [1, None, 0, None]),
        (["1", "nan", "3", "4"], [1, None, 3, 4]),
    ],
)
def test_marks_of_missing_are_nulls_where_they_cannot_be_values_and_are_counted(place, values, expected, capsys):
    place.ingest(place.file("d.csv", csv_text(*values * 10)))
    assert [str(x) if x != x else x for x in place.column("x")] == expected * 10
    marks = {value: 10 for value, null in zip(values, expected, strict=True) if null is None}
    assert layouts.read_manifest(place.out).null_marks == {"t": {"x": marks}}
    assert json.loads((place.out / "summary.json").read_text())["sources"]["t"]["null_marks"] == {"x": marks}
    assert "read as missing: " + ", ".join(f"{mark!r} 10" for mark in sorted(marks)) in capsys.readouterr().out


def test_null_values_that_are_said_are_nulls_everywhere_and_counted(place):
    text = "id,x,y\n" + "".join(f"{i},{'-999' if i % 2 else i},{'none' if i % 5 == 0 else 'a'}\n" for i in range(20))
    place.ingest({"uri": place.file("d.csv", text), "null_values": ["-999", "none"]})
    assert place.column("x") == [None if i % 2 else i for i in range(20)]
    assert place.column("y") == [None if i % 5 == 0 else "a" for i in range(20)]
    assert layouts.read_manifest(place.out).null_marks == {"t": {"x": {"-999": 10}, "y": {"none": 4}}}


# Names


def test_a_column_is_named_as_the_query_names_it(place):
    source = place.file("d.csv", "Id,City,Age\n" + "".join(f"{i},Oslo,{i}\n" for i in range(30)))
    sql = "SELECT Id AS id, CAST(City AS VARCHAR) AS city, Age AS AGE FROM t"
    place.ingest(source, sql)
    assert list(layouts.read_manifest(place.out).columns) == ["id", "city", "AGE"]
    assert place.table("train").column_names == ["id", "city", "AGE"]


ODD = [
    "rowid", "select", "ct_split", "ct_hash", "ct_query", "filename", "file", "line", "split", "__index_level_0__",
    "v0", "c0", "t0", "ct_line", "ct_kind", 'with "quotes"', "it's", "a.b", "a b", "%", "v", "number", "is_object",
    "keys", "count", "true", "ct_text", "file_row_number", "rowId", "hidden\\n", "@window_start",
]  # fmt: skip


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("format", ["parquet", "tfrecord"])
def test_a_column_may_be_called_anything(place, suffix, format):
    names = [name for name in ODD if name != "rowId"]
    rows = [{"id": i, **{name: i * 1000 + n for n, name in enumerate(names)}} for i in range(30)]
    if suffix == "parquet":
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), place.root / "d.parquet")
    elif suffix == "jsonl":
        place.file("d.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    else:
        head = ",".join('"' + name.replace('"', '""') + '"' for name in rows[0])
        place.file("d.csv", head + "\n" + "".join(",".join(map(str, row.values())) + "\n" for row in rows))
    place.ingest(str(place.root / f"d.{suffix}"), options={"format": format})
    assert list(layouts.read_manifest(place.out).columns) == list(rows[0])
    if format == "parquet":
        assert place.rows() == rows


def test_a_split_by_a_column_called_rowid_is_by_its_values(place):
    source = place.file("d.csv", "rowid,v\n" + "".join(f"{500_000 + i},{i}\n" for i in range(1_000)))
    split = {"method": "hash", "columns": ["rowid"], "eval_fraction": 0.3}
    metadata = place.ingest(source, split=split)
    train, evaluated = (place.table(name)["rowid"].to_pylist() for name in ("train", "eval"))
    assert (len(train), len(evaluated)) == (metadata["rows"]["train"], metadata["rows"]["eval"])
    assert sorted(train + evaluated) == list(range(500_000, 501_000))


def test_columns_that_differ_in_case_only_are_one_clear_refusal(place):
    source = place.file("d.csv", "id,x\n1,2\n2,3\n")
    words = "more than one column is named"
    assert_refused(place, ConfigurationError, words, source=source, query="SELECT id, x, x + 1 AS X FROM t")
    parquet(place, "1.parquet", id=pa.array([1, 2]), x=pa.array([1, 2]))
    parquet(place, "2.parquet", id=pa.array([3, 4]), X=pa.array([1, 2]))
    assert_refused(place, DataError, "'X', 'x'", source=str(place.root / "parts"))
