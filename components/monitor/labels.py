"""Labels that came later, joined to what was predicted."""

import dataclasses
import glob
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from kfp_ct.base.errors import ConfigurationError, DataError

_READERS = {
    ".parquet": "read_parquet", ".csv": "read_csv", ".gz": "read_csv", ".jsonl": "read_json", ".json": "read_json",
}  # fmt: skip
_CONFIG = {"python_enable_replacements": "false", "memory_limit": "1GB"}
KEY = ["request_id", "row"]


@dataclasses.dataclass(frozen=True)
class LabelledRows:
    """Rows with their label.

    Attributes:
        rows: The traffic's rows that have one, with the column `label`.
        labels: Labels read, whatever they belong to.
        conflicting: Rows with several labels that differ; none of them is used.
    """

    rows: pa.Table
    labels: int
    conflicting: int


def join(rows: pa.Table, source: str) -> LabelledRows:
    """Joins labels by `request_id` and `row`.

    Args:
        rows: Served rows.
        source: Parquet, CSV or JSON Lines, a file or a pattern, with the columns `request_id`, `label` and, where
            requests have several rows, `row` (0 where it is absent). No such file yet is no label yet.

    Raises:
        DataError: A file cannot be read, or lacks a column.
        ConfigurationError: It is of another kind.
    """
    files = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - a pattern with an absolute part
    if not files or not len(rows):
        return LabelledRows(_with_label(rows.slice(0, 0), pa.array([], pa.float64())), 0, 0)
    reader = _READERS.get(Path(files[0]).suffix.lower())
    if reader is None:
        raise ConfigurationError(f"labels: {files[0]} is none of {sorted(_READERS)}")
    try:
        found, read = _read(rows, reader, files)
    except duckdb.Error as error:
        raise DataError(
            f"the labels {source} cannot be read: {str(error).splitlines()[0]}\n"
            "expected: the columns request_id, label and, where requests have several rows, row"
        ) from error
    good = [(place, label) for place, label, differing in found if differing == 1]
    places = pa.array([place for place, _ in good], pa.int64())
    return LabelledRows(
        _with_label(rows.take(places), pa.array([label for _, label in good])), read, len(found) - len(good)
    )


def _read(rows: pa.Table, reader: str, files: list[str]) -> tuple[list[tuple[int, Any, int]], int]:
    """Returns place, label and number of differing labels of every row that has one; and how many labels were read."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(config=_CONFIG) as connection:
        # By way of a file: DuckDB takes tables of memory from newer releases of pyarrow only.
        served = f"{folder}/served.parquet"
        pq.write_table(rows.select(KEY).append_column("place", pa.array(range(len(rows)))), served)
        connection.execute("SET TimeZone = 'UTC'")
        there = connection.execute(f"SELECT * FROM {reader}(?) LIMIT 0", [files]).description or []  # noqa: S608
        row = 'labels."row"' if "row" in [column[0] for column in there] else "0"
        joined = (
            f"SELECT place, any_value(label), count(DISTINCT label) FROM {reader}(?) AS labels JOIN read_parquet(?) "  # noqa: S608
            "AS served ON served.request_id = CAST(labels.request_id AS VARCHAR) "
            f"AND served.row = CAST({row} AS INTEGER) "
            "WHERE label IS NOT NULL GROUP BY place ORDER BY place"
        )
        read = connection.execute(f"SELECT count(label) FROM {reader}(?)", [files]).fetchall()[0][0]  # noqa: S608
        return connection.execute(joined, [files, served]).fetchall(), read


def _with_label(rows: pa.Table, labels: pa.Array) -> pa.Table:
    return rows.append_column("label", labels)
