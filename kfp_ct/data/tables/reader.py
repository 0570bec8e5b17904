"""The one reader of users' files: CSV, JSON Lines and Parquet become a table whose types are those of all values."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import dataclasses
from pathlib import Path

import duckdb

from kfp_ct.base.errors import DataError
from kfp_ct.data.tables import csv_source, database, file_columns, files, jsonl_source, parquet_source, unpacking
from kfp_ct.data.tables.csv_settings import Csv
from kfp_ct.data.tables.files import DataFile
from kfp_ct.data.tables.quoting import identifier
from kfp_ct.data.tables.reading import Loaded, Table

# Lines of JSON have no quotes around line ends.
_LINES = Csv(quote="")


def load(connection: duckdb.DuckDBPyConnection, table: Table, folder: Path) -> Loaded:
    """Makes a table (or a view) of files; rows that cannot be read go to `ct.rejects`.

    Args:
        connection: A database of `database.open_database`.
        table: The table; of any format but TFRecord.
        folder: Scratch folder.

    Raises:
        DataError: The files are unreadable as a whole, or do not fit each other.
    """
    marked = file_columns.wanted(table)
    reading = dataclasses.replace(table.reading, file=file_columns.FILE if marked else "")
    try:
        if table.format == files.PARQUET:
            parquet_source.load(connection, table.name, table.files, reading.file)
            if marked:
                found = [DataFile(file.resolve(), file.name, origin=file) for file in table.files]
                file_columns.add(connection, table, file_columns.names_of_files(table, found))
            return loaded(connection, table.name, [file.resolve() for file in table.files])
        unpacked = unpacking.unpack(table.name, table.files, folder)
        if table.format == files.JSONL:
            text = unpacking.as_text(table.name, unpacked, folder, _LINES)
            marks = jsonl_source.load(connection, table.name, text, reading)
        else:
            text = unpacking.as_text(table.name, unpacked, folder, table.reading.csv)
            marks = csv_source.load(connection, table.name, text, reading)
        if marked:
            file_columns.add(connection, table, file_columns.names_of_files(table, text))
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException) as error:
        raise DataError(f"source {table.name} cannot be read: {database.first_line(error)}") from error
    return loaded(connection, table.name, [], marks)


def loaded(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    readable: list[Path],
    marks: dict[str, dict[str, int]] | None = None,
) -> Loaded:
    """Returns what became of a source."""
    (rows,) = database.row(connection, f"SELECT count(*) FROM {identifier(source)}")
    (rejected,) = database.row(
        connection, "SELECT coalesce(sum(lost), 0)::BIGINT FROM ct.rejects WHERE source = ?", [source]
    )
    return Loaded(rows, rejected, readable, marks or {})
