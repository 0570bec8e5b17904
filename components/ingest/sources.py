"""Makes a table of each source, and judges how many of its rows could not be read."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (database.identifier, database.literal)

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.ingest import column_types, csv_source, database, files, jsonl_source
from kfp_ct.components.ingest.database import identifier, literal
from kfp_ct.components.ingest.warehouse import Warehouse

QUARANTINE = "quarantine.jsonl"
# The quarantine is for a person to read: so many rows, and so much of each, are kept.
QUARANTINE_ROWS, QUARANTINE_CHARACTERS = 10_000, 2_000


@dataclasses.dataclass(frozen=True)
class Source:
    """What a user says of one table."""

    name: str
    uri: str = ""
    format: str = ""
    null_values: tuple[str, ...] = ()
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    bigquery: str = ""

    @property
    def origin(self) -> str:
        """Where the rows come from, for people."""
        return f"bigquery:{self.bigquery}" if self.bigquery else self.uri


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A source that has become a table: rows read and rows rejected, and files that are still read from."""

    rows: int
    rejected: int
    files: list[Path]


def parse(sources: Mapping[str, Any]) -> list[Source]:
    """Checks what users wrote under `sources`.

    Raises:
        ConfigurationError: There is none, or one is neither a URI nor an object with the known fields.
    """
    if not sources:
        raise ConfigurationError("no sources are given\nexpected: sources: {table name: URI}")
    return [_parse_one(name, described) for name, described in sources.items()]


def load(connection: duckdb.DuckDBPyConnection, source: Source, folder: Path, warehouse: Warehouse) -> Loaded:
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


def _parse_one(name: str, described: Any) -> Source:
    fields = {"uri": described} if isinstance(described, str) else described
    known = {field.name for field in dataclasses.fields(Source)} - {"name"}
    places = [fields.get(place) for place in ("uri", "bigquery")] if isinstance(fields, Mapping) else []
    if not isinstance(fields, Mapping) or [bool(place) for place in places].count(True) != 1:
        raise _source_error(name, f"it is {described!r}")
    if not all(isinstance(place, str) for place in places if place):
        raise _source_error(name, f"it is {described!r}")
    if fields.get("bigquery") and len(fields) > 1:
        raise _source_error(name, "beside bigquery there is nothing to say: its columns have types")
    if unknown := set(fields) - known:
        raise _source_error(name, f"it has {', '.join(sorted(unknown))}")
    nulls, columns = fields.get("null_values") or [], fields.get("columns") or {}
    if not isinstance(columns, Mapping) or not isinstance(nulls, list) or not all(isinstance(n, str) for n in nulls):
        raise _source_error(name, "null_values or columns are of another type")
    if (format := fields.get("format") or "") not in ("", *files.FORMATS):
        raise _source_error(name, f"its format is {format!r}")
    types = {column: column_types.normalize(name, column, declared) for column, declared in columns.items()}
    return Source(name, fields.get("uri", ""), format, tuple(nulls), types, fields.get("bigquery", ""))


def _source_error(name: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"source {name} is not described rightly: {reason}\n"
        f"expected: a URI, or an object with uri, format ({', '.join(files.FORMATS)}), null_values (list of texts) "
        "and columns (name to SQL type); or an object with bigquery: project.dataset.table, or an .sql file\n"
        f"fix: correct sources.{name} in the settings file"
    )


def _reading(source: Source) -> csv_source.Reading:
    return csv_source.Reading(source.null_values, source.columns)


def _load_tfrecord(
    connection: duckdb.DuckDBPyConnection, source: Source, found: list[Path], folder: Path
) -> list[Path]:
    _demand_no_types(source, "TFRecord")
    # Imported here: it needs TensorFlow, which takes seconds that other formats need not wait for.
    from kfp_ct.components.ingest import tfrecord_source

    return tfrecord_source.load(connection, source.name, found, folder / f"{source.name}-tfrecord")


def _demand_no_types(source: Source, format: str) -> None:
    if source.columns or source.null_values:
        raise _source_error(
            source.name, f"columns and null_values are for CSV and JSON Lines, {format} has its own types"
        )


def _view_parquet(connection: duckdb.DuckDBPyConnection, source: Source, found: list[Path]) -> None:
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
