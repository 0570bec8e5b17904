"""JSON Lines files become a table: each line is taken apart by itself, so that a bad one harms no other."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (database.identifier, database.literal)

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from kfp_ct.base.errors import DataError
from kfp_ct.components.ingest import column_types, database
from kfp_ct.components.ingest.column_types import FITTING_SHARE, SAMPLE_ROWS, Sample
from kfp_ct.components.ingest.csv_source import Reading
from kfp_ct.components.ingest.database import identifier, literal
from kfp_ct.components.ingest.files import DataFile, demand_names

MAX_LINE_BYTES = 1 << 24
# JSON has no bare control characters, so no line splits at this one.
_SEPARATOR = "chr(1)"
_OBJECT = "CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE false END"


def load(connection: duckdb.DuckDBPyConnection, source: str, files: Sequence[DataFile], reading: Reading) -> None:
    """Makes a table of JSON Lines files (an object a line; empty lines are skipped).

    A line that is no JSON object, or a value that does not fit its column's type, goes to `ct.rejects`.

    Raises:
        DataError: No line has a declared column, or no line is an object.
    """
    _stage_lines(connection, files)
    guessed = _guess(connection, reading)
    _demand_columns(connection, source, guessed, reading.types)
    types = guessed | dict(reading.types)
    demand_names(source, "an object", list(types))
    if not types:
        raise DataError(f"source {source}: no line is a JSON object\nexpected: one object a line, as in JSON Lines")
    _make_table(connection, source, types, reading.null_values)
    _collect_rejects(connection, source, files, types)
    connection.execute("DROP TABLE ct.lines")


def _stage_lines(connection: duckdb.DuckDBPyConnection, files: Sequence[DataFile]) -> None:
    paths = database.literals([str(file.path) for file in files])
    connection.execute(
        f"CREATE TABLE ct.lines AS SELECT filename AS file, line, {_OBJECT} AS is_object"
        f" FROM read_csv({paths}, auto_detect = false, header = false, delim = {_SEPARATOR}, quote = '', escape = '',"
        f" columns = {{'line': 'VARCHAR'}}, null_padding = false, filename = true, max_line_size = {MAX_LINE_BYTES})"
    )


def _pointer(key: str) -> str:
    """Returns a JSON pointer (RFC 6901) to a key, whatever its characters."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _guess(connection: duckdb.DuckDBPyConnection, reading: Reading) -> dict[str, str]:
    """Guesses the columns and their types from the first lines."""
    lines = f"(SELECT rowid AS line_number, line FROM ct.lines WHERE is_object LIMIT {SAMPLE_ROWS})"
    nulls = database.literals(list(reading.null_values)) + "::VARCHAR[]"
    values = (
        f"(SELECT e.key, e.type, e.value, e.value->>'$' AS text FROM {lines}, json_each(line) e"
        f" WHERE e.type <> 'NULL' AND NOT (e.type = 'VARCHAR' AND list_contains({nulls}, e.value->>'$')))"
    )
    guessed = {key: _type(counts) for key, *counts in _tally(connection, values)}
    listed = [key for key, type_name in guessed.items() if type_name == "[]"]
    if listed:
        elements = (
            f"(SELECT v.key, e.type, e.value, e.value->>'$' AS text FROM {values} v, json_each(v.value) e"
            f" WHERE v.type = 'ARRAY' AND e.type <> 'NULL')"
        )
        inner = {key: _type(counts) for key, *counts in _tally(connection, elements)}
        guessed |= {key: "JSON" if inner.get(key) == "[]" else inner.get(key, "VARCHAR") + "[]" for key in listed}
    keys = database.rows(
        connection,
        f"SELECT e.key FROM {lines}, json_each(line) e GROUP BY e.key ORDER BY min((line_number, e.id))",
    )
    return {key: guessed.get(key, "VARCHAR") for (key,) in keys}


def _tally(connection: duckdb.DuckDBPyConnection, values: str) -> list[tuple[Any, ...]]:
    kinds = ("'UBIGINT', 'BIGINT', 'HUGEINT', 'UHUGEINT'", "'DOUBLE'", "'BOOLEAN'", "'VARCHAR'", "'ARRAY'", "'OBJECT'")
    counts = ", ".join(f"count(*) FILTER (type IN ({kind}))" for kind in kinds)
    text = "CASE WHEN type = 'VARCHAR' THEN text END"
    return database.rows(
        connection,
        f"SELECT key, count(*), {counts}, {column_types.sample_counts(text)} FROM {values} GROUP BY key ORDER BY key",
    )


def _type(counts: Sequence[int]) -> str:
    total, integers, doubles, booleans, strings, arrays, objects, *texts = counts
    enough = FITTING_SHARE * total
    if integers + doubles >= enough:
        return "DOUBLE" if doubles else "BIGINT"
    if strings >= enough:
        # A number in quotes is a text, for its author meant it so; dates have no other way to be written.
        return dataclasses.replace(Sample(*texts), numbers=0, booleans=0).guess()
    if booleans >= enough:
        return "BOOLEAN"
    if arrays >= enough:
        return "[]"
    return "JSON" if objects else "VARCHAR"


def _demand_columns(
    connection: duckdb.DuckDBPyConnection, source: str, found: Mapping[str, str], declared: Mapping[str, str]
) -> None:
    for column in declared.keys() - found.keys():
        exists = f"is_object AND json_exists(line, {literal(_pointer(column))})"
        if not database.row(connection, f"SELECT count(*) FROM ct.lines WHERE {exists}")[0]:
            raise DataError(
                f"source {source}: no line has the key {column}\n"
                f"expected: every column of sources.{source}.columns; present are {', '.join(found)}\n"
                f"fix: correct the file, or sources.{source}.columns"
            )


def _make_table(
    connection: duckdb.DuckDBPyConnection, source: str, types: Mapping[str, str], null_values: Sequence[str]
) -> None:
    """Converts every line; a row's first value that does not fit is remembered in `ct_bad`."""
    pointers = database.literals([_pointer(column) for column in types])
    nulls = database.literals(list(null_values)) + "::VARCHAR[]"
    texts, values, tests = [], [], []
    for number, (column, type_name) in enumerate(types.items(), 1):
        text, value = f"ct_t{number}", identifier(column)
        taken = "" if type_name == "JSON" else "->>'$'"
        texts.append(
            f"CASE WHEN list_contains({nulls}, v[{number}]->>'$') THEN NULL ELSE v[{number}]{taken} END {text}"
        )
        values.append(f"{column_types.cast_expression(text, type_name)} AS {value}")
        tests.append(f"WHEN {text} IS NOT NULL AND {value} IS NULL THEN {number}")
    scratch = ", ".join(f"ct_t{number}" for number in range(1, len(types) + 1))
    connection.execute(
        f"""CREATE TABLE ct.{identifier("raw_" + source)} AS
        SELECT * EXCLUDE ({scratch}), CASE {" ".join(tests)} END AS ct_bad
        FROM (SELECT *, {", ".join(values)}
              FROM (SELECT ct_line, {", ".join(texts)}
                    FROM (SELECT rowid AS ct_line, json_extract(line, {pointers}) AS v
                          FROM ct.lines WHERE is_object)))"""
    )
    connection.execute(
        f"CREATE VIEW {identifier(source)} AS SELECT * EXCLUDE (ct_line, ct_bad)"
        f" FROM ct.{identifier('raw_' + source)} WHERE ct_bad IS NULL"
    )


def _collect_rejects(
    connection: duckdb.DuckDBPyConnection, source: str, files: Sequence[DataFile], types: Mapping[str, str]
) -> None:
    names = " ".join(f"WHEN {literal(str(file.path))} THEN {literal(file.known_as)}" for file in files)
    numbered = database.literals(list(types)) + "[ct_bad]"
    types_listed = database.literals(list(types.values())) + "[ct_bad]"
    connection.execute(
        f"""INSERT INTO ct.rejects
        SELECT {literal(source)}, CASE l.file {names} END, l.rowid - f.first + 1, {numbered},
               CASE WHEN is_object THEN 'the value of ' || {numbered} || ' is no ' || {types_listed}
                    ELSE 'not a JSON object' END, l.line, 1
        FROM ct.lines l
        JOIN (SELECT file, min(rowid) AS first FROM ct.lines GROUP BY file) f USING (file)
        LEFT JOIN ct.{identifier("raw_" + source)} r ON r.ct_line = l.rowid
        WHERE l.line IS NOT NULL AND (NOT is_object OR ct_bad IS NOT NULL)"""
    )
