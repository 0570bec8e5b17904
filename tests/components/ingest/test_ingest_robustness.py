"""Ingest over open-ended schemas and data: it keeps every value, or stops with one clear message."""

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from depth import tries
from ingesting import assert_refused, ingest, rows
from kfp_ct.base.errors import ComponentError, DataError
from kfp_ct.data.tables import csv_source, database, text_table
from kfp_ct.data.tables.files import DataFile

LEAN = {"max_examples": tries(5, 10), "deadline": None, "suppress_health_check": list(HealthCheck)}
# The first rows are told to train and the last to evaluate, so that no row is lost to an empty split.
BY_PART = {"method": "column", "column": "part"}
PARTED = "SELECT *, CASE WHEN id % 2 = 0 THEN 'train' ELSE 'eval' END AS part FROM t"

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=10)
FLOATS = st.floats(width=32)
INTEGERS = st.integers(-(2**63), 2**63 - 1)


def same(first, second) -> bool:
    if isinstance(first, float) and isinstance(second, float):
        return (math.isnan(first) and math.isnan(second)) or first == second
    return first == second


def clear(error: ComponentError) -> bool:
    lines = str(error).splitlines()
    return len(lines) <= 6 and len(lines[0]) < 1_000 and "Traceback" not in str(error)


def assert_kept(root: Path, records: list[dict]) -> None:
    found = rows(root)
    assert len(found) == len(records)
    for got, expected in zip(found, records, strict=True):
        assert got.keys() == expected.keys()
        assert all(same(got[name], value) for name, value in expected.items()), (got, expected)


@settings(**LEAN)
@given(st.data())
def test_parquet_of_any_names_and_values_is_kept_or_refused(tmp_path, data):
    names = data.draw(st.lists(NAMES, max_size=5))
    kinds = {"int": (pa.int64(), INTEGERS), "float": (pa.float32(), FLOATS), "text": (pa.string(), TEXT)}
    count = data.draw(st.integers(2, 12))
    fields, columns = [pa.field("id", pa.int64())], [pa.array(range(count))]
    for name in names:
        kind, values = kinds[data.draw(st.sampled_from(sorted(kinds)))]
        fields.append(pa.field(name, kind))
        columns.append(pa.array(data.draw(st.lists(st.none() | values, min_size=count, max_size=count)), kind))
    table = pa.Table.from_arrays(columns, schema=pa.schema(fields))
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet")
    try:
        ingest(tmp_path, str(tmp_path / "d.parquet"), PARTED, BY_PART)
    except ComponentError as error:
        lower = [name.lower() for name in ("id", "part", *names)]
        refused = len(set(lower)) < len(lower) or any(not name.isascii() for name in names)
        assert refused and clear(error), str(error)  # noqa: PT017, PT018
    else:
        assert_kept(tmp_path, table.to_pylist())


@settings(**LEAN)
@given(texts=st.lists(TEXT, min_size=2, max_size=20))
def test_texts_survive_csv(tmp_path, texts):
    # Empty is missing, and a text that is a number, a date or a truth value would be read as one.
    texts = [f"x{text}" if text else "" for text in texts]
    assume(all("\r" not in text for text in texts))
    written = io.StringIO()
    writer = csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([["id", "s"], *([i, text] for i, text in enumerate(texts))])
    (tmp_path / "d.csv").write_text(written.getvalue(), encoding="utf-8", newline="")
    source = {"uri": str(tmp_path / "d.csv"), "columns": {"s": "VARCHAR"}}
    ingest(tmp_path, source, PARTED, BY_PART)
    assert_kept(tmp_path, [{"id": i, "s": text or None} for i, text in enumerate(texts)])


VALUES = st.none() | st.booleans() | INTEGERS | FLOATS.filter(math.isfinite) | TEXT


@settings(**LEAN)
@given(
    records=st.lists(st.dictionaries(NAMES, VALUES | st.integers(2**63, 2**70), max_size=4), min_size=2, max_size=10),
)
def test_json_lines_of_anything_end_well(tmp_path, records):
    lines = [json.dumps({"id": i, **record}) for i, record in enumerate(records)]
    (tmp_path / "d.jsonl").write_text("\n".join(lines), encoding="utf-8")
    try:
        ingest(tmp_path, str(tmp_path / "d.jsonl"), PARTED, BY_PART)
    except ComponentError as error:
        assert clear(error), str(error)  # noqa: PT017
    else:
        assert len(rows(tmp_path)) >= 0.98 * len(records)


@pytest.mark.parametrize("big", [2**63, -(2**63) - 1, 10**30, 10**40])
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_an_integer_beyond_int64_is_named(tmp_path, suffix, big):
    values = [big if i == 7 else i for i in range(40)]
    lines = ["id,x", *(f"{i},{value}" for i, value in enumerate(values))]
    if suffix == "jsonl":
        lines = [json.dumps({"id": i, "x": value}) for i, value in enumerate(values)]
    (tmp_path / f"d.{suffix}").write_text("\n".join(lines))
    source = {"uri": str(tmp_path / f"d.{suffix}"), "columns": {"x": "BIGINT"}}
    assert_refused(DataError, "1 of 40 rows cannot be read", "column x", root=tmp_path, source=source)


@pytest.mark.parametrize("names", [["x", "x"], ["x", "X"], ["x", "x", "x_1"]], ids=str)
def test_columns_of_one_name_in_parquet_are_refused(tmp_path, names):
    table = pa.Table.from_arrays([pa.array(range(20))] * (1 + len(names)), names=["id", *names])
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet")
    assert_refused(DataError, "names columns twice", root=tmp_path, source=str(tmp_path / "d.parquet"))


def test_keys_that_differ_in_case_in_json_lines_are_refused(tmp_path):
    (tmp_path / "d.jsonl").write_text("".join(f'{{"id": {i}, "x": 1, "X": 2}}\n' for i in range(20)))
    assert_refused(DataError, "names columns twice", root=tmp_path, source=str(tmp_path / "d.jsonl"))


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Zurich", "America/New_York", "+05:30"])
def test_instants_are_kept_in_utc(tmp_path, zone):
    instants = pa.array([1_356_998_400_000_000 + i * 1_800_000_001 for i in range(20)], pa.timestamp("us", zone))
    pyarrow.parquet.write_table(pa.table({"id": range(20), "seen": instants}), tmp_path / "d.parquet")
    ingest(tmp_path, str(tmp_path / "d.parquet"), PARTED, BY_PART)
    expected = np.datetime64("2013-01-01T00:00:00") + np.arange(20) * np.timedelta64(1_800_000_001, "us")
    found = [np.datetime64(row["seen"].removesuffix("Z")) for row in rows(tmp_path)]
    assert found == list(expected)
    assert all(row["seen"].endswith("Z") == bool(zone) for row in rows(tmp_path))


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_no_row_and_one_row_are_too_few(tmp_path, suffix, count):
    path = tmp_path / f"d.{suffix}"
    if suffix == "parquet":
        pyarrow.parquet.write_table(pa.table({"id": pa.array(range(count), pa.int64())}), path)
    else:
        path.write_text({"csv": "id\n" + "0\n" * count, "jsonl": '{"id": 0}\n' * count}[suffix])
    words = "no rows" if suffix != "jsonl" else ""
    assert_refused(DataError, "split is empty" if count else words, root=tmp_path, source=str(path))


def wide(columns: int) -> dict[str, list]:
    return {"id": list(range(6)), **{f"c{n}": [n, None, n + 1, n, n, n] for n in range(columns)}}


def write_csv(path: Path, columns: dict[str, list]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *zip(*columns.values(), strict=True)])


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_more_than_a_thousand_columns_are_kept(tmp_path, suffix):
    columns = wide(1_001)
    if suffix == "csv":
        write_csv(tmp_path / "d.csv", columns)
    else:
        pyarrow.parquet.write_table(pa.table(columns), tmp_path / "d.parquet")
    ingest(tmp_path, str(tmp_path / f"d.{suffix}"), PARTED, BY_PART)
    assert_kept(tmp_path, pa.table(columns).to_pylist())


class Recorder:
    """A connection that keeps its statements."""

    def __init__(self, connection):
        self.connection, self.statements = connection, []

    def execute(self, sql, parameters=None):
        self.statements.append(sql)
        return self.connection.execute(sql, parameters)


def statements(root: Path, columns: int) -> list[str]:
    """Reads a CSV file of so many columns, half of them empty, and returns the statements that did it."""
    root.mkdir()
    empty = {f"e{n}": [None] * 6 for n in range(columns // 2)}
    write_csv(root / "d.csv", {**wide(columns // 2), **empty})
    with database.open_database(root) as connection:
        recorder = Recorder(connection)
        csv_source.load(recorder, "t", [DataFile(root / "d.csv", "d.csv")], csv_source.Reading())
        assert len(database.row(connection, "FROM t")) == columns + 1
    return recorder.statements


def test_work_on_csv_grows_with_its_columns_no_faster(tmp_path):
    few, many = statements(tmp_path / "few", 50), statements(tmp_path / "many", 100)
    # A file is read by as many statements, and none counts more columns at once than a few.
    assert sum("read_csv" in sql for sql in many) == sum("read_csv" in sql for sql in few) == 1
    assert len(many) <= 2 * len(few)
    assert max(sql.count("count(") for sql in many) == max(sql.count("count(") for sql in few)
    assert max(sql.count("count(") for sql in many) == text_table.AT_ONCE
