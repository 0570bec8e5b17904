"""How files may be written: delimiters, quotes, line ends, lines before the header, encodings, archives, names."""

import bz2
import gzip
import lzma
import zipfile

import pytest

from ingest_workplace import PACKERS, Workplace, assert_refused, csv_of
from kfp_ct.base.errors import ConfigurationError, DataError

ROWS = [(i, f"w{i}", i + 0.5) for i in range(20)]


@pytest.fixture
def place(tmp_path):
    return Workplace(tmp_path)


def text(delimiter: str = ",", end: str = "\n", head: str = "id,s,x") -> str:
    return end.join(delimiter.join(map(str, row)) for row in [head.split(","), *ROWS]) + end


def assert_read(place: Workplace) -> None:
    assert [(row["id"], row["s"], row["x"]) for row in place.rows()] == ROWS


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_delimiters_and_line_ends_are_found(place, delimiter, end):
    place.ingest(place.file("d.csv", text(delimiter, end)))
    assert_read(place)


@pytest.mark.parametrize("delimiter", [":", "~", "tab", " "])
def test_any_other_delimiter_is_a_setting(place, delimiter):
    written = text("\t" if delimiter == "tab" else delimiter)
    place.ingest({"uri": place.file("d.csv", written), "csv": {"delimiter": delimiter}})
    assert_read(place)


def test_delimiters_are_found_outside_quotes(place):
    rows = "".join(f'{i};"a, b; c";{i},5\n' for i in range(20))
    place.ingest(place.file("d.csv", 'id;"name, first, last";x\n' + rows))
    assert place.rows()[3] == {"id": 3, "name, first, last": "a, b; c", "x": "3,5"}


def test_a_decimal_comma_is_a_setting(place):
    rows = "".join(f"{i};{i},5;{i};1.5\n" for i in range(1, 20))
    source = {"uri": place.file("d.csv", "id;x;n;version\n" + rows), "csv": {"decimal": ","}}
    place.ingest(source)
    assert place.rows()[3] == {"id": 4, "x": 4.5, "n": 4, "version": "1.5"}
    place.ingest(source | {"columns": {"x": "DECIMAL(6,1)"}})
    assert place.column("x")[3] == 4.5


def test_texts_with_a_decimal_comma_are_said(place, capsys):
    place.ingest(place.file("d.csv", "id;x\n" + "".join(f"{i};{i},5\n" for i in range(1, 20))))
    assert place.column("x")[0] == "1,5"
    assert "t.x is read as text: 19 of 19 values, such as 1,5: numbers with a decimal comma" in capsys.readouterr().out


@pytest.mark.parametrize("quote", ["'", ""])
def test_the_quote_is_a_setting(place, quote):
    value = "'a, ''b'''" if quote else '"a'
    source = {"uri": place.file("d.csv", csv_of(20, lambda i: value)), "csv": {"quote": quote}}
    place.ingest(source)
    assert set(place.column("x")) == {"a, 'b'" if quote else '"a'}


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_line_ends_may_be_mixed_and_those_in_quotes_stay(place, newline):
    lines = [f'{i},"two{newline}lines"' + ("\r\n" if i % 3 else "\n") for i in range(20)]
    place.ingest(place.file("d.csv", "id,x\r\n" + "".join(lines)))
    assert place.column("x") == [f"two{newline}lines"] * 20


def test_line_ends_of_json_lines_may_be_mixed(place):
    place.ingest(place.file("d.jsonl", "".join(f'{{"id": {i}}}' + ("\r\n" if i % 3 else "\n") for i in range(20))))
    assert place.column("id") == list(range(20))


@pytest.mark.parametrize(
    ("first", "words"),
    [("Export of today", "the first line of d.csv has 1 values"), ('"today', "the first line of d.csv cannot be read")],
)
def test_lines_before_the_header_are_named_and_a_setting(place, first, words):
    source = place.file("d.csv", f"{first}\n\n{text()}")
    assert_refused(place, DataError, words, "skip_rows: 2", source=source)
    place.ingest({"uri": source, "csv": {"skip_rows": 2}})
    assert_read(place)


def test_lines_of_rejected_rows_count_from_the_files_first(place):
    source = {"uri": place.file("d.csv", "# made by hand\n" + csv_of(200, lambda i: "oops" if i == 7 else i))}
    place.ingest(source | {"csv": {"skip_rows": 1}})
    assert (place.quarantine()[0]["line"], place.quarantine()[0]["raw"]) == (10, "7,oops")


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16", "utf-16-le", "utf-8-sig", "cp037"])
def test_the_encoding_is_a_setting(place, encoding):
    data = csv_of(20, lambda i: "Zürich").encode(encoding)
    place.ingest({"uri": place.file("d.csv", data), "csv": {"encoding": encoding}})
    assert set(place.column("x")) == {"Zürich"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(place, encoding):
    place.ingest(place.file("d.csv", csv_of(20, lambda i: "東京").encode(encoding)))
    assert set(place.column("x")) == {"東京"}


def test_another_encoding_is_named_as_the_mend(place):
    data = csv_of(20, header="id,Größe").encode("cp1252")
    assert_refused(place, DataError, "not in UTF-8", "csv: {encoding: cp1252}", source=place.file("d.csv", data))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_byte_order_mark_is_not_read_as_texts_with_nul(place, encoding):
    source = place.file("d.csv", csv_of(200).encode(encoding))
    assert_refused(place, DataError, "not in UTF-8", f"csv: {{encoding: {encoding}}}", source=source)


@pytest.mark.parametrize("line", ["sep=;", '"SEP=;"', "sep=\t"])
def test_a_line_that_tells_excel_the_delimiter_is_named_and_a_setting(place, line):
    delimiter = line.strip('"')[-1]
    source = place.file("d.csv", f"{line}\r\n" + csv_of(20).replace(",", delimiter))
    words = ("tells Excel the delimiter", f"skip_rows: 1, delimiter: '{delimiter}'")
    assert_refused(place, DataError, *words, source=source)
    place.ingest({"uri": source, "csv": {"skip_rows": 1, "delimiter": delimiter}})
    assert place.column("x") == list(range(20))


def test_a_wrong_encoding_is_refused(place):
    source = {
        "uri": place.file("d.csv", csv_of(20, lambda i: "Zürich").encode("latin-1")),
        "csv": {"encoding": "utf-16"},
    }
    assert_refused(place, DataError, "cannot be read as utf-16", source=source)


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("d.csv.bz2", bz2.compress),
        ("d.csv.xz", lzma.compress),
        ("d.csv.gz", gzip.compress),
        ("d.tsv.bz2", bz2.compress),
    ],
)
def test_compressed_files_are_read(place, name, pack):
    place.ingest(place.file(name, pack(text("\t" if "tsv" in name else ",").encode())))
    assert_read(place)


@pytest.mark.parametrize("name", ["d.csv.bz2", "d.csv.xz", "d.csv.gz"])
def test_broken_compressed_files_are_one_message(place, name):
    assert_refused(place, DataError, f"{name} cannot be read", source=place.file(name, b"no such thing"))


@pytest.fixture
def archive(place):
    with zipfile.ZipFile(place.root / "all.zip", "w") as packed:
        packed.writestr("2024/flights.csv", text())
        packed.writestr("2024/weather.csv", "hour,temp\n1,2\n")
        packed.writestr("README.txt", "no data")
    return place.root / "all.zip"


@pytest.mark.parametrize("member", ["2024/flights.csv", "*/fl*.csv"])
def test_one_member_of_an_archive_is_a_path(place, archive, member):
    place.ingest(f"{archive}/{member}")
    assert_read(place)


def test_members_that_differ_are_named_with_how_to_take_one(place, archive):
    source = {"uri": str(archive), "format": "csv"}
    assert_refused(place, DataError, "all.zip/2024/weather.csv has other columns", "hour", source=source)


def test_a_member_that_is_not_there_is_named_with_those_that_are(place, archive):
    assert_refused(place, DataError, "holds no planes.csv", "2024/flights.csv", source=f"{archive}/planes.csv")


@pytest.mark.parametrize("name", ["data [1].csv", "what?.csv", "a*b.csv", "[x]/d.csv"])
@pytest.mark.parametrize("format", ["csv", "parquet", "jsonl"])
def test_a_file_that_is_there_is_no_glob(place, name, format):
    pack = PACKERS[format][1]
    name = name.replace("csv", format)
    place.file(name, "")
    pack(place.root / name, csv_of(20))
    pack(place.root / f"data 1.{format}", csv_of(10))
    place.ingest(str(place.root / name))
    assert place.column("x") == list(range(20))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("d.xlsx", b"PK\x03\x04", "is a workbook: save its sheet as CSV"),
        ("d.xls", b"\xd0\xcf\x11\xe0", "is a workbook"),
        ("d.db", b"SQLite format 3\0", "is a database: export the table"),
        ("d.csv.zst", b"\x28\xb5\x2f\xfd", "is compressed or packed: unpack it"),
        ("d.avro", b"Obj\x01", "write it as Parquet"),
        ("d.json", b"[]", "write JSON Lines"),
        ("d.txt", b"a", "say format: csv if it is"),
    ],
)
def test_what_is_not_read_is_named_with_what_to_do(place, name, content, words):
    assert_refused(place, ConfigurationError, words, source=place.file(name, content))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04...", "it is a zip archive, or an Excel workbook"),
        (b"PAR1...", "it is a Parquet file"),
        (b"\x1f\x8b...", "it is compressed by gzip"),
        (b"BZh9...", "it is compressed by bzip2"),
        (b"SQLite format 3\0...", "it is an SQLite database"),
    ],
)
@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_a_file_that_its_name_belies_is_named_for_what_it_is(place, format, content, words):
    source = {"uri": place.file(f"d.{format}", content), "format": format}
    assert_refused(place, DataError, f"d.{format} is no text", words, source=source)


@pytest.mark.parametrize(
    ("csv", "words"),
    [
        ({"delimiter": ",,"}, "sources.t.csv.delimiter is"),
        ({"decimal": ";"}, "sources.t.csv.decimal is"),
        ({"encoding": "klingon"}, "sources.t.csv.encoding is"),
        ({"skip_rows": -1}, "sources.t.csv.skip_rows is"),
        ({"separator": ";"}, "sources.t.csv.separator is not a setting"),
        ({"delimiter": ",", "decimal": ","}, "sources.t.csv.decimal"),
        ({"delimiter": '"'}, "sources.t.csv.quote"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_reading(place, csv, words):
    assert_refused(place, ConfigurationError, words, source={"uri": "a.csv", "csv": csv})


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_settings_of_csv_are_refused_for_other_formats(place, format):
    name, pack = PACKERS[format]
    pack(place.root / name, csv_of(9))
    source = {"uri": str(place.root / name), "csv": {"delimiter": ";"}}
    assert_refused(place, ConfigurationError, "csv", source=source)
    assert_refused(place, ConfigurationError, "sources.t.csv", source=source | {"format": format})
