"""Columns that the names of files say: the name itself, and Hive's partitions, folders such as `year=2013`."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import datetime
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import duckdb

from kfp_ct.base.errors import DataError
from kfp_ct.data.tables import database
from kfp_ct.data.tables.files import DataFile
from kfp_ct.data.tables.quoting import identifier
from kfp_ct.data.tables.reading import FromNames, Table

# The column of a table's rows that says which file they are of, until it is replaced by columns of users.
FILE = "ct file of the row"
_PARTITION = re.compile(r"([^/=]+)=([^/]*)")
# What Hive and Spark write for a missing value.
_MISSING = "__HIVE_DEFAULT_PARTITION__"
# As everywhere: a leading zero makes a text, and so do more digits than a number keeps.
_INTEGER = re.compile(r"0|-?[1-9]\d{0,17}")


def wanted(table: Table) -> bool:
    """Whether the names of a table's files say a column."""
    said = table.from_names
    if said is None:
        return False
    return bool(said.column) or (said.partitions and any(_partitions(name) for name in said.names.values()))


def names_of_files(table: Table, files: Sequence[DataFile]) -> dict[Path, str]:
    """Returns the names of files that were unpacked or rewritten, as users know them."""
    assert table.from_names is not None  # noqa: S101 - asked for only where it is wanted
    known = table.from_names.names
    return {file.path: known[file.origin or file.path] + (f"/{file.member}" if file.member else "") for file in files}


def add(connection: duckdb.DuckDBPyConnection, table: Table, names: Mapping[Path, str]) -> None:
    """Replaces the column `FILE` of a view by the columns that the names say.

    Args:
        connection: The database.
        table: The view's table.
        names: The name of each file, as users know it, by the path that the column holds.

    Raises:
        DataError: A file has such a column itself, or files have different partitions.
    """
    said = table.from_names
    assert said is not None  # noqa: S101 - called only where it is wanted
    values = _values(table.name, said, list(names.values()))
    present = [name for name, *_ in database.rows(connection, f"DESCRIBE {identifier(table.name)}") if name != FILE]
    _require_new(table.name, said, present, list(values))
    read, files = identifier(f"ct read {table.name}"), f"ct.{identifier(f'files_{table.name}')}"
    kinds = {column: _kind(texts) for column, texts in values.items()}
    declared = "".join(f", {identifier(column)} {kinds[column]}" for column in values)
    connection.execute(f"CREATE TABLE {files} ({identifier(FILE)} VARCHAR{declared})")
    rows = [(str(path), *(values[column][n] for column in values)) for n, path in enumerate(names)]
    connection.executemany(f"INSERT INTO {files} VALUES ({', '.join('?' * (len(values) + 1))})", rows)
    connection.execute(f"ALTER VIEW {identifier(table.name)} RENAME TO {read}")
    columns = ", ".join(
        [*(f"r.{identifier(name)}" for name in present), *(f"f.{identifier(column)}" for column in values)]
    )
    connection.execute(
        f"CREATE VIEW {identifier(table.name)} AS SELECT {columns} FROM {read} r"
        f" JOIN {files} f USING ({identifier(FILE)})"
    )


def _values(source: str, said: FromNames, names: Sequence[str]) -> dict[str, list[str | None]]:
    """Returns each column's values, a file each."""
    columns: dict[str, list[str | None]] = {}
    if said.partitions:
        found = [_partitions(name) for name in names]
        _require_alike(source, names, found)
        columns = {key: [each[key] for each in found] for key in found[0]}
    if said.column:
        _require_new(source, said, list(columns), [said.column])
        columns[said.column] = list(names)
    return columns


def _partitions(name: str) -> dict[str, str | None]:
    """Returns the partitions of a file's name; the last part of the name is no folder."""
    parts = (_PARTITION.fullmatch(part) for part in name.split("/")[:-1])
    return {unquote(part[1]): None if part[2] == _MISSING else unquote(part[2]) for part in parts if part is not None}


def _require_alike(source: str, names: Sequence[str], found: Sequence[Mapping[str, str | None]]) -> None:
    for name, partitions in zip(names, found, strict=True):
        if list(partitions) != list(found[0]):
            raise DataError(
                f"source {source}: {name} has the partitions {', '.join(partitions) or '(none)'}, and {names[0]} has "
                f"{', '.join(found[0]) or '(none)'}\n"
                "expected: the same folders such as year=2013 above every file\n"
                f"fix: narrow sources.{source}.uri, or say sources.{source}.hive_partitions: false"
            )


def _require_new(source: str, said: FromNames, present: Sequence[str], new: Sequence[str]) -> None:
    lower = {name.lower() for name in present}
    if twice := [name for name in new if name.lower() in lower]:
        by_column = twice[0] == said.column
        what = "file_column" if by_column else "a folder of its files"
        fix = f"file_column: {twice[0]}_of_file" if by_column else "hive_partitions: false"
        raise DataError(
            f"source {source}: {what} names a column {twice[0]}, and the files have one of that name\n"
            f"expected: a name of its own for every column\nfix: say sources.{source}.{fix}, or rename the column"
        )


def _kind(values: Sequence[str | None]) -> str:
    """Returns the type that all values keep: whole numbers, days, else texts."""
    texts = [value for value in values if value is not None]
    if texts and all(_INTEGER.fullmatch(text) for text in texts):
        return "BIGINT"
    return "DATE" if texts and all(map(_is_day, texts)) else "VARCHAR"


def _is_day(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
