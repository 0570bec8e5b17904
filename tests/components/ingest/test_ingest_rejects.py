"""Rows that ingest cannot read: counted, set aside, and too many of them stop the run."""

import pytest

from ingest_workplace import PACKERS, Workplace, assert_refused, csv_of
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.ingest import sources as ingest_sources
from kfp_ct.data import layouts


@pytest.fixture
def place(tmp_path):
    return Workplace(tmp_path)


def bad_csv(share: float) -> str:
    return csv_of(1_000, lambda i: f"oops{i}" if i % 100 < share * 100 else i)


@pytest.mark.parametrize("columns", [{"x": "BIGINT"}, {"x": "INTEGER"}, {"x": "DOUBLE"}, {}], ids=str)
def test_one_per_cent_of_wrong_types_is_set_aside_and_counted(place, columns, capsys):
    metadata = place.ingest({"uri": place.file("d.csv", bad_csv(0.01)), "columns": columns})
    assert metadata["rejected_rows"] == layouts.read_manifest(place.out).rejected_rows == 10
    assert sum(metadata["rows"].values()) == 990
    assert layouts.read_manifest(place.out).columns["x"] != "string"
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
    assert message.splitlines()[-1].startswith("fix: ")
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
        "id": 3, "f": 3.5, "b": 1, "s": "7", "seen": "2013-01-02T03:04:05Z", "l": [3, None], "w/~": ["a"], "k": 3,
        "t": "TIMESTAMP WITH TIME ZONE",
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
    assert last == f"summary: 2,000 rows: train {train:,}, eval {evaluated:,}; 0 rejected"


@pytest.mark.parametrize("line", ["100", "100,1,2"], ids=["too few values", "too many"])
def test_a_line_that_is_broken_is_told_by_the_columns_own_name(place, line):
    source = place.file("d.csv", csv_of(200) + line + "\n")
    place.ingest(source)
    assert place.quarantine()[0]["column"] in ("x", None)
    message = assert_refused(place, DataError, "1 of 201 rows", source=source, max_bad_fraction=0.0)
    assert "column c1" not in message
