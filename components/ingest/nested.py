"""The shapes of columns that are lists of lists: one in all rows, or no tensor could hold them."""

# ruff: noqa: S608 - SQL is put together from names of ingest's own

from collections.abc import Mapping

import duckdb

from kfp_ct.base.errors import DataError
from kfp_ct.components.ingest import shards
from kfp_ct.data.tables import database, nested_lists
from kfp_ct.data.tables.column_types import Stored

_SHOWN = 3


def shapes(connection: duckdb.DuckDBPyConnection, columns: Mapping[str, Stored]) -> dict[str, list[int]]:
    """Returns the shape of each column of lists of lists.

    Raises:
        DataError: Rows have different shapes, or none.
    """
    names = shards.own_names(columns)
    return {name: _shape(connection, name, names[name]) for name, column in columns.items() if column.shape}


def _shape(connection: duckdb.DuckDBPyConnection, name: str, own: str) -> list[int]:
    counts = database.rows(
        connection, f"SELECT {own}_shape, count(*) FROM ct.examples GROUP BY ALL ORDER BY count(*) DESC, 1"
    )
    found = [(str(shape), int(rows)) for shape, rows in counts]
    if len(found) == 1 and all(size.isdigit() and int(size) for size in found[0][0].split(",")):
        return [int(size) for size in found[0][0].split(",")]
    listed = ", ".join(f"{_title(shape)} in {rows:,} rows" for shape, rows in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN:,} others" if len(found) > _SHOWN else ""
    raise DataError(
        f"the query's column {name} is a list of lists of the shape {listed}{more}\n"
        "expected: one shape in every row, without an empty or a missing list: such a column is a tensor\n"
        f"fix: {nested_lists.flatten_fix(name)}"
    )


def _title(shape: str) -> str:
    """Says a shape for people: 28 × 28; 2 × 1 to 3; inner lists that are missing count as -1."""
    sizes = [size.replace("-1-", "missing to ").replace(nested_lists.RAGGED, " to ") for size in shape.split(",")]
    return " × ".join(sizes)
