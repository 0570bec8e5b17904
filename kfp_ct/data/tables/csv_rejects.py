"""Lines of CSV files that cannot be read, with their numbers."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

from collections.abc import Iterator, Sequence
from typing import Any

import duckdb

from kfp_ct.base.errors import DataError
from kfp_ct.data.tables import csv_layout, database, text_table
from kfp_ct.data.tables.csv_layout import Layout
from kfp_ct.data.tables.files import DataFile
from kfp_ct.data.tables.quoting import literal
from kfp_ct.data.tables.text_table import Column, TextTable

# DuckDB keeps so much of a rejected line; a longer one may have swallowed any number of rows.
_KEPT_CHARACTERS = 10_000
# Rows with bad values that are listed one by one; the others are counted.
LISTED = 10_000


def collect_broken_lines(connection: duckdb.DuckDBPyConnection, layout: Layout) -> None:
    """Moves what DuckDB's reader rejected to `ct.rejects`, one entry a row.

    Raises:
        DataError: A quote is never closed.
    """
    swallowed = database.rows(
        connection,
        "SELECT s.file_path, e.line FROM reject_errors e JOIN reject_scans s USING (scan_id, file_id)"
        f" WHERE e.error_type IN ('UNQUOTED VALUE', 'LINE SIZE OVER MAXIMUM')"
        f" AND length(e.csv_line) >= {_KEPT_CHARACTERS} ORDER BY ALL LIMIT 1",
    )
    known_as = {str(file.path): file.known_as for file in layout.files}
    if swallowed:
        path, line = swallowed[0]
        raise DataError(
            f"source {layout.source}: a quote in {known_as[path]} line {line} is never closed, "
            "and the rows after it cannot be told apart\n"
            "expected: quotes in pairs, a quote within a value doubled\nfix: correct that line"
        )
    names = " ".join(f"WHEN {literal(path)} THEN {literal(name)}" for path, name in known_as.items())
    columns = " ".join(f"WHEN 'c{number}' THEN {literal(name)}" for number, name in enumerate(layout.columns))
    connection.execute(
        # A quote that is closed lines later has swallowed those lines too.
        f"""INSERT INTO ct.rejects
        SELECT {literal(layout.source)}, CASE s.file_path {names} END, e.line,
               CASE e.column_name {columns} END, e.error_message,
               rtrim(e.csv_line, chr(10) || chr(13)),
               CASE WHEN e.error_type = 'UNQUOTED VALUE' THEN 1 + length(rtrim(e.csv_line, chr(10) || chr(13)))
                    - length(replace(rtrim(e.csv_line, chr(10) || chr(13)), chr(10), '')) ELSE 1 END
        FROM (SELECT DISTINCT ON (scan_id, file_id, line) * FROM reject_errors
              ORDER BY scan_id, file_id, line, column_idx) e
        JOIN reject_scans s USING (scan_id, file_id)"""
    )
    connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")


def collect_bad_values(
    connection: duckdb.DuckDBPyConnection, layout: Layout, table: TextTable, columns: Sequence[Column]
) -> None:
    """Adds the rows with a value that does not fit to `ct.rejects`: the files are looked through for them again."""
    bad = text_table.bad_rows(columns)
    if not bad:
        return
    values = {column.name: _bad_values(connection, table, column, condition) for column, condition in bad}
    rows = sum(
        database.row(connection, f"SELECT count(*) FROM {table.table} WHERE {condition}")[0] for _, condition in bad
    )
    types = {column.name: column.type for column, _ in bad}
    listed: list[tuple[str, str, int | None, str, str, str, int]] = []
    for file, line, name, value, raw in _located(layout, values):
        listed.append((layout.source, file, line, name, f'"{value}" is no {types[name]}', raw, 1))
        if len(listed) == min(LISTED, rows):
            break
    if len(listed) < rows:
        others = f"{rows - len(listed):,} more rows with such values"
        listed.append((layout.source, layout.files[0].known_as, None, bad[0][0].name, others, "", rows - len(listed)))
    connection.executemany("INSERT INTO ct.rejects VALUES (?, ?, ?, ?, ?, ?, ?)", listed)


def _bad_values(
    connection: duckdb.DuckDBPyConnection, table: TextTable, column: Column, condition: str
) -> frozenset[str]:
    found = database.rows(
        connection, f"SELECT DISTINCT {column.text} FROM {table.table} WHERE {condition} ORDER BY 1 LIMIT {LISTED}"
    )
    return frozenset(value for (value,) in found)


def _located(layout: Layout, values: dict[str, frozenset[str]]) -> Iterator[tuple[str, int, str, str, str]]:
    """Yields file, line, column, value and text of the rows that have such a value; a row once."""
    for header, files in layout.groups.items():
        places = [(header.index(name), name) for name in values]
        for file in files:
            for line, record, raw in _records(layout, file):
                if len(record) != len(header):
                    continue
                hit = next(((name, record[place]) for place, name in places if record[place] in values[name]), None)
                if hit:
                    yield file.known_as, line, *hit, raw


def _records(layout: Layout, file: DataFile) -> Iterator[tuple[int, list[str], str]]:
    """Yields every record after the header with the number of its first line and its text."""
    kept: list[str] = []

    def remembering(lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            kept.append(line)
            yield line

    with csv_layout.open_text(file.path) as opened:
        reader: Any = csv_layout.records(remembering(opened), layout.delimiter, layout.quote)
        next(reader, None)
        kept.clear()
        first = reader.line_num + 1
        for record in reader:
            yield first + file.skipped, record, "".join(kept).rstrip("\r\n")
            kept.clear()
            first = reader.line_num + 1
