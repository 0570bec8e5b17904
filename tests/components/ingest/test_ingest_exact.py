"""What Parquet, texts of instants and floats hold is kept to the last digit, or the run stops and says where."""

import datetime
import decimal
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from ingest_workplace import Workplace, assert_refused
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data import layouts

IDS = range(30)


@pytest.fixture
def place(tmp_path):
    return Workplace(tmp_path)


def parquet(place: Workplace, values: pa.Array, name: str = "d.parquet", first: int = 0) -> str:
    ids = pa.array(range(first, first + len(values)))
    (place.root / "parts").mkdir(exist_ok=True)
    pyarrow.parquet.write_table(pa.table({"id": ids, "x": values}), place.root / "parts" / name, version="2.6")
    return str(place.root / "parts")


# Texts of instants


LOCAL = ["2024-03-09T16:00:00-08:00", "2024-03-09 16:00:00 America/Los_Angeles"] * 15


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(
    "cast", ["CAST(x AS TIMESTAMP)", "t.X::timestamp", "TRY_CAST(x AS DATE)", "(SELECT max(x::DATETIME) FROM t)"]
)
def test_a_cast_that_cuts_offsets_off_a_text_is_refused(place, format, cast):
    source = {"parquet": lambda: parquet(place, pa.array(LOCAL))}.get(
        format, lambda: {"uri": place.file(f"d.{format}", TEXTS[format]), "columns": {"x": "VARCHAR"}}
    )()
    sql = f"WITH w AS (SELECT id, {cast} AS x FROM t) SELECT * FROM w"
    message = assert_refused(place, DataError, "with an offset, such as 2024-03-09", source=source, query=sql)
    assert "CAST(x AS TIMESTAMPTZ)" in message.splitlines()[-1]


TEXTS = {
    "csv": "id,x\n" + "".join(f"{i},{text}\n" for i, text in enumerate(LOCAL)),
    "jsonl": "".join(f'{{"id": {i}, "x": "{text}"}}\n' for i, text in enumerate(LOCAL)),
}


@pytest.mark.parametrize(
    ("cast", "expected"),
    [("CAST(x AS TIMESTAMPTZ)", "2024-03-10T00:00:00Z"), ("CAST(left(x, 19) AS TIMESTAMP)", "2024-03-09T16:00:00")],
)
def test_the_casts_that_the_refusal_names_are_taken(place, cast, expected):
    place.ingest(parquet(place, pa.array(LOCAL)), f"SELECT id, {cast} AS x FROM t")
    assert set(place.column("x")) == {expected}


@pytest.mark.parametrize(
    "text", ["2024-03-10T00:00:00Z", "2024-03-10 00:00:00+00:00", "2024-03-10", "2024-03-10 00:00"]
)
def test_texts_whose_wall_time_is_utc_may_be_cast(place, text):
    place.ingest(parquet(place, pa.array([text] * 30)), "SELECT id, CAST(x AS TIMESTAMP) AS x FROM t")
    assert set(place.column("x")) == {"2024-03-10T00:00:00"}


def test_a_window_over_texts_is_refused_with_the_cast_that_keeps_offsets(place):
    sql = "SELECT * FROM t WHERE x >= @window_start"
    source = parquet(place, pa.array(LOCAL))
    words = ("@window_start", "cast the text to TIMESTAMPTZ")
    assert_refused(place, ConfigurationError, *words, source=source, query=sql, window_start="2024-03-10")


# Parquet's types


NANOSECONDS = [1718000000123456789 + i for i in IDS]


def test_nanoseconds_of_pandas_are_kept_with_a_zone_and_without(place):
    for zone, end in ((None, ""), ("UTC", "Z"), ("Asia/Tokyo", "Z")):
        place.ingest(parquet(place, pa.array(NANOSECONDS, pa.timestamp("ns", zone))))
        assert place.column("x")[:2] == [f"2024-06-10T06:13:20.123456789{end}", f"2024-06-10T06:13:20.12345679{end}"]


def test_microseconds_and_nanoseconds_with_zones_have_a_common_type_and_split_by_time(place):
    day = 86_400_000_000
    parquet(place, pa.array([day * i for i in IDS], pa.timestamp("us", "UTC")), "1.parquet")
    source = parquet(place, pa.array([day * 1000 * (i + 30) for i in IDS], pa.timestamp("ns", "UTC")), "2.parquet", 30)
    place.ingest(source, split={"method": "time", "column": "x", "holdout": "10 days"})
    assert place.column("x")[29:31] == ["1970-01-30T00:00:00Z", "1970-01-31T00:00:00Z"]
    assert sorted(place.table("eval")["id"].to_pylist()) == list(range(50, 60))


def test_times_of_day_are_texts_and_finer_ones_are_refused(place):
    place.ingest(parquet(place, pa.array([datetime.time(1, 2, 3, 4)] * 30)))
    assert set(place.column("x")) == {"01:02:03.000004"}
    source = parquet(place, pa.array([1] * 30, pa.time64("ns")))
    assert_refused(place, DataError, "column x of d.parquet is time64[ns], which is read rounded", source=source)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_spans_of_time_are_numbers_of_a_unit_that_is_said(place, unit, capsys):
    place.ingest(parquet(place, pa.array(IDS, pa.duration(unit))))
    assert place.column("x") == list(IDS)
    assert f"t.x is duration[{unit}]: read as a whole number of that unit" in capsys.readouterr().out


@pytest.mark.parametrize("other", [pa.duration("ns"), pa.int64()], ids=str)
def test_spans_of_several_units_are_refused(place, other):
    parquet(place, pa.array(IDS, other), "1.parquet", first=100)
    source = parquet(place, pa.array(IDS, pa.duration("s")), "2.parquet")
    assert_refused(place, DataError, "column x is", "duration[s] in 2.parquet", "different spans", source=source)


def test_decimals_that_are_read_rounded_are_refused(place):
    source = parquet(place, pa.array([decimal.Decimal(f"{10**40 + i}") for i in IDS], pa.decimal256(50, 0)))
    assert_refused(place, DataError, "column x of d.parquet is decimal256(50, 0)", source=source)
    place.ingest(parquet(place, pa.array([decimal.Decimal(2**60 + i) for i in IDS], pa.decimal256(20, 0))),
                 "SELECT id, CAST(x AS BIGINT) AS x FROM t")  # fmt: skip
    assert place.column("x") == [2**60 + i for i in IDS]


def test_lists_that_are_all_empty_in_one_file_have_the_type_of_the_others(place):
    parquet(place, pa.array([[]] * 15, pa.list_(pa.null())), "1.parquet")
    place.ingest(parquet(place, pa.array([[7]] * 15), "2.parquet", 15))
    assert place.column("x") == [[]] * 15 + [[7]] * 15


def test_partitions_that_only_folders_name_are_columns(place):
    for day in ("2024-03-09", "2024-03-10"):
        folder = place.root / "parts" / f"day={day}"
        folder.mkdir(parents=True)
        pyarrow.parquet.write_table(pa.table({"id": range(15)}), folder / "part.parquet")
    place.ingest(str(place.root / "parts"))
    assert sorted(set(place.column("day"))) == ["2024-03-09", "2024-03-10"]


def test_quotes_escaped_by_backslashes_are_named(place):
    source = place.file("d.csv", "id,x\n" + "".join(f'{i},"a \\"b\\" c"\n' for i in IDS))
    assert_refused(place, DataError, "30 of them have quotes after backslashes", "option('escape'", source=source)
    source = place.file("d.csv", "id,x\n" + "".join(f'{i},"a"b\n' for i in IDS))
    assert "backslashes" not in assert_refused(place, DataError, "30 of 30 rows", source=source)


# NaN, which the statistics of Parquet files leave out


NAN = float("nan")
CLEANED = {
    "NOT isnan(x)": 20, "isnan(x)": 10, "x <= 5": 20, "x <> 'nan'::DOUBLE": 20, "x <= 5 OR isnan(x)": 30,
    "x BETWEEN 0 AND 5": 20, "CASE WHEN isnan(x) THEN 0 ELSE x END <= 5": 30,
}  # fmt: skip


@pytest.mark.parametrize("condition", CLEANED)
@pytest.mark.parametrize("type_name", [pa.float64(), pa.float32(), "two files"], ids=str)
def test_conditions_on_nan_hold_as_they_do_of_any_table(place, condition, type_name):
    values = [NAN, 1.0, 0.5] * 10
    if type_name == "two files":
        parquet(place, pa.array([1] * 15), "1.parquet")
        source = parquet(place, pa.array(values), "2.parquet", 15)
    else:
        source = parquet(place, pa.array(values, type_name))
    metadata = place.ingest(source, f"SELECT id, id AS y FROM t WHERE {condition}")
    extra = 15 * (type_name == "two files" and condition != "isnan(x)")
    assert sum(metadata["rows"].values()) == CLEANED[condition] + extra


def test_conditions_on_nan_in_lists_and_structs_hold(place):
    values = [[NAN], [1.0], [0.5]] * 10
    for array, part in ((pa.array(values), "x[1]"), (pa.array([{"a": each} for (each,) in values]), "x.a")):
        metadata = place.ingest(parquet(place, array), f"SELECT id FROM t WHERE NOT isnan({part})")
        assert sum(metadata["rows"].values()) == 20


# Floats


@pytest.mark.parametrize("make", [float, decimal.Decimal])
def test_ids_in_lists_of_floats_are_never_rounded_together(place, make):
    source = parquet(place, pa.array([[make(1718000000 + i), make(1)] for i in IDS]))
    assert_refused(place, DataError, "column x is a float and holds whole numbers only", "BIGINT[]", source=source)
    place.ingest(source, "SELECT id, CAST(x AS BIGINT[]) AS x FROM t")
    assert place.column("x") == [[1718000000 + i, 1] for i in IDS]


@pytest.mark.parametrize(("first", "cast"), [(1718000000, "BIGINT"), (2**53 + 1, "BIGINT"), (10**25, "VARCHAR")])
def test_ids_in_decimals_are_never_rounded_together(place, first, cast):
    values = [decimal.Decimal(first + i) for i in IDS]
    source = parquet(place, pa.array(values, pa.decimal128(38, 0)))
    words = ("column x is a float and holds whole numbers only", str(first)[:-1], f"fix: CAST(x AS {cast}) in")
    assert_refused(place, DataError, *words, source=source)
    place.ingest(source, f"SELECT id, CAST(x AS {cast}) AS x FROM t")
    assert [int(value) for value in place.column("x")] == [first + i for i in IDS]


def test_floats_that_float32_does_not_tell_apart_are_refused(place):
    source = place.file("d.csv", "id,x\n" + "".join(f"{i},{1718000000.25 + i}\n" for i in IDS))
    words = ("30 different values from 1718000000.25 to 1718000029.25", "float32 keeps 1 apart")
    assert_refused(place, DataError, *words, source=source)
    place.ingest(source, "SELECT id, x - 1718000000 AS x FROM t")
    assert place.column("x") == [i + 0.25 for i in IDS]


@pytest.mark.parametrize(
    "values",
    [[0.1] * 30, [0.1 + 0.2, 0.3, 0.30000000000000016] * 10, [1e9 + 1e5 * i + 0.5 for i in IDS],
     [float("nan"), 1.5] * 15, [float("inf"), -float("inf"), 2.5] * 10],
    ids=["constant", "computed", "spread", "nan", "inf"],
)  # fmt: skip
def test_other_floats_are_taken(place, values):
    place.ingest(parquet(place, pa.array(values)))
    assert np.array_equal(place.column("x"), np.float32(values), equal_nan=True)


# Lists in texts


def test_lists_are_split_out_of_texts_by_the_query(place):
    lines = ["id,tags,tokens", *(f"{number},a|b{number},{number} 7" for number in IDS)]
    source = {"uri": place.file("d.csv", "\n".join(lines))}
    place.ingest(source, "SELECT id, string_split(tags, '|') tags, string_split(tokens, ' ')::BIGINT[] tokens FROM t")
    rows = {row["id"]: row for row in place.rows()}
    assert rows[3] == {"id": 3, "tags": ["a", "b3"], "tokens": [3, 7]}


IMAGES = [[[n, 2], [3, 4], [5, 6]] for n in range(30)]


@pytest.mark.parametrize(
    ("values", "kind", "shape"),
    [
        (IMAGES, pa.list_(pa.list_(pa.int64())), [3, 2]),
        (IMAGES, pa.list_(pa.list_(pa.float32(), 2), 3), [3, 2]),
        ([[image, image] for image in IMAGES], pa.list_(pa.list_(pa.list_(pa.float64()))), [2, 3, 2]),
        ([[["é", ""]]] * 30, pa.list_(pa.list_(pa.string())), [1, 2]),
        ([[[b"\xff", b""]]] * 30, pa.list_(pa.list_(pa.binary())), [1, 2]),
    ],
    ids=["whole numbers", "arrays", "three deep", "texts", "bytes"],
)
def test_lists_of_lists_of_one_shape_are_their_values_and_the_shape(place, values, kind, shape):
    source = parquet(place, pa.array(values, kind))
    place.ingest({"uri": f"{source}/*.parquet"})
    assert layouts.read_manifest(place.out).shapes == {"x": shape}
    found = np.array([row["x"] for row in place.rows()], object).reshape(30, *shape)
    assert found.tolist() == values


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ([[1, 2], [3]], ("3 × 2 in 29 rows, 2 × 1 to 2 in 1 rows", "fix: fill or cut the lists")),
        ([[1, 2]] * 2, ("2 × 2 in 1 rows",)),
        ([], ("0 in 1 rows",)),
        (None, ("missing in 1 rows",)),
        ([[1, 2], None, [3, 4], [5, 6]], ("4 × missing to 2 in 1 rows",)),
    ],
    ids=["ragged", "smaller", "empty", "missing", "an inner one missing"],
)
def test_lists_of_lists_of_other_shapes_are_refused_by_name(place, odd, words):
    source = parquet(place, pa.array([*IMAGES[:29], odd], pa.list_(pa.list_(pa.int64()))))
    assert_refused(place, DataError, "column x is a list of lists", *words, source={"uri": f"{source}/*.parquet"})


WORDS = ["a, b", "é", "", '"quoted"', "[x]", "null", "{'k': 1}", "a\\b", " two\nlines\t"]


@pytest.mark.parametrize("name", ["d.jsonl", "d.csv"])
def test_escapes_in_lists_of_texts_are_jsons(place, name):
    lists = [[WORDS[number % 9], "b"] for number in IDS]
    if name == "d.jsonl":
        lines = [json.dumps({"id": number, "x": each}) for number, each in enumerate(lists)]
        place.ingest({"uri": place.file(name, "\n".join(lines))})
    else:
        lines = [f'{number},"{json.dumps(each).replace(chr(34), 2 * chr(34))}"' for number, each in enumerate(lists)]
        place.ingest({"uri": place.file(name, "\n".join(["id,x", *lines])), "columns": {"x": "VARCHAR[]"}})
    assert [row["x"] for row in place.rows()] == lists


@pytest.mark.parametrize(
    "image",
    [
        lambda n: [[n, 2], [3, 4], [5, 6]],
        lambda n: [[n + 0.5, 2], [3, 4], [5, 6]],
        lambda n: [[WORDS[n % 9], "b"], ["c", "d"], ["e", WORDS[8 - n % 9]]],
    ],
    ids=["whole numbers", "fractions", "texts"],
)
def test_lists_of_lists_of_json_lines_are_read(place, image):
    images = [image(number) for number in IDS]
    lines = [json.dumps({"id": number, "x": each}) for number, each in enumerate(images)]
    place.ingest({"uri": place.file("d.jsonl", "\n".join(lines))})
    assert layouts.read_manifest(place.out).shapes == {"x": [3, 2]}
    assert [row["x"] for row in place.rows()] == [[each for line in image for each in line] for image in images]
