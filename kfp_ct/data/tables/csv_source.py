"""CSV files become a table: types are those of all values, rows that do not fit are set aside."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

from collections.abc import Mapping, Sequence

import duckdb

from kfp_ct.data.tables import csv_layout, csv_rejects, quoting, text_table, value_kinds
from kfp_ct.data.tables.csv_layout import Layout
from kfp_ct.data.tables.files import DataFile, require_columns
from kfp_ct.data.tables.quoting import identifier, literal
from kfp_ct.data.tables.reading import Reading
from kfp_ct.data.tables.text_table import Column, RawColumn, TextTable


def load(
    connection: duckdb.DuckDBPyConnection, source: str, files: Sequence[DataFile], reading: Reading
) -> dict[str, dict[str, int]]:
    """Makes a table of CSV files with a header line; rejected rows go to `ct.rejects`.

    Every value is read as a text; what all of a column's texts are decides its type.

    Returns:
        Of each column, the texts that were read as a missing value, and how often.

    Raises:
        DataError: A file has no header, another header than the first, or lacks a declared column.
    """
    layout = csv_layout.find(source, files, reading.csv)
    require_columns(layout.source, "there is no column", layout.columns, reading.types)
    table = TextTable(
        source, f"ct.{identifier('raw_' + source)}", reading.csv.decimal, reading.null_values, reading.file
    )
    _read(connection, layout, table)
    columns = _columns(connection, layout, table, reading.types)
    csv_rejects.collect_broken_lines(connection, layout)
    csv_rejects.collect_bad_values(connection, layout, table, columns)
    text_table.make_view(connection, table, columns)
    return text_table.null_marks(connection, table, columns)


def _read(connection: duckdb.DuckDBPyConnection, layout: Layout, table: TextTable) -> None:
    """Reads all files; nothing is left to DuckDB's guessing, which depends on the data."""
    scans = []
    file, option = (f", filename AS {identifier(table.file)}", " filename = true,") if table.file else ("", "")
    for header, files in layout.groups.items():
        columns = ", ".join(f"'c{layout.columns.index(name)}': 'VARCHAR'" for name in header)
        scans.append(
            f"SELECT {', '.join(f'c{number}' for number in range(len(header)))}{file}"
            f" FROM read_csv({quoting.paths([file.path for file in files])}, auto_detect = false,"
            f" header = true, delim = {literal(layout.delimiter)}, quote = {literal(layout.quote)},"
            f" escape = {literal(layout.quote)}, columns = {{{columns}}}, nullstr = [''],"
            f"{option}"
            # No limit on rejects: they are counted, and their table spills like any other.
            " store_rejects = true, rejects_limit = 0)"
        )
    connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    connection.execute(f"CREATE TABLE {table.table} AS {' UNION ALL '.join(scans)}")


def _columns(
    connection: duckdb.DuckDBPyConnection, layout: Layout, table: TextTable, types: Mapping[str, str]
) -> list[Column]:
    raws = [RawColumn(name, f"c{number}", f"c{number}") for number, name in enumerate(layout.columns)]
    guessed = [raw for raw in raws if raw.name not in types]
    counted = text_table.count_all(connection, table, guessed, lambda text: value_kinds.kind(text, table.decimal))
    kinds = {raw.name: found for raw, found in zip(guessed, counted, strict=True)}
    columns = []
    for raw in raws:
        if raw.name in types:
            columns.append(text_table.declared(connection, table, raw, types[raw.name]))
        else:
            kind = value_kinds.kind(raw.text, table.decimal)
            columns.append(text_table.typed(table, raw, kind, kinds[raw.name], value_kinds.guess))
    return columns
