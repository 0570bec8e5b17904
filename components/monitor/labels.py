"""Labels that came later, joined to what was predicted."""

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data.tables import database, files, reader
from kfp_ct.data.tables.reading import Loaded, Reading, Table
from kfp_ct.storage import locations, search

KEY = ["request_id", "row"]
_OTHER_NAMES = {".json": files.JSONL, ".gz": files.CSV}


@dataclasses.dataclass(frozen=True)
class LabelledRows:
    """Rows with their label.

    Attributes:
        rows: The traffic's rows that have one, with the column `label`.
        labels: Labels read, whatever they belong to.
        conflicting: Rows with several labels that differ; none of them is used.
        null_marks: Of each column, the texts that were read as a missing value, and how often.
    """

    rows: pa.Table
    labels: int
    conflicting: int
    null_marks: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)


def join(rows: pa.Table, source: str) -> LabelledRows:
    """Joins labels by `request_id` and `row`.

    Args:
        rows: Served rows.
        source: Parquet, CSV or JSON Lines, a file or a pattern, with the columns `request_id`, `label` and, where
            requests have several rows, `row` (0 where it is absent). No such file yet is no label yet.

    Raises:
        DataError: A file, or a row of one, cannot be read, or a column is missing.
        ConfigurationError: A file is of another kind.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = _found(source, Path(folder)) if source and len(rows) else []
        if found:
            return _joined(rows, source, found, Path(folder))
    return LabelledRows(_with_label(rows.slice(0, 0), pa.array([], pa.float64())), 0, 0)


def _found(source: str, folder: Path) -> list[Path]:
    """Returns the files of labels; those of an object store are copied below a folder."""
    if locations.is_remote(source):
        return search.download(search.find(source), folder / "objects")
    return files.matches(files.local_path("labels", source))


def _joined(rows: pa.Table, source: str, found: list[Path], scratch: Path) -> LabelledRows:
    folder = scratch / "database"
    folder.mkdir()
    with database.open_database(folder) as connection:
        loaded = _load(connection, source, found, folder)
        matched, read = _match(connection, rows, folder)
    good = [(place, label) for place, label, differing in matched if differing == 1]
    places = pa.array([place for place, _ in good], pa.int64())
    labelled = _with_label(rows.take(places), pa.array([label for _, label in good]))
    return LabelledRows(labelled, read, len(matched) - len(good), loaded.null_marks)


def _load(connection: duckdb.DuckDBPyConnection, source: str, found: list[Path], folder: Path) -> Loaded:
    """Makes the table `labels`; no row may be lost, for quality is told from them.

    Ids are texts, as the service logs them.
    """
    format = files.format_by_name(found[0]) or _OTHER_NAMES.get(found[0].suffix.lower(), "")
    if format not in (files.CSV, files.JSONL, files.PARQUET):
        raise ConfigurationError(
            f"labels: {found[0]} is none of {', '.join([*files.SUFFIXES, *_OTHER_NAMES])}\n"
            "fix: write them as CSV, Parquet or JSON Lines, and name them so"
        )
    reading = Reading(types={} if format == files.PARQUET else {"request_id": "VARCHAR"})
    loaded = reader.load(connection, Table("labels", found, format, reading), folder)
    if loaded.rejected:
        file, line, reason = database.row(
            connection, "SELECT file, line, reason FROM ct.rejects ORDER BY file, line NULLS LAST LIMIT 1"
        )
        where = f"{file} line {line}" if line else str(file)
        raise DataError(
            f"the labels {source} have {loaded.rejected:,} rows that cannot be read, such as {where}: {reason}\n"
            "expected: the columns request_id, label and, where requests have several rows, row\nfix: correct them"
        )
    columns = [name for name, *_ in database.rows(connection, "DESCRIBE labels")]
    if missing := [name for name in ("request_id", "label") if name not in columns]:
        raise DataError(
            f"the labels {source} have no column {' and no column '.join(missing)}: they have {', '.join(columns)}\n"
            "expected: the columns request_id, label and, where requests have several rows, row\nfix: correct them"
        )
    return loaded


def _match(
    connection: duckdb.DuckDBPyConnection, rows: pa.Table, folder: Path
) -> tuple[list[tuple[int, Any, int]], int]:
    """Returns place, label and number of differing labels of every row that has one; and how many labels were read."""
    # By way of a file: DuckDB takes tables of memory from newer releases of pyarrow only.
    served = str(folder / "served.parquet")
    pq.write_table(rows.select(KEY).append_column("place", pa.array(range(len(rows)))), served)
    types = {name: type_name for name, type_name, *_ in database.rows(connection, "DESCRIBE labels")}
    row = 'labels."row"' if "row" in types else "0"
    # NaN is missing, as pandas writes it; of texts and integers none is.
    is_nan = "isnan(label)" if types["label"] in ("FLOAT", "DOUBLE") else "false"
    matched = database.rows(
        connection,
        "SELECT place, any_value(label), count(DISTINCT label) FROM labels JOIN read_parquet(?) AS served "  # noqa: S608
        "ON served.request_id = CAST(labels.request_id AS VARCHAR) "
        f"AND served.row = CAST({row} AS BIGINT) WHERE label IS NOT NULL AND NOT {is_nan} "
        "GROUP BY place ORDER BY place",
        [served],
    )
    (read,) = database.row(connection, f"SELECT count(label) FROM labels WHERE NOT {is_nan}")  # noqa: S608
    return matched, read


def _with_label(rows: pa.Table, labels: pa.Array) -> pa.Table:
    return rows.append_column("label", labels)
