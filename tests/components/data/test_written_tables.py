"""Tables that csv, json, pyarrow and pandas wrote come back value for value, or are refused by name.

`WRITTEN_TABLES=2500 python -m pytest tests/components/data/test_written_tables.py --hypothesis-seed 1` tries so many
tables of each of the four.
"""

import csv
import json
import os

import pandas
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from depth import tries
from kfp_ct.base.errors import ComponentError
from written_tables import (
    check,
    columns,
    is_clear,
    load,
    read_texts,
    same_json,
    same_number,
    same_text,
    write_csv,
)  # fmt: skip

MANY = settings(
    max_examples=int(os.environ.get("WRITTEN_TABLES", tries(15, 40))),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
ROWS = st.integers(1, 30)


def assert_given_back(folder, format, written, same):
    try:
        got, loaded = load(folder, format)
    except ComponentError as error:
        assert is_clear(error), str(error)  # noqa: PT017
    else:
        check(written, got, loaded, same)


@MANY
@given(data=st.data(), delimiter=st.sampled_from(",;\t|"), end=st.sampled_from(["\n", "\r\n"]))
def test_csv_of_python(tmp_path_factory, data, delimiter, end):
    folder = tmp_path_factory.mktemp("csv")
    table = data.draw(columns(data.draw(ROWS)))
    assert_given_back(folder, "csv", write_csv(folder / "d.csv", table, delimiter, end), same_text)


@MANY
@given(data=st.data())
def test_json_lines_of_python(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("json")
    table = data.draw(columns(data.draw(ROWS)))
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    # A key that is not there is a value that is missing.
    lines = [{name: value for name, value in row.items() if value is not None or n % 2} for n, row in enumerate(rows)]
    text = "".join(json.dumps(line, default=str) + "\n" for line in lines)
    (folder / "d.jsonl").write_text(text, encoding="utf-8")
    names = list(dict.fromkeys(name for line in lines for name in line))
    told = [json.loads(line) for line in text.splitlines()]
    assert_given_back(folder, "jsonl", [{name: row.get(name) for name in names} for row in told], same_json)


SAME = {pa.int32(): st.integers(-(2**31), 2**31 - 1), pa.int64(): st.integers(-(2**63), 2**63 - 1),
        pa.uint8(): st.integers(0, 255), pa.float32(): st.floats(width=32), pa.float64(): st.floats(),
        pa.string(): st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
        pa.bool_(): st.booleans(), pa.decimal128(6, 2): st.decimals(-1000, 1000, places=2),
        pa.decimal128(12, 5): st.decimals(-1000, 1000, places=5),
        pa.date32(): st.dates(), pa.timestamp("us"): st.datetimes(), pa.null(): st.none(),
        pa.uint64(): st.integers(0, 2**64 - 1)}  # fmt: skip


@MANY
@given(data=st.data(), files=st.integers(1, 3))
def test_parquet_of_pyarrow(tmp_path_factory, data, files):
    folder = tmp_path_factory.mktemp("parquet")
    written, names = [], ["id"]
    for number in range(files):
        rows = data.draw(st.integers(1, 5))
        table = {"id": pa.array(range(len(written), len(written) + rows))}
        for name in data.draw(st.lists(st.sampled_from(["x", "y", "rowid"]), unique=True)):
            kind = data.draw(st.sampled_from(list(SAME)))
            values = data.draw(st.lists(st.none() | SAME[kind], min_size=rows, max_size=rows))
            table[name] = pa.array(values, kind)
        pyarrow.parquet.write_table(pa.table(table), folder / f"{number}.parquet")
        names += [name for name in table if name not in names]
        written += pa.table(table).to_pylist()
    written = [{name: row.get(name) for name in names} for row in written]
    assert_given_back(folder, "parquet", written, same_number)


@MANY
@given(data=st.data(), way=st.sampled_from(["csv", "jsonl", "parquet"]))
def test_files_of_pandas(tmp_path_factory, data, way):
    folder = tmp_path_factory.mktemp("pandas")
    frame = pandas.DataFrame(data.draw(columns(data.draw(ROWS))))
    path = folder / f"d.{way}"
    try:
        if way == "csv":
            returns = frame.astype(str).apply(lambda column: column.str.contains("\r")).to_numpy().any()
            frame.to_csv(path, index=False, quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL)
            written, same = read_texts(path.read_bytes().decode()), same_text
        elif way == "jsonl":
            frame.to_json(path, orient="records", lines=True, date_format="iso", double_precision=15)
            written, same = (
                [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line],
                same_json,
            )
        else:
            frame.to_parquet(path)
            written, same = pyarrow.parquet.read_table(path).to_pylist(), same_number
    except (pa.ArrowException, OverflowError, ValueError, UnicodeError):
        return  # pandas does not write this table
    assert_given_back(folder, way, written, same)


def test_a_changed_value_is_seen(tmp_path):
    written = [{"id": 0, "x": "00501"}]
    (tmp_path / "d.csv").write_text("id,x\n0,501\n")
    got, loaded = load(tmp_path, "csv")
    with pytest.raises(AssertionError):
        check(written, got, loaded, same_text)
