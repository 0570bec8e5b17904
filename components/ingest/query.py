"""The user's query: one SELECT over the sources, for one window of time."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import dataclasses
import datetime
import re
from collections.abc import Sequence
from typing import Any

import duckdb

from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.clock import windows
from kfp_ct.components.ingest.sql_text import PARAMETERS, TOKEN
from kfp_ct.data import user_code
from kfp_ct.data.tables import database
from kfp_ct.data.tables.quoting import identifier

_TEMPORAL = ("DATE", "TIMESTAMP")


@dataclasses.dataclass(frozen=True)
class Window:
    """A span of time, start inclusive, end exclusive; without zone, in UTC where one was given."""

    start: datetime.datetime | None = None
    end: datetime.datetime | None = None

    def to_json(self) -> dict[str, str]:
        """Returns the bounds as ISO 8601, empty where unbounded."""
        return {"start": _text(self.start), "end": _text(self.end)}

    def __str__(self) -> str:
        """Says the window as users write it."""
        return f"from {_text(self.start) or 'the beginning'} up to {_text(self.end) or 'the end'}"


@dataclasses.dataclass(frozen=True)
class Query:
    """A SELECT with DuckDB's named parameters, and the values of those it uses."""

    file: str
    sql: str
    parameters: dict[str, datetime.datetime | None]


def parse_window(start: str, end: str) -> Window:
    """Reads the two bounds of a window; a start such as `last 90 days` counts from the end, or from now."""
    return Window(*windows.bounds(start, end, datetime.datetime.now(datetime.UTC)))


def read(file: str, window: Window) -> Query:
    """Reads a query file for DuckDB and binds the window to it.

    Raises:
        ConfigurationError: There is no such file, or it names an unknown parameter.
    """
    return bind_window(file, window, TOKEN, "CAST(${} AS TIMESTAMP)")


def bind_window(file: str, window: Window, token: re.Pattern[str], form: str) -> Query:
    """Reads a query file and binds the window to it.

    Args:
        file: The file.
        window: Values of the parameters.
        token: Matches what holds no parameter, and parameters with their `name`.
        form: How the engine writes a parameter.

    Raises:
        ConfigurationError: There is no such file, or it names an unknown parameter.
    """
    used: set[str] = set()

    def written(match: re.Match[str]) -> str:
        name = match["name"]
        if not name:
            return match[0]
        if name not in PARAMETERS:
            raise ConfigurationError(f"{file} uses @{name}\nexpected: @window_start and @window_end only")
        used.add(name)
        return form.format(name)

    sql = token.sub(written, user_code.read_text(file, "query"))
    values = dict(zip(PARAMETERS, (window.start, window.end), strict=True))
    return Query(file, sql, {name: values[name] for name in sorted(used)})


def require_window(queries: Sequence[Query], window: Window) -> None:
    """Raises `ConfigurationError` where a bound of the window is given, but none of the queries uses it."""
    for name, value in zip(PARAMETERS, (window.start, window.end), strict=True):
        if value and not any(name in query.parameters for query in queries):
            files = ", ".join(query.file for query in queries)
            raise ConfigurationError(
                f"{name} is given, but {files} does not use it\nexpected: a condition on @{name}\n"
                f"fix: add it to the query's WHERE (start inclusive, end exclusive), or leave {name} empty"
            )


def require_select(connection: duckdb.DuckDBPyConnection, query: Query) -> Query:
    """Returns the query without a closing semicolon.

    Raises:
        ConfigurationError: The file holds anything but one SELECT.
    """
    try:
        statements = connection.extract_statements(query.sql)
    except duckdb.Error as error:
        raise query_error(query, error) from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ConfigurationError(
            f"{query.file} holds {len(statements)} statements, or one that is no SELECT\n"
            "expected: one SELECT over the sources\nfix: put earlier steps into WITH clauses"
        )
    return dataclasses.replace(query, sql=statements[0].query.strip().rstrip(";"))


def columns(connection: duckdb.DuckDBPyConnection, query: Query) -> dict[str, str]:
    """Returns the names and SQL types of the result's columns.

    Raises:
        ConfigurationError: The query is not valid, or two columns have one name.
    """
    try:
        described = _described(connection, query)
    except duckdb.Error as error:
        raise query_error(query, error) from error
    lower = [name.lower() for name, _ in described]
    if twice := sorted({name for name, _ in described if lower.count(name.lower()) > 1}):
        raise ConfigurationError(
            f"{query.file}: more than one column is named {', '.join(twice)}\n"
            "expected: a name of its own for every column, upper and lower case being the same\n"
            f"fix: rename with AS, e.g. weather.{twice[0]} AS weather_{twice[0]}"
        )
    return dict(described)


def _described(connection: duckdb.DuckDBPyConnection, query: Query) -> list[tuple[str, str]]:
    """Returns names and types; names as the query writes them, which DESCRIBE takes from a source's column instead."""
    types = database.rows(connection, f"DESCRIBE {query.sql}", query.parameters)
    if len({name.lower() for name, *_ in types}) < len(types):
        return [row[:2] for row in types]
    connection.execute(f"CREATE TEMP TABLE ct_names AS {query.sql} WITH NO DATA", query.parameters)
    names = database.rows(connection, "SELECT name FROM pragma_table_info('ct_names') ORDER BY cid")
    connection.execute("DROP TABLE ct_names")
    return [(name, type_name) for (name,), (_, type_name, *_) in zip(names, types, strict=True)]


def query_error(query: Query, error: duckdb.Error) -> ConfigurationError:
    """Returns DuckDB's complaint about the query as the user's error."""
    message = str(error).replace("CAST($window_start AS TIMESTAMP)", "@window_start")
    message = message.replace("CAST($window_end AS TIMESTAMP)", "@window_end")
    is_text = "VARCHAR and type TIMESTAMP" in message
    fix = "cast the text to TIMESTAMPTZ, which keeps an offset" if is_text else "correct the query"
    return ConfigurationError(
        f"{query.file} is not a valid query: {database.first_line(error)}\n"
        + "\n".join(line for line in message.split("\n\n", 1)[-1].splitlines() if line.startswith("LINE "))
        + "\nexpected: DuckDB's SQL over the tables and columns of sources"
        + f"\nfix: {fix}"
    )


def no_rows_error(connection: duckdb.DuckDBPyConnection, query: Query, window: Window, types: dict[str, str]) -> Any:
    """Returns the error for a query without rows; it tells what there would be without a window."""
    temporal = [name for name, type_name in types.items() if type_name.startswith(_TEMPORAL)]
    ranges = "".join(f", min({identifier(name)})::VARCHAR, max({identifier(name)})::VARCHAR" for name in temporal)
    unbound = dict.fromkeys(query.parameters)
    count, *bounds = database.row(connection, f"SELECT count(*){ranges} FROM ({query.sql}\n)", unbound)
    present = ", ".join(f"{name} {bounds[2 * n]} to {bounds[2 * n + 1]}" for n, name in enumerate(temporal))
    known = f"without a window it has {count:,}{f' ({present})' if present else ''}" if count else "with any window"
    return DataError(
        f"{query.file} has no rows in the window {window}\n"
        f"expected: at least one row; {known if count else 'it has none without a window either'}\n"
        "fix: choose a window the data covers, or fetch newer data"
    )


def _text(instant: datetime.datetime | None) -> str:
    return instant.isoformat() if instant else ""
