"""Rows of a window, by SQL over files, split and written as Parquet."""

import pyarrow as pa
import pyarrow.parquet
import pytest

from ingest_workplace import BY_ID, PACKERS, Workplace, assert_refused, csv_of, pack_parquet
from kfp_ct.base.errors import ComponentError, ConfigurationError, DataError
from kfp_ct.components.ingest import work
from kfp_ct.data import layouts


@pytest.fixture
def place(tmp_path):
    return Workplace(tmp_path)


# Sources


@pytest.mark.parametrize(("name", "pack"), PACKERS.values(), ids=PACKERS)
def test_every_format_gives_the_same_dataset(place, name, pack):
    pack(place.root / name, csv_of(50))
    metadata = place.ingest(str(place.root / name))
    assert [row["x"] for row in place.rows()] == list(range(50))
    assert place.table("train").schema.field("x").type == pa.int64()
    place.file("plain/plain.csv", csv_of(50))
    assert metadata == place.ingest(str(place.root / "plain")), "the format does not show in the fingerprint"


@pytest.mark.parametrize("uri", ["parts", "parts/*.csv", "parts/**/*.csv", "file://{root}/parts"])
def test_globs_and_folders_are_one_table(place, uri, monkeypatch):
    monkeypatch.chdir(place.root)
    place.file("parts/1.csv", "id,x\n1,1\n2,2\n3,3\n")
    place.file("parts/2.csv", "x,id\n40,4\n50,5\n60,6\n")
    place.file("parts/_SUCCESS", "")
    place.file("parts/.3.csv.crc", "junk")
    place.ingest(uri.format(root=place.root), split={**BY_ID, "eval_fraction": 0.5})
    assert place.column("x") == [1, 2, 3, 40, 50, 60]


def test_files_with_other_columns_are_refused_by_name(place):
    place.file("parts/1.csv", csv_of(5))
    place.file("parts/2.csv", csv_of(5, header="id,y"))
    assert_refused(place, DataError, "2.csv", "other columns than 1.csv", "x, y", source=str(place.root / "parts"))


@pytest.mark.parametrize(
    ("uri", "error", "words"),
    [
        ("nowhere.csv", DataError, "there is no file at nowhere.csv"),
        ("no/*.csv", DataError, "there is no file at no/*.csv"),
        ("ftp://host/a.csv", ConfigurationError, "ftp is not supported"),
        ("https://host/a.csv", ConfigurationError, "https is not supported"),
    ],
)
def test_a_source_that_is_not_there_is_named(place, uri, error, words):
    message = assert_refused(place, error, words, source=uri)
    assert "source t" in message
    assert "fix:" in message


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("d.xlsx", b"x", "format cannot be told from the name d.xlsx"),
        ("d.csv", b"", "d.csv is empty"),
        ("d.csv", b"id,x\n", "has no rows"),
        ("d.jsonl", b"", "no line is a JSON object"),
        ("d.jsonl", b"[1]\n[2]\n", "no line is a JSON object"),
        ("d.parquet", b"not parquet", "cannot be read"),
        ("d.csv.zip", b"not a zip", "cannot be unpacked"),
        ("d.csv.gz", b"not gzip", "cannot be read"),
        ("d.csv", b"id,x,ID\n1,2,3\n", "'ID', 'id'"),
        ("d.csv", b"id,,x\n1,2,3\n", "names columns twice or not at all: ''"),
        ("d.csv", b"\xff\xfe\x00id", "UTF-8"),
    ],
)
def test_an_unreadable_file_is_one_clear_error(place, name, content, words):
    assert_refused(place, ComponentError, words, source=place.file(name, content))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"uri": "a.csv", "nulls": ["NA"]}, "sources.t.nulls is not a setting: did you mean null_values?"),
        ({"uri": "a.csv", "format": "xml"}, 'sources.t.format is "xml": expected one of'),
        ({"uri": "a.csv", "null_values": "NA"}, 'sources.t.null_values is "NA": expected a list of texts'),
        (
            {"uri": "a.csv", "columns": {"x": "STRUCT(a INT)"}},
            'sources.t.columns.x is "STRUCT(a INT)": expected one of BIGINT',
        ),
        ({"uri": "a.csv", "columns": {"x": "BIGINT); DROP TABLE t; --"}}, "sources.t.columns.x is "),
        ({"t": {"format": "csv"}}, "sources.t.uri: expected either it or bigquery"),
        ({"t": 3}, "sources.t is 3: expected a text that is not empty, or an object with uri"),
    ],
)
def test_a_source_described_wrongly_is_refused_before_reading(place, source, words):
    assert_refused(place, ConfigurationError, words, source=source)


def test_no_sources_is_refused(place):
    with pytest.raises(ConfigurationError, match="sources: none is given"):
        work.ingest(work.IngestRequest({}, place.file("q.sql", "SELECT 1"), BY_ID), place.out)


def test_columns_of_a_parquet_source_are_refused_for_it_has_types(place):
    pack_parquet(place.root / "d.parquet", csv_of(5))
    source = {"uri": str(place.root / "d.parquet"), "columns": {"x": "DOUBLE"}}
    assert_refused(place, ConfigurationError, "Parquet has its own types", source=source)


# Values


def test_texts_survive_as_they_are(place):
    texts = ["Zürich 東京 🛫", 'say "hi"', "two\nlines", "comma, here", " spaced ", "NULL", "1e5x"]
    rows = "".join(f'{i},"{text.replace(chr(34), chr(34) * 2)}"\n' for i, text in enumerate(texts * 5))
    place.ingest(place.file("d.csv", "id,x\n" + rows))
    assert place.column("x") == texts * 5


def test_missing_is_null_in_csv(place):
    source = place.file("d.csv", "id,x,s\n" + "".join(f'{i},NA,NA\n{i + 100},,\n{i + 200},"",""\n' for i in range(9)))
    place.ingest({"uri": source, "null_values": ["NA"], "columns": {"x": "INTEGER"}})
    assert set(place.column("x")) == {None}
    assert set(place.column("s")) == {None}
    assert place.table("train").schema.field("s").type == pa.string()


def test_missing_is_null_in_json_lines_and_an_empty_text_stays(place):
    lines = [
        f'{{"id": {i}, "x": 1, "s": ""}}\n{{"id": {i + 50}, "x": "NA", "s": null}}\n{{"id": {i + 100}}}\n'
        for i in range(9)
    ]
    place.ingest({"uri": place.file("d.jsonl", "\n".join(lines)), "null_values": ["NA"]})
    assert place.column("x") == [1] * 9 + [None] * 18
    assert place.column("s") == [""] * 9 + [None] * 18


def test_types_on_disk_are_int64_float32_and_string(place):
    place.ingest(
        place.file("d.csv", csv_of(20)),
        """SELECT id, id > 3 AS b, id::HUGEINT AS h, sum(id) OVER () AS total, id / 2 AS f,
        (id / 4)::DECIMAL(8, 2) AS d,
        DATE '2013-01-02' AS day, TIMESTAMP '2013-01-02 03:04:05' AS seen, TIMESTAMP '2013-01-02 03:04:05.25' AS fine,
        TIMESTAMPTZ '2013-01-02 03:04:05+02' AS zoned, TIME '03:04:05' AS clock, 'a'::ENUM('a', 'b') AS e,
        UUID '6f1c4e0c-0000-4000-8000-000000000000' AS u, [id, NULL] AS ints, [0.5] AS floats,
        [DATE '2013-01-02'] AS days FROM t""",
    )
    assert layouts.read_manifest(place.out).columns == {
        "id": "int", "b": "int", "h": "int", "total": "int", "f": "float", "d": "float", "day": "string",
        "seen": "string",
        "fine": "string", "zoned": "string", "clock": "string", "e": "string", "u": "string", "ints": "int[]",
        "floats": "float[]", "days": "string[]",
    }  # fmt: skip
    schema = place.table("train").schema
    assert [schema.field(name).type for name in ("id", "f", "day", "ints")] == [
        pa.int64(), pa.float32(), pa.string(), pa.list_(pa.field("element", pa.int64())),
    ]  # fmt: skip
    assert place.rows()[1] == {
        "id": 1, "b": 0, "h": 1, "total": 190, "f": 0.5, "d": 0.25, "day": "2013-01-02", "seen": "2013-01-02T03:04:05",
        "fine": "2013-01-02T03:04:05.25", "zoned": "2013-01-02T01:04:05Z", "clock": "03:04:05", "e": "a",
        "u": "6f1c4e0c-0000-4000-8000-000000000000", "ints": [1, None], "floats": [0.5], "days": ["2013-01-02"],
    }  # fmt: skip


@pytest.mark.parametrize("value", ["{'a': 1}", "MAP {'a': 1}", "INTERVAL 1 DAY", "[{'a': 1}]", "'{}'::JSON"])
def test_a_column_that_examples_cannot_hold_is_refused_by_name(place, value):
    source = place.file("d.csv", csv_of(20))
    assert_refused(place, DataError, "column odd is of type", source=source, query=f"SELECT id, {value} AS odd FROM t")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("1e300", "column big holds 1e+300, which is too large for a float column"),
        ("170141183460469231731687303715884105727::HUGEINT", "too large for a int column"),
        ("18446744073709551615::UBIGINT", "too large for a int column"),
        ("[1e300]", "too large for a float[] column"),
        ("'many'::INTEGER", "fails on a value"),
    ],
)
def test_an_overflow_is_never_silent(place, value, words):
    query = f"SELECT id, CASE WHEN id = 7 THEN {value} END AS big FROM t"
    assert_refused(place, DataError, words, source=place.file("d.csv", csv_of(20)), query=query)


def test_a_number_beyond_float64_in_a_file_is_refused(place):
    source = place.file("d.csv", csv_of(50, lambda i: "1e400" if i == 7 else f"{i}.5"))
    assert_refused(place, DataError, "column x holds 1e400", source=source)


def test_written_nan_and_infinity_are_values(place):
    place.ingest(place.file("d.csv", csv_of(60, lambda i: ("nan", "inf", "-inf", "1.5")[i % 4])))
    assert place.table("train").schema.field("x").type == pa.float32()
    assert [str(x) for x in place.column("x")[:4]] == ["nan", "inf", "-inf", "1.5"]


@pytest.mark.parametrize("big", [2**53 + 1, 2**63 - 1, -(2**63)])
def test_large_integers_are_exact(place, big):
    place.ingest(place.file("d.csv", csv_of(30, lambda i: big if i == 9 else i)))
    assert place.column("x")[9] == big


def test_an_integer_column_that_turns_fractional_late_becomes_float(place):
    place.ingest(place.file("d.csv", csv_of(12_000, lambda i: 0.5 if i == 11_999 else i)))
    assert place.column("x")[-1] == 0.5


def test_a_column_empty_at_first_is_still_a_number(place):
    place.ingest(place.file("d.csv", csv_of(12_000, lambda i: "" if i < 11_000 else i)))
    assert place.column("x")[-1] == 11_999
