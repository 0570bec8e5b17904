"""Tables as other programs write them, and whether a reader gave every value back.

What counts is what was written: a value must come back as a text alike, or as a number, time or truth value that the
text denotes and that no other text of the column denotes differently. A missing value that was not written as nothing
must be counted by the reader, and a row that it set aside as well.
"""

import csv
import datetime
import decimal
import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from kfp_ct.base.errors import ComponentError
from kfp_ct.data.tables import database, reader
from kfp_ct.data.tables.quoting import identifier
from kfp_ct.data.tables.reading import Reading, Table

UTC = datetime.UTC
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
_NAME = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=8).filter(str.strip) | (
    st.sampled_from(["rowid", "select", "c0", "t1", "filename", "ct_split", "line", "__x", "v", "file_row_number"])
)
_CODES = st.sampled_from(
    ["00501", "501", "1_11", "11_1", "1E5", "1e5", "+41791234567", "0x1F", "-0", "007.50", "1-2-3"]
)
_MARKS = st.sampled_from(["NA", "none", "null", "-", "?", "nan", "NaN", "N/A", "inf"])
_OFFSETS = st.sampled_from([None, UTC, datetime.timezone(datetime.timedelta(hours=-8))])
_TIMES = st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))
_KINDS: list[st.SearchStrategy] = [
    st.integers(-1000, 1000), st.integers(-(2**63), 2**63 - 1), st.integers(-(2**70), 2**70),
    st.floats(width=64), st.floats(-1000, 1000, width=16), st.booleans(), _TEXT, _CODES, _MARKS,
    st.dates(), _TIMES, st.datetimes(timezones=st.just(UTC)),
]  # fmt: skip


@st.composite
def columns(draw: st.DrawFn, rows: int, names: st.SearchStrategy = _NAME) -> dict[str, list[Any]]:
    """Draws columns of equally many values, mostly of one kind, some of others or missing."""
    found: dict[str, list[Any]] = {"id": list(range(rows))}
    for name in draw(st.lists(names, min_size=1, max_size=3, unique_by=lambda name: name.strip().lower())):
        if name.strip().lower() == "id":
            continue
        values = draw(st.sampled_from(_KINDS)) | draw(st.sampled_from(_KINDS)) if draw(st.booleans()) else (
            draw(st.sampled_from(_KINDS))
        )  # fmt: skip
        found[name.strip()] = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
    return found


def load(folder: Path, format: str) -> tuple[list[dict[str, Any]], Any]:
    """Reads the files of a folder; returns the rows and what the reader says of them."""
    scratch = folder / "scratch"
    scratch.mkdir()
    found = sorted(path for path in folder.iterdir() if path.is_file())
    with database.open_database(scratch) as connection:
        loaded = reader.load(connection, Table("t", found, format, Reading()), scratch)
        names = [name for name, *_ in database.rows(connection, "DESCRIBE t")]
        # As texts where Python has no such type.
        got = database.rows(connection, f"SELECT {', '.join(map(identifier, names))} FROM t")
        return [dict(zip(names, row, strict=True)) for row in got], loaded


def is_clear(error: ComponentError) -> bool:
    """Whether a refusal is one short message that names what it is about."""
    lines = str(error).splitlines()
    return len(lines) <= 6 and "Traceback" not in str(error) and "t" in lines[0]


def check(written: list[dict[str, str | None]], got: list[dict[str, Any]], loaded: Any, same: Callable) -> None:
    """Demands that every row came back as it was written, or was counted as set aside."""
    assert len(got) + loaded.rejected == len(written), (written, got)
    by_id = {row["id"]: row for row in written}
    missing: dict[str, int] = {}
    for row in got:
        expected = by_id[row["id"]]
        assert row.keys() == expected.keys()
        for name, value in row.items():
            if name == "id":
                continue
            if value is None and expected[name] is not None:
                missing[name] = missing.get(name, 0) + 1
            else:
                assert same(expected[name], value), (name, expected[name], value)
    counted = {name: sum(marks.values()) for name, marks in loaded.null_marks.items()}
    assert loaded.rejected or missing == counted, (missing, counted)
    assert all(count <= counted.get(name, 0) for name, count in missing.items())


def same_text(text: Any, value: Any) -> bool:
    """Whether a value is what a text of CSV says."""
    if value is None or isinstance(value, str):
        return text == value
    plain = text.strip(" ")
    if isinstance(value, bool):
        return plain.lower() == str(value).lower()
    if isinstance(value, int):
        return plain.removeprefix("+") == str(value)
    if isinstance(value, float):
        return _same_number(plain, value)
    if isinstance(value, datetime.datetime):
        return _moment(plain) == value
    return datetime.date.fromisoformat(plain) == value


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def _same_number(text: str, value: float) -> bool:
    if re.fullmatch(r"[+-]?0\d.*|.*_.*|\+\d{8,}", text):
        return False
    if re.fullmatch(r"[+-]?\d+", text) and text != "-0":
        return int(text) == value
    return float(text) == value or (math.isnan(value) and "nan" in text.lower())


def write_csv(path: Path, table: dict[str, list[Any]], delimiter: str = ",", end: str = "\n") -> list[dict[str, Any]]:
    """Writes a table by Python's csv module; returns the texts that were written."""
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    texts = [{name: _text(value) for name, value in row.items()} for row in rows]
    with path.open("w", newline="", encoding="utf-8") as file:
        # Python before 3.13 leaves a carriage return without quotes, where it ends a line for every reader.
        quoting = (
            csv.QUOTE_ALL if any("\r" in (text or "") for row in texts for text in row.values()) else csv.QUOTE_MINIMAL
        )
        writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
        writer.writerows([table, *([text or "" for text in row.values()] for row in texts)])
    return [{**row, "id": n} for n, row in enumerate(texts)]


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def read_texts(text: str) -> list[dict[str, Any]]:
    """Returns what is written in a CSV file."""
    read = csv.DictReader(io.StringIO(text, newline=""))
    return [{name: value or None for name, value in row.items()} | {"id": n} for n, row in enumerate(read)]


def same_number(expected: Any, value: Any) -> bool:
    """Whether a value is the one of another type: numbers alike to the last digit, a day its midnight."""
    if isinstance(expected, float) and math.isnan(expected):
        return math.isnan(value)
    if isinstance(expected, datetime.date) and not isinstance(expected, datetime.datetime):
        midnight = datetime.datetime(expected.year, expected.month, expected.day)
        return value in (expected, midnight)
    if isinstance(expected, decimal.Decimal) and isinstance(value, float):
        return float(expected) == value
    return expected == value and isinstance(expected, str) == isinstance(value, str)


def same_json(expected: Any, value: Any) -> bool:
    """Whether a value is what JSON says."""
    if isinstance(value, str) and not isinstance(expected, str):
        return json.loads(value) == expected or (isinstance(expected, float) and math.isnan(expected))
    if isinstance(expected, str):
        return same_text(expected, value)
    if isinstance(expected, bool) or isinstance(value, bool):
        return expected is value
    if isinstance(expected, float) and isinstance(value, float) and math.isnan(expected):
        return math.isnan(value)
    return expected == value
