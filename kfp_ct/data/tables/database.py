"""The DuckDB database that one ingestion works in: on disk, bounded in memory, closed to everything else."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from kfp_ct.base.errors import ComponentError
from kfp_ct.data.tables.quoting import literal, pattern

# Enough for a sort to run in large pieces; what does not fit is spilled to the folder.
MEMORY_LIMIT = "1GB"


@contextlib.contextmanager
def open_database(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Opens a database in an empty folder, where it also spills."""
    connection = duckdb.connect(
        folder / "ingest.duckdb",
        config={
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": str(folder / "spill"),
            # Nothing is fetched, and a table name never means a Python variable.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
        },
    )
    try:
        # Instants read the same on every machine.
        connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA ct")
        connection.execute(
            "CREATE TABLE ct.rejects (source VARCHAR, file VARCHAR, line BIGINT, column_name VARCHAR,"
            " reason VARCHAR, raw VARCHAR, lost BIGINT)"
        )
        yield connection
    except duckdb.OutOfMemoryException as error:
        raise ComponentError(
            f"ingest does not fit in {MEMORY_LIMIT} of memory and the free disk space: {first_line(error)}\n"
            "expected: a query whose joins and groups fit, and free space beside the output\n"
            "fix: select fewer columns or rows, aggregate before joining, or free disk space"
        ) from error
    finally:
        connection.close()


def close_to_other_files(connection: duckdb.DuckDBPyConnection, folder: Path, readable: list[Path]) -> None:
    """Lets SQL reach the output folder and the named files only.

    A query that read a file which is not a source would give data that no fingerprint of the sources covers.
    """
    # DuckDB looks a file up as it is named, and as it is called.
    paths = ", ".join(literal(name) for path in readable for name in dict.fromkeys((str(path), pattern(path))))
    connection.execute(f"SET allowed_directories = [{literal(str(folder))}]")
    connection.execute(f"SET allowed_paths = [{paths}]")
    connection.execute("SET enable_external_access = false")


def rows(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    """Returns the result of a statement, which must be small."""
    return connection.execute(sql, parameters).fetchall()


def row(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Any = None) -> tuple[Any, ...]:
    """Returns the one row of an aggregate."""
    return rows(connection, sql, parameters)[0]


def first_line(error: BaseException) -> str:
    """Returns DuckDB's message without its drawing of the statement."""
    return " ".join(str(error).split("\n\nLINE ")[0].split())
