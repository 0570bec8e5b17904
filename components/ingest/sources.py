"""Makes a table of each source, and judges how many of its rows could not be read."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.ingest.settings import Source
from kfp_ct.components.ingest.warehouse import Warehouse
from kfp_ct.data.tables import database, files, reader
from kfp_ct.data.tables.csv_settings import Csv
from kfp_ct.data.tables.files import FoundFile
from kfp_ct.data.tables.quoting import literal
from kfp_ct.data.tables.reading import FromNames, Loaded, Reading, Table

QUARANTINE = "quarantine.jsonl"
# The quarantine is for a person to read: so many rows, and so much of each, are kept.
QUARANTINE_ROWS, QUARANTINE_CHARACTERS = 10_000, 2_000


class NamedSource(Source):
    """A source with the name of the table it becomes."""

    name: str


def named(sources: Mapping[str, Source]) -> list[NamedSource]:
    """Returns sources with their names."""
    return [NamedSource(name=name, **dict(source)) for name, source in sources.items()]


def load(connection: duckdb.DuckDBPyConnection, source: NamedSource, folder: Path, warehouse: Warehouse) -> Loaded:
    """Makes a table (or a view) named as the source; rows that cannot be read go to `ct.rejects`.

    Raises:
        DataError: The files are missing, unreadable as a whole, or without rows.
    """
    if source.bigquery:
        located = warehouse.fetch(source.bigquery, folder / f"{source.name}-bigquery", source.spans)
        format = files.PARQUET
    else:
        located = files.find(source.name, source.uri, folder, source.spans)
        format = files.format_of(source.name, [each.path for each in located], source.format)
    if format in (files.PARQUET, files.TFRECORD):
        _require_no_types(source, {files.PARQUET: "Parquet", files.TFRECORD: "TFRecord"}[format])
    if format == files.JSONL and source.csv != Csv():
        raise ConfigurationError(
            f"sources.{source.name}: csv is for CSV, and its files are JSON Lines\nfix: leave it out"
        )
    table = _table(source, located, format)
    if format == files.TFRECORD:
        loaded = _load_tfrecord(connection, table, folder)
    else:
        loaded = reader.load(connection, table, folder)
    if not loaded.rows + loaded.rejected:
        raise DataError(f"source {source.name} has no rows: {source.origin}\nexpected: at least one row of data")
    return loaded


def require_readable(
    connection: duckdb.DuckDBPyConnection, loaded: Mapping[str, Loaded], max_bad_fraction: float, root: Path
) -> None:
    """Writes the quarantine file and stops the run where too large a share of a source's rows is in it.

    Raises:
        DataError: More than `max_bad_fraction` of a source's rows could not be read.
    """
    if any(source.rejected for source in loaded.values()):
        _write_quarantine(connection, root / QUARANTINE)
    for name, source in loaded.items():
        total = source.rows + source.rejected
        if source.rejected > max_bad_fraction * total:
            raise DataError(
                f"source {name}: {source.rejected:,} of {total:,} rows cannot be read "
                f"({source.rejected / total:.1%}, allowed are {max_bad_fraction:.1%})\n"
                f"{_worst_column(connection, name)}\n"
                f"{_backslashes(connection, name)}"
                f"fix: correct the rows listed in {root / QUARANTINE}; or say what is right in the settings file: a "
                f"column's type in sources.{name}.columns, what means missing in sources.{name}.null_values, or a "
                "larger max_bad_fraction"
            )


def _table(source: NamedSource, found: Sequence[FoundFile], format: str) -> Table:
    names = FromNames({file.path: file.name for file in found}, source.file_column, source.hive_partitions)
    reading = Reading(source.null_values, source.columns, source.csv)
    return Table(source.name, [file.path for file in found], format, reading, names)


def _load_tfrecord(connection: duckdb.DuckDBPyConnection, table: Table, folder: Path) -> Loaded:
    # Imported here: it needs TensorFlow, which takes seconds that other formats need not wait for.
    from kfp_ct.components.ingest import tfrecord_source

    try:
        readable = tfrecord_source.load(connection, table, folder / f"{table.name}-tfrecord")
        return reader.loaded(connection, table.name, readable)
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException) as error:
        raise DataError(f"source {table.name} cannot be read: {database.first_line(error)}") from error


def _require_no_types(source: NamedSource, format: str) -> None:
    if source.columns or source.null_values or source.csv != Csv():
        raise ConfigurationError(
            f"sources.{source.name}: columns, null_values and csv are for text files, {format} has its own types\n"
            f"fix: leave them out of sources.{source.name} in the settings file"
        )


def _write_quarantine(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    (total,) = database.row(connection, "SELECT count(*) FROM ct.rejects")
    if total > QUARANTINE_ROWS:
        task_log.progress(f"{path.name} lists the first {QUARANTINE_ROWS:,} of {total:,} rejected rows")
    listed = connection.execute(
        "SELECT source, file, line, column_name, reason, left(raw, ?) FROM ct.rejects"
        " ORDER BY source, file, line, column_name, raw LIMIT ?",
        [QUARANTINE_CHARACTERS, QUARANTINE_ROWS],
    )
    with path.open("w", encoding="utf-8") as file:
        for values in listed.fetchall():
            entry = dict(zip(("source", "file", "line", "column", "reason", "raw"), values, strict=True))
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _backslashes(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """Says where quotes are escaped as Spark and MySQL write them, which no standard of CSV knows."""
    (count,) = database.row(
        connection,
        f"SELECT count(*) FROM ct.rejects WHERE source = {literal(name)} AND contains(raw, '\\\"')"
        " AND reason ILIKE '%quote%'",
    )
    return (
        f'{count:,} of them have quotes after backslashes: write a quote within a value twice (""; in Spark, '
        "option('escape', '\"'))\n"
        if count
        else ""
    )


def _worst_column(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """Says which column is to blame for most rejected rows, with an example."""
    column, count, file, line, reason = database.row(
        connection,
        "SELECT column_name, sum(lost)::BIGINT AS n, arg_min(file, place), min(line), arg_min(reason, place)"
        f" FROM (SELECT *, coalesce(line, {2**62}) AS place FROM ct.rejects WHERE source = {literal(name)})"
        " GROUP BY column_name ORDER BY n DESC, column_name LIMIT 1",
    )
    where = f"{file} line {line}" if line else str(file)
    blamed = f"column {column}" if column else "no one column"
    return f"most of them ({count:,}) for {blamed}\nexample: {where}: {reason}"
