"""JSON Lines files become a table: each line is taken apart by itself, so that a bad one harms no other."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import dataclasses
from collections.abc import Mapping, Sequence

import duckdb

from kfp_ct.base.errors import DataError
from kfp_ct.data.tables import database, json_kinds, quoting, text_table
from kfp_ct.data.tables.files import DataFile, require_columns, require_names
from kfp_ct.data.tables.json_kinds import LIST
from kfp_ct.data.tables.quoting import identifier, literal
from kfp_ct.data.tables.reading import Reading
from kfp_ct.data.tables.text_table import Column, RawColumn, TextTable

MAX_LINE_BYTES = 1 << 24
# JSON has no bare control characters, so no line splits at this one.
_SEPARATOR = "chr(1)"
_OBJECT = "CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE false END"


def load(
    connection: duckdb.DuckDBPyConnection, source: str, files: Sequence[DataFile], reading: Reading
) -> dict[str, dict[str, int]]:
    """Makes a table of JSON Lines files (an object a line; empty lines are skipped).

    A line that is no JSON object, or a value that does not fit its column's type, goes to `ct.rejects`.

    Returns:
        Of each column, the texts that were read as a missing value, and how often.

    Raises:
        DataError: No line has a declared column, or no line is an object.
    """
    _stage_lines(connection, files)
    keys = _keys(connection)
    require_columns(source, "no line has the key", keys, reading.types)
    require_names(source, "an object", keys)
    if not keys:
        raise DataError(f"source {source}: no line is a JSON object\nexpected: one object a line, as in JSON Lines")
    table = TextTable(source, f"ct.{identifier('raw_' + source)}", ".", reading.null_values, reading.file)
    _stage_values(connection, table, keys)
    columns = [_column(connection, table, name, n, reading.types) for n, name in enumerate(keys)]
    _collect_rejects(connection, table, files, columns)
    text_table.make_view(connection, table, columns)
    connection.execute("DROP TABLE ct.lines")
    return text_table.null_marks(connection, table, columns)


def _stage_lines(connection: duckdb.DuckDBPyConnection, files: Sequence[DataFile]) -> None:
    paths = quoting.paths([file.path for file in files])
    connection.execute(
        "CREATE TABLE ct.lines AS SELECT *, is_object AND len(keys) <> len(list_distinct(keys)) AS is_ambiguous"
        f" FROM (SELECT filename AS file, line, {_OBJECT} AS is_object,"
        " CASE WHEN is_object THEN json_keys(line) END AS keys"
        f" FROM read_csv({paths}, auto_detect = false, header = false, delim = {_SEPARATOR}, quote = '', escape = '',"
        f" columns = {{'line': 'VARCHAR'}}, null_padding = false, filename = true, max_line_size = {MAX_LINE_BYTES}))"
    )


def _keys(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Returns the keys of all lines, in the order they first appear in."""
    found = database.rows(
        connection,
        "SELECT key FROM (SELECT rowid AS number, unnest(keys) AS key, generate_subscripts(keys, 1) AS place"
        " FROM ct.lines WHERE is_object) GROUP BY key ORDER BY min((number, place))",
    )
    return [key for (key,) in found]


def _pointer(key: str) -> str:
    """Returns a JSON pointer (RFC 6901) to a key, whatever its characters."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _stage_values(connection: duckdb.DuckDBPyConnection, table: TextTable, keys: Sequence[str]) -> None:
    """Makes a table of the values' texts and their JSON types, without those that are null."""
    pointers = quoting.literals([_pointer(key) for key in keys])
    values = ", ".join(
        f"nullif(json_type(v[{n + 1}]), 'NULL') AS t{n},"
        f" CASE json_type(v[{n + 1}]) WHEN 'NULL' THEN NULL WHEN 'VARCHAR' THEN v[{n + 1}]->>'$'"
        f" ELSE v[{n + 1}]::VARCHAR END AS c{n}"
        for n in range(len(keys))
    )
    file = f", file AS {identifier(table.file)}" if table.file else ""
    kept = f", {identifier(table.file)}" if table.file else ""
    connection.execute(
        f"CREATE TABLE {table.table} AS SELECT ct_line, {values}{kept} FROM (SELECT rowid AS ct_line{file},"
        f" json_extract(line, {pointers}) AS v FROM ct.lines WHERE is_object AND NOT is_ambiguous)"
    )


def _column(
    connection: duckdb.DuckDBPyConnection, table: TextTable, name: str, number: int, types: Mapping[str, str]
) -> Column:
    text, json_type = f"c{number}", f"t{number}"
    raw = RawColumn(name, text, f"{text}, {json_type}")
    if not (type_name := types.get(name, "")):
        found = text_table.found(connection, table, raw, json_kinds.kind(text, json_type), json_kinds.guess)
        if found.type not in (LIST, "JSON"):
            return found
        type_name = _list_type(connection, table, raw, json_type) if found.type == LIST else "JSON"
    if type_name == "JSON":
        whole = f"CASE {json_type} WHEN 'VARCHAR' THEN to_json({text})::VARCHAR ELSE {text} END"
        raw = dataclasses.replace(raw, text=whole)
    return text_table.declared(connection, table, raw, type_name)


def _list_type(connection: duckdb.DuckDBPyConnection, table: TextTable, raw: RawColumn, json_type: str) -> str:
    elements = (
        f"(SELECT e.type AS t, e.value->>'$' AS c FROM {table.table}, json_each({raw.text}) e"
        f" WHERE {json_type} = 'ARRAY' AND e.type <> 'NULL')"
    )
    within = TextTable(table.source, elements)
    found = text_table.found(
        connection, within, RawColumn(raw.name, "c", "c, t"), json_kinds.kind("c", "t"), json_kinds.guess
    )
    if found.type == LIST:  # of lists of lists, those within
        within_lists = RawColumn(raw.name, "c", "c, t")
        inner = _list_type(connection, within, within_lists, "t")
        return inner if inner == "JSON" else f"{inner}[]"
    return "JSON" if found.type == "JSON" else f"{found.type}[]"


def _collect_rejects(
    connection: duckdb.DuckDBPyConnection, table: TextTable, files: Sequence[DataFile], columns: Sequence[Column]
) -> None:
    names = " ".join(f"WHEN {literal(str(file.path))} THEN {literal(file.known_as)}" for file in files)
    numbered = f"""SELECT l.*, l.rowid AS ct_line, l.rowid - f.first + 1 AS number, CASE l.file {names} END AS known_as
        FROM ct.lines l JOIN (SELECT file, min(rowid) AS first FROM ct.lines GROUP BY file) f USING (file)"""
    connection.execute(
        f"""INSERT INTO ct.rejects SELECT {literal(table.source)}, known_as, number, NULL,
        CASE WHEN is_object THEN 'an object with a key twice' ELSE 'not a JSON object' END, line, 1
        FROM ({numbered}) WHERE line IS NOT NULL AND (NOT is_object OR is_ambiguous)"""
    )
    for column, condition in text_table.bad_rows(columns):
        reason = f"'the value of ' || {literal(column.name)} || ' is no {column.type}'"
        connection.execute(
            f"""INSERT INTO ct.rejects SELECT {literal(table.source)}, known_as, number, {literal(column.name)},
            {reason}, line, 1 FROM ({numbered}) JOIN {table.table} r USING (ct_line) WHERE {condition}"""
        )
