"""Gives the columns of a table of texts their types: a view of typed columns, without the rows that do not fit."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import dataclasses
from collections.abc import Callable, Sequence

import duckdb

from kfp_ct.base import task_log
from kfp_ct.base.errors import DataError
from kfp_ct.data.tables import column_types, database, value_kinds
from kfp_ct.data.tables.quoting import identifier, literal
from kfp_ct.data.tables.value_kinds import MARK, SAID_NULL, TEXT, Guess, Kinds

_FITS = "fits"
# Marks of missing values that are named in the log, of a column.
_SHOWN = 5
# Columns that one statement counts, since to plan the expression of a kind takes 15 ms and its run over few rows none;
# of long columns fewer, so that no more than so many different texts are grouped at once.
AT_ONCE, _CELLS_AT_ONCE = 16, 1_000_000
Guessing = Callable[[Kinds], Guess]


@dataclasses.dataclass(frozen=True)
class TextTable:
    """A table whose columns are texts.

    Attributes:
        source: What users call it, and the name of the view.
        table: Its name in SQL.
        decimal: The decimal mark of its numbers.
        null_values: Texts that stand for a missing value.
        file: Name of its column that says which file a row is of, which the view has too; empty for none.
    """

    source: str
    table: str
    decimal: str = "."
    null_values: Sequence[str] = ()
    file: str = ""


@dataclasses.dataclass(frozen=True)
class RawColumn:
    """A column of texts.

    Attributes:
        name: What users call it.
        text: The expression of its texts; null where a value is missing.
        made_of: The columns of the table that its text and its kind are made of, with commas.
    """

    name: str
    text: str
    made_of: str


@dataclasses.dataclass(frozen=True)
class Column:
    """A column with its type.

    Attributes:
        raw: Its texts.
        kind: The expression of a value's kind, as `value_kinds.kind` has it.
        kinds: How many values are of which kind.
        guess: Its type, and which kinds fit it.
    """

    raw: RawColumn
    kind: str
    kinds: Kinds
    guess: Guess
    declared: bool = False

    @property
    def name(self) -> str:
        """What users call it."""
        return self.raw.name

    @property
    def text(self) -> str:
        """The expression of its texts; null where a value is missing."""
        return self.raw.text

    @property
    def type(self) -> str:
        """Its SQL type."""
        return self.guess.type

    @property
    def bad(self) -> str:
        """The condition of a value that does not fit; empty if all do."""
        kinds = self.guess.bad(self.kinds)
        return f"coalesce(({self.kind}) IN ({', '.join(map(literal, kinds))}), false)" if kinds else ""


def declared(connection: duckdb.DuckDBPyConnection, table: TextTable, raw: RawColumn, type_name: str) -> Column:
    """Returns a column of a given type."""
    text = raw.text
    cast = column_types.cast_expression(text, type_name, table.decimal)
    kind = (
        f"CASE WHEN {cast} IS NOT NULL THEN '{_FITS}' WHEN {value_kinds.is_mark(text)} THEN '{MARK}' ELSE '{TEXT}' END"
    )
    kind = with_missing(kind, text, table)
    return Column(raw, kind, count(connection, table, raw, kind), Guess(type_name, (_FITS,), (MARK,)), declared=True)


def found(
    connection: duckdb.DuckDBPyConnection, table: TextTable, raw: RawColumn, kind: str, guessing: Guessing
) -> Column:
    """Returns a column whose type is that of all its values.

    Args:
        connection: The database.
        table: The table.
        raw: The column.
        kind: The expression of a value's kind.
        guessing: Finds the type.

    Raises:
        DataError: Some of its instants have a zone and others have none, or a number is beyond float64.
    """
    return typed(table, raw, kind, count(connection, table, raw, with_missing(kind, raw.text, table)), guessing)


def typed(table: TextTable, raw: RawColumn, kind: str, kinds: Kinds, guessing: Guessing) -> Column:
    """Returns a column whose type is that of all its values, of which it is known how many are of which kind.

    Args:
        table: The table.
        raw: The column.
        kind: The expression of a value's kind.
        kinds: How many values are of which kind.
        guessing: Finds the type.

    Raises:
        DataError: Some of its instants have a zone and others have none, or a number is beyond float64.
    """
    name = raw.name
    guess = guessing(kinds)
    if guess.refusal:
        refusal = guess.refusal.replace("{columns}", f"sources.{table.source}.columns").replace("{column}", name)
        raise DataError(f"source {table.source}: column {name} {refusal}")
    if guess.note:
        read = "text" if guess.type == "VARCHAR" else guess.type
        task_log.progress(f"{table.source}.{name} is read as {read}: {guess.note}")
    return Column(raw, with_missing(kind, raw.text, table), kinds, guess)


def with_missing(kind: str, text: str, table: TextTable) -> str:
    """Returns the expression of a kind that knows the texts that users say mean missing."""
    nulls = ", ".join(map(literal, table.null_values))
    said = f" WHEN {text} IN ({nulls}) THEN '{SAID_NULL}'" if nulls else ""
    return f"CASE WHEN {text} IS NULL THEN NULL{said} ELSE {kind} END"


def count(connection: duckdb.DuckDBPyConnection, table: TextTable, raw: RawColumn, kind: str) -> Kinds:
    """Counts the kinds of a column's values."""
    groups = f"SELECT 0 AS ct_column, {raw.made_of}, count(*) AS ct_rows FROM {table.table} GROUP BY ALL"
    return _kinds(_counted(connection, groups, raw.text, kind))


def count_all(
    connection: duckdb.DuckDBPyConnection, table: TextTable, columns: Sequence[RawColumn], kind: Callable[[str], str]
) -> list[Kinds]:
    """Counts the kinds of several columns' values; returns them in the order of the columns.

    Args:
        connection: The database.
        table: The table.
        columns: Columns whose text and kind are made of the text alone.
        kind: Makes the expression of a value's kind out of that of its text.
    """
    (rows,) = database.row(connection, f"SELECT count(*) FROM {table.table}")
    at_once = max(1, min(AT_ONCE, _CELLS_AT_ONCE // max(1, rows)))
    expression = with_missing(kind("ct_value"), "ct_value", table)
    found: list[Kinds] = []
    for first in range(0, len(columns), at_once):
        part = columns[first : first + at_once]
        groups = " UNION ALL ".join(
            f"SELECT {number} AS ct_column, {raw.text} AS ct_value, count(*) AS ct_rows FROM {table.table} GROUP BY ALL"
            for number, raw in enumerate(part)
        )
        counted = _counted(connection, groups, "ct_value", expression)
        found += [_kinds([group for group in counted if group[0] == number]) for number in range(len(part))]
    return found


_Counted = list[tuple[int, str | None, int, str]]


def _counted(connection: duckdb.DuckDBPyConnection, groups: str, text: str, kind: str) -> _Counted:
    """Returns column, kind, rows and an example of what a statement groups.

    Most columns have few different texts, and to tell a kind takes longer than to group them.
    """
    return database.rows(
        connection,
        f"SELECT ct_column, ct_kind, sum(ct_rows)::BIGINT, min(ct_text) FROM (SELECT ct_column, {kind} AS ct_kind,"
        f" {text} AS ct_text, ct_rows FROM ({groups})) GROUP BY ct_column, ct_kind ORDER BY ct_column, ct_kind",
    )


def _kinds(counted: _Counted) -> Kinds:
    """Puts together what was counted of a column.

    Missing values have no kind; a WHERE would plan the long expression of a kind a second time.
    """
    known = [(kind, rows, example) for _, kind, rows, example in counted if kind is not None]
    return Kinds({kind: rows for kind, rows, _ in known}, {kind: example for kind, _, example in known})


def make_view(connection: duckdb.DuckDBPyConnection, table: TextTable, columns: Sequence[Column]) -> None:
    """Makes the typed view; rows with a value that does not fit are not in it."""
    selected = ", ".join(f"{_value(table, column)} AS {identifier(column.name)}" for column in columns)
    selected += f", {identifier(table.file)}" if table.file else ""
    bad = [column.bad for column in columns if column.bad]
    kept = f" WHERE NOT ({' OR '.join(bad)})" if bad else ""
    connection.execute(f"CREATE VIEW {identifier(table.source)} AS SELECT {selected} FROM {table.table}{kept}")


def null_marks(
    connection: duckdb.DuckDBPyConnection, table: TextTable, columns: Sequence[Column]
) -> dict[str, dict[str, int]]:
    """Returns, and says, which texts were read as a missing value, of each column, and how often."""
    marks: dict[str, dict[str, int]] = {}
    for column in columns:
        kinds = (SAID_NULL, *(column.guess.nulls if column.type != "VARCHAR" else ()))
        if not column.kinds(*kinds):
            continue
        named = ", ".join(map(literal, kinds))
        marks[column.name] = dict(
            database.rows(
                connection,
                f"SELECT {column.text}, count(*) AS n FROM {table.table} WHERE ({column.kind}) IN ({named})"
                f" GROUP BY 1 ORDER BY n DESC, 1",
            )
        )
        if column.kinds(*column.guess.nulls) and column.type != "VARCHAR":
            shown = ", ".join(f"{text!r} {n:,}" for text, n in list(marks[column.name].items())[:_SHOWN])
            task_log.progress(f"{table.source}.{column.name} is {column.type}; read as missing: {shown}")
    return marks


def _value(table: TextTable, column: Column) -> str:
    nulls = ", ".join(map(literal, table.null_values))
    present = f"CASE WHEN {column.text} NOT IN ({nulls}) THEN {column.text} END"
    text = present if column.kinds(SAID_NULL) else column.text
    cast = column_types.cast_expression if column.declared else column_types.plain_cast
    return cast(text, column.type, table.decimal)


def bad_rows(columns: Sequence[Column]) -> list[tuple[Column, str]]:
    """Returns the columns with values that do not fit, and the condition of the rows where theirs is the first one."""
    bad = [column for column in columns if column.bad]
    return [
        (column, column.bad + "".join(f" AND NOT {earlier.bad}" for earlier in bad[:place]))
        for place, column in enumerate(bad)
    ]
