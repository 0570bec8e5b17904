"""Casts in the query that would cut the offset off a text: DuckDB takes the wall time for UTC."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import json
from collections.abc import Iterable, Iterator
from typing import Any

import duckdb

from kfp_ct.base.errors import DataError
from kfp_ct.components.ingest.query import Query
from kfp_ct.data.tables import database, value_kinds
from kfp_ct.data.tables.quoting import identifier

_WITHOUT_ZONE = {"TIMESTAMP", "DATETIME", "DATE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP_US"}


def require_offsets_kept(connection: duckdb.DuckDBPyConnection, query: Query, sources: Iterable[str]) -> None:
    """Raises `DataError` where the query casts a column of texts with offsets to a type without a time zone."""
    casts = dict(_casts(_syntax(connection, query)))
    for source in sources if casts else ():
        for name, type_name, *_ in database.rows(connection, f"DESCRIBE {identifier(source)}"):
            target = casts.get(name.lower())
            if not target or type_name != "VARCHAR" or not (example := _with_offset(connection, source, name)):
                continue
            plain = f"CAST({name} AS TIMESTAMPTZ)"
            raise DataError(
                f"{query.file} casts {name} to {target}, and {source}.{name} holds instants with an offset, such as "
                f"{example}: the cast would cut it off\nexpected: a cast that keeps the instant\n"
                f"fix: {f'CAST({plain} AS DATE)' if target == 'DATE' else plain} in the query; if the wall time is "
                f"meant, CAST(left({name}, {10 if target == 'DATE' else 19}) AS {target})"
            )


def _syntax(connection: duckdb.DuckDBPyConnection, query: Query) -> Any:
    """Returns the query as DuckDB parses it."""
    (text,) = database.row(connection, "SELECT json_serialize_sql(?::VARCHAR)", [query.sql])
    return json.loads(text)


def _casts(node: Any) -> Iterator[tuple[str, str]]:
    """Yields the columns, in lower case, that are cast to a time without a zone, and to which type."""
    if isinstance(node, list):
        for each in node:
            yield from _casts(each)
    elif isinstance(node, dict):
        match node:
            case {"class": "CAST", "child": {"class": "COLUMN_REF", "column_names": [*_, str(name)]},
                  "type_expr": {"type_name": str(target)}} if target.upper() in _WITHOUT_ZONE:  # fmt: skip
                yield name.lower(), target.upper()
        for each in node.values():
            yield from _casts(each)


def _with_offset(connection: duckdb.DuckDBPyConnection, source: str, name: str) -> str:
    column = identifier(name)
    found = database.rows(
        connection, f"SELECT {column} FROM {identifier(source)} WHERE {value_kinds.has_offset(column)} LIMIT 1"
    )
    return str(found[0][0]) if found else ""
