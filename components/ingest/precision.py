"""Float columns that float32 would not keep: ids in floats, and values that differ in later digits only."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

from collections.abc import Mapping

import duckdb

from kfp_ct.base.errors import DataError
from kfp_ct.components.ingest import shards
from kfp_ct.components.ingest.query import Query
from kfp_ct.data.tables import column_types, database
from kfp_ct.data.tables.column_types import Stored
from kfp_ct.data.tables.quoting import identifier

# Floats that are nearer to each other, by their size, are one number that was computed in several ways.
_NOISE = 1e-12


def require_whole_numbers(
    connection: duckdb.DuckDBPyConnection, selected: Query, columns: Mapping[str, Stored]
) -> None:
    """Refuses a float column of whole numbers not all of which float32 keeps, such as ids."""
    for name in shards.rounded_together(connection, columns):
        lists = "[]" * columns[name].kind.endswith("[]")
        changed = f"({columns[name].rounding}) = {column_types.CHANGED_WHOLE}"
        shown = example(connection, selected, name, changed)
        # Decimals may be of more digits than an integer has.
        large = f"{changed} AND TRY_CAST({identifier(name)} AS BIGINT{lists}) IS NULL"
        exact = "VARCHAR" if example(connection, selected, name, large) else "BIGINT"
        raise DataError(
            f"{selected.file}: column {name} is a float and holds whole numbers only, such as "
            f"{shown}, which float32 does not keep: different ones become one\n"
            "expected: integers where numbers name things\n"
            f"fix: CAST({name} AS {exact}{lists}) in the query; or CAST({name} AS FLOAT{lists}) if seven digits are "
            "enough"
        )


def require_differences(connection: duckdb.DuckDBPyConnection, selected: Query, columns: Mapping[str, Stored]) -> None:
    """Refuses a column whose values float32 hardly tells apart, such as seconds since 1970 with fractions."""
    for name in shards.close_together(connection, columns):
        value = f"CAST({identifier(name)} AS DOUBLE)"
        low, high, number, kept = database.row(
            connection,
            f"SELECT min({value}), max({value}), count(DISTINCT {value}), count(DISTINCT {value}::FLOAT)"
            f" FROM ({selected.sql}\n) WHERE isfinite({value})",
            selected.parameters,
        )
        if number <= 2 * kept or high - low <= _NOISE * max(abs(low), abs(high)):
            continue
        raise DataError(
            f"{selected.file}: column {name} is a float with {number:,} different values from {low!r} to {high!r}, of "
            f"which float32 keeps {kept:,} apart\nexpected: values that differ in their first seven digits\n"
            f"fix: {name} - {int(low)} AS {name} in the query, so that they do; or CAST({name} AS FLOAT) if that is "
            "enough"
        )


def example(connection: duckdb.DuckDBPyConnection, selected: Query, name: str, condition: str) -> str | None:
    """Returns the text of a value of the query's column where a condition holds; None where there is none."""
    try:
        found = database.rows(
            connection,
            f"SELECT {identifier(name)}::VARCHAR FROM ({selected.sql}\n) WHERE {condition} LIMIT 1",
            selected.parameters,
        )
    except duckdb.Error:
        # The query's own expressions fail: the caller says so.
        return None
    return str(found[0][0]) if found else None
