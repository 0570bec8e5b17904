"""Writes the selected rows: split, in a fixed order, as Parquet or TFRecord, with a fingerprint of their content."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb

from kfp_ct.data import layouts
from kfp_ct.data.tables import database
from kfp_ct.data.tables.column_types import CHANGED_WHOLE, Stored
from kfp_ct.data.tables.quoting import identifier, literal

# Rows of a file: large enough to read fast, small enough that readers share the work.
SHARD_ROWS = 1_000_000
# Rows of a row group (DuckDB rounds up to 51,200): about what readers take as a batch.
SUFFIXES = {layouts.PARQUET: "parquet", layouts.TFRECORD: "gz"}
GROUP_ROWS = layouts.BATCH_ROWS
# Values that span more steps of float32 are told apart well enough.
_STEPS = 256


@dataclasses.dataclass(frozen=True)
class Selection:
    """What is written: the query with its parameters, the columns' forms, and the expression of a row's split."""

    sql: str
    parameters: Mapping[str, object]
    columns: Mapping[str, Stored]
    split: str


@dataclasses.dataclass(frozen=True)
class Layout:
    """How rows are laid out: the splits, in the manifest's order, and the format of their files."""

    splits: Sequence[str]
    format: str = layouts.PARQUET


def select(connection: duckdb.DuckDBPyConnection, selection: Selection) -> None:
    """Runs the query once and keeps its rows in `ct.examples`, in the order they are written in.

    The order is by split and then by a hash of the row's content: the same rows are in the same order wherever they
    came from, and as good as shuffled, so that any batch is a fair sample of its split.
    """
    # By names of ingest's own, so that a query's column may be called anything, such as rowid.
    names = own_names(selection.columns)
    stored = ", ".join(
        f"{column.expression} AS {names[name]}"
        + (f", {column.rounding} AS {names[name]}_rounding") * bool(column.rounding)
        + (f", {column.shape} AS {names[name]}_shape") * bool(column.shape)
        for name, column in selection.columns.items()
    )
    # A separator and a mark for missing that no text holds keep (a, bc) and (ab, c) apart.
    values = ", chr(1), ".join(f"coalesce(CAST({name} AS VARCHAR), chr(0))" for name in names.values())
    connection.execute(
        f"""CREATE TABLE ct.examples AS
        WITH ct_query AS {"MATERIALIZED" if "ct_query" in selection.split else ""} ({selection.sql}
        ), ct_stored AS (SELECT {stored}, {selection.split} AS ct_split FROM ct_query)
        SELECT *, md5_number(concat({values})) AS ct_hash FROM ct_stored ORDER BY ct_split, ct_hash""",
        selection.parameters,
    )


def own_names(columns: Iterable[str]) -> dict[str, str]:
    """Returns the names that columns have in `ct.examples`."""
    return {name: f"v{number}" for number, name in enumerate(columns)}


def rounded_together(connection: duckdb.DuckDBPyConnection, columns: Mapping[str, Stored]) -> list[str]:
    """Returns the float columns that hold whole numbers only, not all of which float32 keeps."""
    names = own_names(columns)
    return [
        name
        for name, column in columns.items()
        if column.rounding
        and database.row(connection, f"SELECT max({names[name]}_rounding) FROM ct.examples")[0] == CHANGED_WHOLE
    ]


def close_together(connection: duckdb.DuckDBPyConnection, columns: Mapping[str, Stored]) -> list[str]:
    """Returns the float columns all of whose values are within a few steps of float32, which may have been more."""
    names = own_names(columns)
    close = {
        name: f"coalesce(max({own}) - min({own}) <= {_STEPS} * greatest(abs(max({own})), abs(min({own}))) / {2**23},"
        " false)"
        for name, own in names.items()
        if columns[name].rounding and columns[name].kind == "float"
    }
    finite = {name: f"CASE WHEN isfinite({own}) THEN CAST({own} AS DOUBLE) END AS {own}" for name, own in names.items()}
    if not close:
        return []
    looked_at = ", ".join(finite[name] for name in close)
    row = database.row(connection, f"SELECT {', '.join(close.values())} FROM (SELECT {looked_at} FROM ct.examples)")
    return [name for name, is_close in zip(close, row, strict=True) if is_close]


def count(connection: duckdb.DuckDBPyConnection) -> dict[str | None, int]:
    """Returns the rows of each split; those of none are under None."""
    return dict(database.rows(connection, "SELECT ct_split, count(*) FROM ct.examples GROUP BY ct_split"))


def write(
    connection: duckdb.DuckDBPyConnection, root: Path, columns: Mapping[str, Stored], layout: Layout
) -> list[layouts.Split]:
    """Writes all splits, in the layout's order."""
    names, write_shard = layout.splits, _write_tfrecord if layout.format == layouts.TFRECORD else _write_parquet
    rows = count(connection)
    # Sorted by name, a split is one range of row numbers: a file is read without looking at the rest.
    first = {name: sum(rows[before] for before in names if before < name) for name in names}
    return [
        layouts.Split(name, rows[name], [
            write_shard(connection, layouts.split_path(root, name) / file, extent, columns)
            for file, extent in _shards(first[name], rows[name], layout.format)
        ])
        for name in names
    ]  # fmt: skip


def _shards(first: int, rows: int, format: str) -> list[tuple[str, tuple[int, int]]]:
    """Returns the files of a split, all of nearly one size, each with its first row and the row after its last."""
    number = -(-rows // SHARD_ROWS)
    bounds = [first + rows * n // number for n in range(number + 1)]
    return [
        (f"data_{format}-{n:05d}-of-{number:05d}.{SUFFIXES[format]}", extent)
        for n, extent in enumerate(itertools.pairwise(bounds))
    ]


def _write_parquet(
    connection: duckdb.DuckDBPyConnection, path: Path, extent: tuple[int, int], columns: Mapping[str, Stored]
) -> str:
    path.parent.mkdir(exist_ok=True)
    connection.execute(
        f"COPY ({_rows(extent, columns)})"
        f" TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {GROUP_ROWS})"
    )
    return f"{path.parent.name}/{path.name}"


def _write_tfrecord(
    connection: duckdb.DuckDBPyConnection, path: Path, extent: tuple[int, int], columns: Mapping[str, Stored]
) -> str:
    # Imported here: it needs TensorFlow, which Parquet does without.
    from kfp_ct.data import tfrecord

    path.parent.mkdir(exist_ok=True)
    batches = connection.sql(_rows(extent, columns)).to_arrow_reader(GROUP_ROWS)
    tfrecord.write(path, batches, {name: column.kind for name, column in columns.items()})
    return f"{path.parent.name}/{path.name}"


def _rows(extent: tuple[int, int], columns: Mapping[str, Stored]) -> str:
    first, end = extent
    selected = ", ".join(f"{own} AS {identifier(name)}" for name, own in own_names(columns).items())
    return f"SELECT {selected} FROM ct.examples WHERE rowid >= {first} AND rowid < {end}"


def fingerprint(connection: duckdb.DuckDBPyConnection, columns: Mapping[str, Stored]) -> str:
    """Returns a SHA-256 of the rows' content: columns, and per split the number of rows and the sum of their MD5.

    A sum does not depend on order, and unlike an exclusive or it sees a row that is there twice. Each half of the
    128-bit hashes is summed by itself, which leaves room for 2^63 rows.
    """
    sums = database.rows(
        connection,
        "SELECT ct_split, count(*)::VARCHAR, sum((ct_hash >> 64)::UBIGINT)::VARCHAR,"
        f" sum((ct_hash & {2**64 - 1})::UBIGINT)::VARCHAR FROM ct.examples GROUP BY ct_split ORDER BY ct_split",
    )
    kinds = [[name, column.kind] for name, column in columns.items()]
    return hashlib.sha256(json.dumps([kinds, sums], ensure_ascii=False).encode()).hexdigest()
