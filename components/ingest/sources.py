"""Makes a table of each source, and judges how many of its rows could not be read."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (database.identifier, database.literal)

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.ingest import csv_source, database, files, jsonl_source
from kfp_ct.components.ingest.database import identifier, literal
from kfp_ct.components.ingest.settings import Source
from kfp_ct.components.ingest.warehouse import Warehouse

QUARANTINE = "quarantine.jsonl"
# The quarantine is for a person to read: so many rows, and so much of each, are kept.
QUARANTINE_ROWS, QUARANTINE_CHARACTERS = 10_000, 2_000


class NamedSource(Source):
    """A source with the name of the table it becomes."""

    name: str


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A source that has become a table: rows read and rows rejected, and files that are still read from."""

    rows: int
    rejected: int
    files: list[Path]


def named(sources: Mapping[str, Source]) -> list[NamedSource]:
    """Returns sources with their names."""
    return [NamedSource(name=name, **dict(source)) for name, source in sources.items()]


def load(connection: duckdb.DuckDBPyConnection, source: NamedSource, folder: Path, warehouse: Warehouse) -> Loaded:
    """Makes a table (or a view) named as the source; rows that cannot be read go to `ct.rejects`.

    Raises:
        DataError: The files are missing, unreadable as a whole, or without rows.
    """
    if source.bigquery:
        found, format = warehouse.fetch(source.bigquery, folder / f"{source.name}-bigquery"), files.PARQUET
    else:
        found = files.find(source.name, source.uri, folder)
        format = files.format_of(source.name, found, source.format)
    data_files = files.unpack(source.name, found, folder)
    try:
        readable = [file.resolve() for file in found] if format == files.PARQUET else []
        if format == files.TFRECORD:
            readable = _load_tfrecord(connection, source, found, folder)
        elif format == files.PARQUET:
            _view_parquet(connection, source, found)
        elif format == files.JSONL:
            jsonl_source.load(connection, source.name, data_files, _reading(source))
        else:
            csv_source.load(connection, source.name, data_files, _reading(source))
        (rows,) = database.row(connection, f"SELECT count(*) FROM {identifier(source.name)}")
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException) as error:
        raise DataError(f"source {source.name} cannot be read: {database.first_line(error)}") from error
    (rejected,) = database.row(
        connection, "SELECT coalesce(sum(lost), 0)::BIGINT FROM ct.rejects WHERE source = ?", [source.name]
    )
    if not rows + rejected:
        raise DataError(f"source {source.name} has no rows: {source.origin}\nexpected: at least one row of data")
    return Loaded(rows, rejected, readable)


def demand_readable(
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
                f"fix: correct the rows listed in {root / QUARANTINE}; or say what is right in the settings file: a "
                f"column's type in sources.{name}.columns, what means missing in sources.{name}.null_values, or a "
                "larger max_bad_fraction"
            )


def _reading(source: NamedSource) -> csv_source.Reading:
    return csv_source.Reading(source.null_values, source.columns)


def _load_tfrecord(
    connection: duckdb.DuckDBPyConnection, source: NamedSource, found: list[Path], folder: Path
) -> list[Path]:
    _demand_no_types(source, "TFRecord")
    # Imported here: it needs TensorFlow, which takes seconds that other formats need not wait for.
    from kfp_ct.components.ingest import tfrecord_source

    return tfrecord_source.load(connection, source.name, found, folder / f"{source.name}-tfrecord")


def _demand_no_types(source: NamedSource, format: str) -> None:
    if source.columns or source.null_values:
        raise ConfigurationError(
            f"sources.{source.name}: columns and null_values are for CSV and JSON Lines, {format} has its own types\n"
            f"fix: leave them out of sources.{source.name} in the settings file"
        )


def _view_parquet(connection: duckdb.DuckDBPyConnection, source: NamedSource, found: list[Path]) -> None:
    _demand_no_types(source, "Parquet")
    for file in found:
        try:
            names = pyarrow.parquet.read_schema(file).names
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"source {source.name}: {file.name} cannot be read as Parquet: {error}") from error
        files.demand_names(source.name, file.name, names)
    paths = database.literals([str(file.resolve()) for file in found])
    connection.execute(
        f"CREATE VIEW {identifier(source.name)} AS FROM read_parquet({paths}, hive_partitioning = false)"
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


def _worst_column(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """Says which column is to blame for most rejected rows, with an example."""
    column, count, file, line, reason = database.row(
        connection,
        "SELECT column_name, sum(lost)::BIGINT AS n, arg_min(file, line), min(line), arg_min(reason, line)"
        f" FROM (SELECT * REPLACE (coalesce(line, 0) AS line) FROM ct.rejects WHERE source = {literal(name)})"
        " GROUP BY column_name ORDER BY n DESC, column_name LIMIT 1",
    )
    where = f"{file} line {line}" if line else str(file)
    return f"most of them ({count:,}) for column {column or '(none)'}\nexample: {where}: {reason}"
