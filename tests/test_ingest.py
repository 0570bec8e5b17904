"""Rows of a window, by SQL over files, split and written as Parquet."""

import gzip
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from components import artifacts
from components.errors import ComponentError, ConfigurationError, DataError
from components.ingest import sources as ingest_sources
from components.ingest import work

BY_ID = {"method": "hash", "columns": ["id"], "eval_fraction": 0.3}


class Workplace:
    """A folder with sources, a query and an output."""

    def __init__(self, root: Path):
        self.root = root
        self.out = root / "out"

    def file(self, name: str, content: str | bytes) -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def ingest(self, source, query: str = "SELECT * FROM t", split=BY_ID, **kwargs):
        sources = source if isinstance(source, dict) and "uri" not in source else {"t": source}
        request = work.Request(sources, self.file("query.sql", query), split, **kwargs)
        return work.ingest(request, self.out)

    def table(self, split: str) -> pa.Table:
        return pa.concat_tables(pyarrow.parquet.read_table(file) for file in artifacts.split_files(self.out, split))

    def rows(self) -> list[dict]:
        rows = self.table("train").to_pylist() + self.table("eval").to_pylist()
        return sorted(rows, key=lambda row: row.get("id") or 0)

    def column(self, name: str) -> list:
        return [row[name] for row in self.rows()]

    def quarantine(self) -> list[dict]:
        return [json.loads(line) for line in (self.out / "quarantine.jsonl").read_text().splitlines()]


@pytest.fixture
def place(tmp_path):
    return Workplace(tmp_path)


def csv_of(rows: int, value=lambda i: i, header: str = "id,x") -> str:
    return header + "\n" + "".join(f"{i},{value(i)}\n" for i in range(rows))


def assert_nothing_finished(place: Workplace) -> None:
    assert not (place.out / "manifest.json").exists()
    assert [p.name for p in place.root.iterdir() if p.name.startswith(".")] == []


def assert_refused(place: Workplace, error: type[ComponentError], *words: str, **kwargs) -> str:
    with pytest.raises(error) as caught:
        place.ingest(**kwargs)
    for word in words:
        assert word in str(caught.value)
    assert_nothing_finished(place)
    return str(caught.value)


# Sources


def pack_zip(path: Path, text: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.csv", text)
        archive.writestr("__MACOSX/._inner.csv", b"\x00\x05")


def pack_parquet(path: Path, text: str) -> None:
    ids = [int(line.split(",")[0]) for line in text.splitlines()[1:]]
    pyarrow.parquet.write_table(pa.table({"id": ids, "x": ids}), path)


def pack_jsonl(path: Path, text: str, opener=open) -> None:
    with opener(path, "wt") as file:
        for line in text.splitlines()[1:]:
            id, x = line.split(",")
            file.write(f'{{"id": {id}, "x": {x}}}\n')


PACKERS = {
    "csv": ("d.csv", lambda p, t: p.write_text(t)),
    "gz": ("d.csv.gz", lambda p, t: p.write_bytes(gzip.compress(t.encode()))),
    "zip": ("d.csv.zip", pack_zip),
    "parquet": ("d.parquet", pack_parquet),
    "jsonl": ("d.jsonl", pack_jsonl),
    "ndjson-gz": ("d.ndjson.gz", lambda p, t: pack_jsonl(p, t, gzip.open)),
    "tab-separated": ("d.tsv", lambda p, t: p.write_text(t.replace(",", "\t"))),
    "crlf-and-bom": ("d.csv", lambda p, t: p.write_bytes(b"\xef\xbb\xbf" + t.replace("\n", "\r\n").encode())),
}


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
        ("s3://bucket/a.csv", ConfigurationError, "s3 is not supported"),
        ("https://host/a.csv", ConfigurationError, "https is not supported"),
    ],
)
def test_a_source_that_is_not_there_is_named(place, uri, error, words):
    message = assert_refused(place, error, words, source=uri)
    assert "source t" in message
    assert "mend:" in message


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
        ({"uri": "a.csv", "nulls": ["NA"]}, "it has nulls"),
        ({"uri": "a.csv", "format": "xml"}, "its format is 'xml'"),
        ({"uri": "a.csv", "null_values": "NA"}, "null_values or columns"),
        ({"uri": "a.csv", "columns": {"x": "STRUCT(a INT)"}}, "x cannot be read as 'STRUCT(a INT)'"),
        ({"uri": "a.csv", "columns": {"x": "BIGINT); DROP TABLE t; --"}}, "cannot be read as"),
        ({"t": {"format": "csv"}}, "not described rightly"),
        ({"t": 3}, "it is 3"),
    ],
)
def test_a_source_described_wrongly_is_refused_before_reading(place, source, words):
    assert_refused(place, ConfigurationError, words, source=source)


def test_no_sources_is_refused(place):
    with pytest.raises(ConfigurationError, match="no sources"):
        work.ingest(work.Request({}, place.file("q.sql", "SELECT 1"), BY_ID), place.out)


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
    assert artifacts.read_manifest(place.out).columns == {
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


@pytest.mark.parametrize("value", ["{'a': 1}", "MAP {'a': 1}", "'a'::BLOB", "INTERVAL 1 DAY", "[[1]]", "'{}'::JSON"])
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


# Rows that cannot be read


def bad_csv(share: float) -> str:
    return csv_of(1_000, lambda i: f"oops{i}" if i % 100 < share * 100 else i)


@pytest.mark.parametrize("columns", [{"x": "BIGINT"}, {"x": "INTEGER"}, {"x": "DOUBLE"}, {}], ids=str)
def test_one_per_cent_of_wrong_types_is_set_aside_and_counted(place, columns, capsys):
    metadata = place.ingest({"uri": place.file("d.csv", bad_csv(0.01)), "columns": columns})
    assert metadata["rejected_rows"] == artifacts.read_manifest(place.out).rejected_rows == 10
    assert sum(metadata["rows"].values()) == 990
    assert artifacts.read_manifest(place.out).columns["x"] != "string"
    assert len(place.quarantine()) == 10
    assert place.quarantine()[1] == {
        "source": "t", "file": "d.csv", "line": 102, "column": "x", "raw": "100,oops100",
        "reason": place.quarantine()[1]["reason"],
    }  # fmt: skip
    assert "oops100" in place.quarantine()[1]["reason"]
    assert "10 rejected" in capsys.readouterr().out.splitlines()[-1]


def test_sixty_per_cent_of_wrong_types_stop_the_run(place):
    source = {"uri": place.file("d.csv", bad_csv(0.6)), "columns": {"x": "BIGINT"}}
    message = assert_refused(
        place, DataError, "600 of 1,000 rows cannot be read (60.0%, allowed are 2.0%)", "column x", "d.csv line 2",
        '"oops0"', "quarantine.jsonl", "max_bad_fraction", source=source,
    )  # fmt: skip
    assert message.splitlines()[-1].startswith("mend: ")
    assert len(place.quarantine()) == 600


def test_the_allowed_share_is_a_parameter(place):
    source = {"uri": place.file("d.csv", bad_csv(0.01)), "columns": {"x": "BIGINT"}}
    assert_refused(place, DataError, "10 of 1,000", source=source, max_bad_fraction=0.0)
    assert place.ingest(source, max_bad_fraction=0.01)["rejected_rows"] == 10


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(place, fraction):
    source = place.file("d.csv", csv_of(9))
    assert_refused(place, ConfigurationError, "max_bad_fraction", source=source, max_bad_fraction=fraction)


@pytest.mark.parametrize("bad", ["1.5", "99999999999999999999", "1e40", "nan", "inf", "12x"])
def test_what_is_no_integer_never_becomes_one(place, bad):
    source = {"uri": place.file("d.csv", csv_of(200, lambda i: bad if i == 7 else i)), "columns": {"x": "BIGINT"}}
    assert place.ingest(source)["rejected_rows"] == 1
    assert 7 not in place.column("id")
    assert place.quarantine()[0]["column"] == "x"
    assert bad[:2] in place.quarantine()[0]["raw"].lower()


def test_an_integer_is_checked_against_its_own_range(place):
    source = {
        "uri": place.file("d.csv", csv_of(200, lambda i: 300 if i == 7 else i % 100)),
        "columns": {"x": "TINYINT"},
    }
    assert place.ingest(source)["rejected_rows"] == 1


@pytest.mark.parametrize(
    "line", ["7,1,2", "7", '7,"a"b', b"7,\xff\xfe"], ids=["too-many", "too-few", "quote", "encoding"]
)
def test_a_broken_csv_line_is_set_aside(place, line):
    head, tail = csv_of(100, lambda i: f"w{i}").encode(), csv_of(100, lambda i: f"w{i}").encode().split(b"\n", 1)[1]
    line = line.encode() if isinstance(line, str) else line
    metadata = place.ingest(place.file("d.csv", head + line + b"\n" + tail))
    assert (metadata["rejected_rows"], sum(metadata["rows"].values())) == (1, 200)
    assert place.quarantine()[0]["line"] == 102


def test_lines_swallowed_by_a_quote_are_counted(place):
    text = csv_of(100, lambda i: '"open' if i == 50 else f'"w{i}"')
    metadata = place.ingest(place.file("d.csv", text))
    assert (metadata["rejected_rows"], sum(metadata["rows"].values())) == (2, 98)


def test_a_quote_that_is_never_closed_stops_the_run(place):
    text = csv_of(5_000, lambda i: '"open' if i == 50 else f"w{i}")
    assert_refused(place, DataError, "line 52", "never closed", source=place.file("d.csv", text))


JSON_TYPES = [
    ('{"id": 1, "x":', None, "not a JSON object"),
    ("[1, 2]", None, "not a JSON object"),
    ('{"id": 1, "x": "many"}', "x", "no BIGINT"),
    ('{"id": 1, "x": 1.5}', "x", "no BIGINT"),
    ('{"id": 1, "x": {"y": 1}}', "x", "no BIGINT"),
    ('{"id": 1, "x": 99999999999999999999}', "x", "no BIGINT"),
]


@pytest.mark.parametrize(("line", "column", "reason"), JSON_TYPES)
def test_a_bad_json_line_is_set_aside(place, line, column, reason):
    lines = [f'{{"id": {i}, "x": {i}}}' for i in range(100)]
    lines.insert(5, line)
    lines.insert(3, "")
    source = {"uri": place.file("d.jsonl", "\n".join(lines)), "columns": {"x": "BIGINT"}}
    metadata = place.ingest(source)
    assert (metadata["rejected_rows"], sum(metadata["rows"].values())) == (1, 100)
    (entry,) = place.quarantine()
    assert (entry["file"], entry["line"], entry["column"], entry["raw"]) == ("d.jsonl", 7, column, line)
    assert reason in entry["reason"]


@pytest.mark.parametrize(("share", "passes"), [(0.01, True), (0.6, False)])
def test_wrong_types_in_json_lines(place, share, passes):
    values = ['"oops"' if i % 100 < share * 100 else str(i) for i in range(1_000)]
    text = "".join(f'{{"id": {i}, "x": {value}}}\n' for i, value in enumerate(values))
    source = {"uri": place.file("d.jsonl", text), "columns": {} if passes else {"x": "BIGINT"}}
    if passes:
        assert place.ingest(source)["rejected_rows"] == 10
    else:
        assert_refused(place, DataError, "600 of 1,000", "d.jsonl line 1", source=source)


def test_json_types_are_guessed(place):
    line = (
        '{{"id": {i}, "f": {i}.5, "b": true, "s": "7", "seen": "2013-01-02T03:04:05Z", '
        '"l": [{i}, null], "w/~": ["a"], "o": {{"k": {i}}}}}\n'
    )
    place.ingest(
        place.file("d.jsonl", "".join(line.format(i=i) for i in range(50))),
        "SELECT id, f, b, s, seen, l, \"w/~\", CAST(o->>'k' AS INTEGER) AS k, typeof(seen) AS t FROM t",
    )
    assert place.rows()[3] == {
        "id": 3, "f": 3.5, "b": 1, "s": "7", "seen": "2013-01-02T03:04:05", "l": [3, None], "w/~": ["a"], "k": 3,
        "t": "TIMESTAMP",
    }  # fmt: skip


def test_a_list_with_a_wrong_element_is_set_aside(place):
    lines = [f'{{"id": {i}, "l": [{i}, {"1.5" if i == 7 else i}]}}\n' for i in range(100)]
    metadata = place.ingest({"uri": place.file("d.jsonl", "".join(lines)), "columns": {"l": "BIGINT[]"}})
    assert metadata["rejected_rows"] == 1


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_declared_column_that_is_missing_is_named_with_those_present(place, suffix):
    PACKERS[suffix][1](place.root / f"d.{suffix}", csv_of(9))
    source = {"uri": str(place.root / f"d.{suffix}"), "columns": {"id": "BIGINT", "delay": "DOUBLE"}}
    assert_refused(place, DataError, "delay", "present are id, x", source=source)


def test_the_quarantine_is_bounded_and_says_so(place, monkeypatch, capsys):
    monkeypatch.setattr(ingest_sources, "QUARANTINE_ROWS", 5)
    metadata = place.ingest({"uri": place.file("d.csv", bad_csv(0.01)), "columns": {"x": "BIGINT"}})
    assert (metadata["rejected_rows"], len(place.quarantine())) == (10, 5)
    assert "lists the first 5 of 10 rejected rows" in capsys.readouterr().out


def test_no_rejects_leave_no_quarantine(place):
    place.ingest(place.file("d.csv", csv_of(30)))
    assert not (place.out / "quarantine.jsonl").exists()


def test_the_last_words_are_a_short_finding(place, capsys):
    metadata = place.ingest(place.file("d.csv", csv_of(2_000)))
    train, evaluated = metadata["rows"]["train"], metadata["rows"]["eval"]
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"finding: 2,000 rows: train {train:,}, eval {evaluated:,}; 0 rejected"
