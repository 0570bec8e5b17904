"""CSV files become a table: types guessed or declared, rows that do not fit set aside."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (database.identifier, database.literal)

import csv
import dataclasses
import gzip
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb

from kfp_ct.base import task_log
from kfp_ct.base.errors import DataError
from kfp_ct.components.ingest import column_types, database
from kfp_ct.components.ingest.column_types import EXACT_INTEGERS, INTEGERS, SAMPLE_ROWS, Sample
from kfp_ct.components.ingest.database import identifier, literal
from kfp_ct.components.ingest.files import DataFile, demand_names

DELIMITERS = ",\t;|"
# Columns that one statement counts.
COLUMNS_AT_ONCE = 20
# DuckDB keeps so much of a rejected line; a longer one may have swallowed any number of rows.
_KEPT_CHARACTERS = 10_000


@dataclasses.dataclass(frozen=True)
class Reading:
    """How values are read: the texts that mean missing (empty always does), and declared column types."""

    null_values: Sequence[str] = ()
    types: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the files' first lines tell: groups of files that have the same columns in the same order."""

    source: str
    delimiter: str
    columns: list[str]
    groups: dict[tuple[str, ...], list[DataFile]]


def load(connection: duckdb.DuckDBPyConnection, source: str, files: Sequence[DataFile], reading: Reading) -> None:
    """Makes a table of CSV files with a header line; rejected rows go to `ct.rejects`.

    Integers are first read as float64, because DuckDB's CSV reader rounds 1.5 to an integer: so fractions are
    noticed. Columns with integers too large for that are read once more as decimals.

    Raises:
        DataError: A file has no header, another header than the first, or lacks a declared column.
    """
    layout = _layout(source, files)
    _demand_columns(layout, reading.types)
    guessed = _guess(connection, layout, reading)
    types = {column: reading.types.get(column) or guessed[column] for column in layout.columns}
    exact: set[str] = set()
    _read(connection, layout, reading, _load_types(types, exact))
    exact = _large(connection, source, types)
    if exact:
        _read(connection, layout, reading, _load_types(types, exact))
    for column in _fractional(connection, source, [c for c in guessed if types[c] == "BIGINT"]):
        types[column] = "DOUBLE"
        task_log.progress(f"{source}.{column} holds fractions after its first {SAMPLE_ROWS:,} rows: read as a float")
    _demand_finite(connection, layout, reading, types)
    _collect_rejects(connection, layout)
    _make_view(connection, source, types, files)


def _layout(source: str, files: Sequence[DataFile]) -> Layout:
    delimiter = ""
    groups: dict[tuple[str, ...], list[DataFile]] = {}
    first: tuple[str, ...] = ()
    for file in files:
        delimiter, header = _header(source, file, delimiter)
        first = first or header
        if set(header) != set(first):
            odd = sorted(set(header) ^ set(first))
            raise DataError(
                f"source {source}: {file.known_as} has other columns than {files[0].known_as}: {', '.join(odd[:10])}\n"
                f"expected: {', '.join(first)}\nfix: correct the header, or narrow sources.{source}.uri to like files"
            )
        groups.setdefault(header, []).append(file)
    return Layout(source, delimiter, list(first), groups)


def _header(source: str, file: DataFile, delimiter: str) -> tuple[str, tuple[str, ...]]:
    """Reads the column names, and the delimiter where it is not known yet."""
    opener: Any = gzip.open if file.path.name.endswith(".gz") else open
    try:
        with opener(file.path, "rt", encoding="utf-8-sig", errors="replace", newline="") as lines:
            line = lines.readline()
            delimiter = delimiter or max(DELIMITERS, key=line.count)
            lines.seek(0)
            header = next(csv.reader(lines, delimiter=delimiter), [])
    except (OSError, EOFError, csv.Error) as error:
        raise DataError(f"source {source}: {file.known_as} cannot be read: {error}\nexpected: a CSV file") from error
    names = [name.strip() for name in header]
    if any("\ufffd" in name for name in names):
        raise DataError(f"source {source}: {file.known_as} is not in UTF-8\nfix: convert it (iconv -t utf-8)")
    if not any(names):
        raise DataError(f"source {source}: {file.known_as} is empty\nexpected: a first line with the column names")
    demand_names(source, file.known_as, names)
    return delimiter, tuple(names)


def _demand_columns(layout: Layout, declared: Mapping[str, str]) -> None:
    if missing := [column for column in declared if column not in layout.columns]:
        raise DataError(
            f"source {layout.source}: there is no column {', '.join(missing)}\n"
            f"expected: every column of sources.{layout.source}.columns; present are {', '.join(layout.columns)}\n"
            f"fix: correct the file, or sources.{layout.source}.columns"
        )


def _scan(layout: Layout, reading: Reading, types: Mapping[str, str], options: str) -> str:
    """Returns a SELECT over all files; nothing is left to DuckDB's guessing, which depends on the data."""
    nulls = database.literals(["", *reading.null_values])
    names = ", ".join(map(identifier, layout.columns))
    scans = []
    for header, files in layout.groups.items():
        columns = ", ".join(f"{literal(column)}: {literal(types.get(column, 'VARCHAR'))}" for column in header)
        scans.append(
            f"SELECT {names} FROM read_csv({database.literals([str(file.path) for file in files])},"
            f" auto_detect = false, header = true, delim = {literal(layout.delimiter)}, quote = '\"', escape = '\"',"
            f" columns = {{{columns}}}, nullstr = {nulls}, {options})"
        )
    return " UNION ALL ".join(scans)


def _guess(connection: duckdb.DuckDBPyConnection, layout: Layout, reading: Reading) -> dict[str, str]:
    """Guesses the types of the columns that are not declared from the first rows.

    Columns without a value there are looked at in all rows: an early gap must not make a number a text.
    """
    open_columns = [column for column in layout.columns if column not in reading.types]
    texts = _scan(layout, reading, {}, "ignore_errors = true")
    samples = _sample(connection, f"{texts} LIMIT {SAMPLE_ROWS}", open_columns)
    if unseen := [column for column, sample in samples.items() if not sample.values]:
        samples |= _sample(connection, texts, unseen)
    for column, sample in samples.items():
        if sample.guess() == "VARCHAR" and sample.numbers > sample.values / 2:
            task_log.progress(
                f"{layout.source}.{column} is read as text: only {sample.numbers / sample.values:.0%} numbers"
            )
    return {column: sample.guess() for column, sample in samples.items()}


def _sample(connection: duckdb.DuckDBPyConnection, texts: str, columns: Sequence[str]) -> dict[str, Sample]:
    if not columns:
        return {}
    # The files are read once: of a table, a statement reads only the columns it names.
    names = ", ".join(map(identifier, columns))
    connection.execute(f"CREATE TEMP TABLE sampled AS SELECT {names} FROM ({texts})")
    counts = {column: column_types.sample_counts(identifier(column)) for column in columns}
    counted = _aggregated(connection, "sampled", counts)
    connection.execute("DROP TABLE sampled")
    return {column: Sample(*counted[column]) for column in columns}


def _aggregated(
    connection: duckdb.DuckDBPyConnection, table: str, aggregates: Mapping[str, str]
) -> dict[str, tuple[Any, ...]]:
    """Returns what the aggregates of each column are, equally many a column, some columns at a time.

    DuckDB's planning takes quadratic time in a statement's expressions: 2,000 columns at once take more than a minute.
    """
    found: dict[str, tuple[Any, ...]] = {}
    columns = list(aggregates)
    for first in range(0, len(columns), COLUMNS_AT_ONCE):
        names = columns[first : first + COLUMNS_AT_ONCE]
        values = database.row(connection, f"SELECT {', '.join(aggregates[n] for n in names)} FROM {table}")
        width = len(values) // len(names)
        found |= {name: values[n * width : (n + 1) * width] for n, name in enumerate(names)}
    return found


def _load_types(types: Mapping[str, str], exact: set[str]) -> dict[str, str]:
    """Returns what the CSV reader is told: wider types than asked for, so that what does not fit is seen."""
    wide = {"FLOAT": "DOUBLE"} | dict.fromkeys(INTEGERS, "DOUBLE")
    return {column: "DECIMAL(38, 9)" if column in exact else wide.get(t, t) for column, t in types.items()}


def _raw(source: str) -> str:
    return f"ct.{identifier('raw_' + source)}"


def _read(connection: duckdb.DuckDBPyConnection, layout: Layout, reading: Reading, types: Mapping[str, str]) -> None:
    connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    # No limit on rejects: they are counted, and their table spills like any other.
    scan = _scan(layout, reading, types, "store_rejects = true, rejects_limit = 0")
    connection.execute(f"CREATE OR REPLACE TABLE {_raw(layout.source)} AS {scan}")


def _matching(connection: duckdb.DuckDBPyConnection, source: str, conditions: Mapping[str, str]) -> dict[str, int]:
    """Counts the rows where the condition on a column holds; columns without any are left out."""
    counts = {column: f"count(*) FILTER ({condition})" for column, condition in conditions.items()}
    counted = _aggregated(connection, _raw(source), counts)
    return {column: count for column, (count,) in counted.items() if count}


def _where(columns: Iterable[str], condition: str) -> dict[str, str]:
    """Writes a condition, on a column `{c}`, of each column."""
    return {column: condition.format(c=identifier(column)) for column in columns}


def _large(connection: duckdb.DuckDBPyConnection, source: str, types: Mapping[str, str]) -> set[str]:
    integers = [column for column, type_name in types.items() if type_name in INTEGERS]
    large = _where(integers, f"abs({{c}}) >= {EXACT_INTEGERS} AND isfinite({{c}})")
    return set(_matching(connection, source, large))


def _fractional(connection: duckdb.DuckDBPyConnection, source: str, columns: Sequence[str]) -> list[str]:
    """Returns the guessed integer columns that turn out to hold fractions: they are float columns."""
    return list(_matching(connection, source, _where(columns, "{c} <> trunc({c})")))


def _demand_finite(
    connection: duckdb.DuckDBPyConnection, layout: Layout, reading: Reading, types: Mapping[str, str]
) -> None:
    """Refuses numbers beyond float64, which DuckDB reads as infinite; a written `inf` is a value."""
    floats = [column for column, type_name in types.items() if type_name in ("DOUBLE", "FLOAT")]
    infinite = _matching(connection, layout.source, _where(floats, "isinf({c})"))
    texts = _scan(layout, reading, {}, "ignore_errors = true")
    for column in infinite:
        text = identifier(column)
        overflowed = database.rows(
            connection,
            f"SELECT {text} FROM ({texts}) WHERE isinf(TRY_CAST({text} AS DOUBLE))"
            f" AND NOT contains(lower({text}), 'inf') LIMIT 1",
        )
        if overflowed:
            raise DataError(
                f"source {layout.source}: column {column} holds {overflowed[0][0]}, which is too large for a number\n"
                f"expected: numbers below 1.8e308\nfix: correct it, or declare {column} VARCHAR in "
                f"sources.{layout.source}.columns"
            )


def _collect_rejects(connection: duckdb.DuckDBPyConnection, layout: Layout) -> None:
    """Moves what DuckDB's reader rejected to `ct.rejects`, one entry a row."""
    swallowed = database.rows(
        connection,
        "SELECT s.file_path, e.line FROM reject_errors e JOIN reject_scans s USING (scan_id, file_id)"
        f" WHERE e.error_type IN ('UNQUOTED VALUE', 'LINE SIZE OVER MAXIMUM')"
        f" AND length(e.csv_line) >= {_KEPT_CHARACTERS} ORDER BY ALL LIMIT 1",
    )
    known_as = {str(file.path): file.known_as for group in layout.groups.values() for file in group}
    if swallowed:
        path, line = swallowed[0]
        raise DataError(
            f"source {layout.source}: a quote in {known_as[path]} line {line} is never closed, "
            "and the rows after it cannot be told apart\n"
            "expected: quotes in pairs, a quote within a value doubled\nfix: correct that line"
        )
    names = " ".join(f"WHEN {literal(path)} THEN {literal(name)}" for path, name in known_as.items())
    connection.execute(
        # A quote that is closed lines later has swallowed those lines too.
        f"""INSERT INTO ct.rejects
        SELECT {literal(layout.source)}, CASE s.file_path {names} END, e.line, e.column_name, e.error_message,
               rtrim(e.csv_line, chr(10) || chr(13)),
               CASE WHEN e.error_type = 'UNQUOTED VALUE' THEN 1 + length(rtrim(e.csv_line, chr(10) || chr(13)))
                    - length(replace(rtrim(e.csv_line, chr(10) || chr(13)), chr(10), '')) ELSE 1 END
        FROM (SELECT DISTINCT ON (scan_id, file_id, line) * FROM reject_errors
              ORDER BY scan_id, file_id, line, column_idx) e
        JOIN reject_scans s USING (scan_id, file_id)"""
    )
    connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")


def _make_view(
    connection: duckdb.DuckDBPyConnection, source: str, types: Mapping[str, str], files: Sequence[DataFile]
) -> None:
    """Gives the raw table its types; rows with a fraction or an overflow where an integer is due are set aside."""
    table = identifier(source)
    tests = {
        column: f"({c} <> trunc({c}) OR ({c} IS NOT NULL AND TRY_CAST({c} AS {type_name}) IS NULL))"
        for column, type_name in types.items()
        if type_name in INTEGERS and (c := identifier(column))
    }
    bad = {column: tests[column] for column in _matching(connection, source, tests)}
    columns = ", ".join(
        f"CAST({c} AS {type_name}) AS {c}" if type_name in INTEGERS else c
        for column, type_name in types.items()
        if (c := identifier(column))
    )
    kept = f" WHERE NOT coalesce({' OR '.join(bad.values())}, false)" if bad else ""
    file = files[0].known_as if len(files) == 1 else f"one of {len(files)} files"
    earlier: list[str] = []
    for column, test in bad.items():
        others = "".join(f" AND NOT coalesce({e}, false)" for e in earlier)
        connection.execute(
            f"INSERT INTO ct.rejects SELECT {literal(source)}, {literal(file)}, NULL, {literal(column)},"
            f" 'the number ' || {identifier(column)} || ' is no {types[column]}', to_json(r)::VARCHAR, 1"
            f" FROM {_raw(source)} r WHERE {test}{others}"
        )
        earlier.append(test)
    connection.execute(f"CREATE VIEW {table} AS SELECT {columns} FROM {_raw(source)}{kept}")
