"""The label of unknown data: which column it is, which task it makes, and how the query gives it."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import dataclasses
from collections.abc import Mapping, Sequence

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data.tables import database
from kfp_ct.data.tables.quoting import identifier, literal
from kfp_ct.new.profiling.columns import Facts

BINARY, MULTICLASS, REGRESSION = TASKS = ("binary", "multiclass", "regression")
_USUAL = ("label", "target", "y", "class", "outcome")
_POSITIVE = ("1", "1.0", "true", "t", "yes", "y", "positive", "pos")
# A class of fewer rows cannot be both trained on and held out.
FEWEST = 5
# Whole numbers of so few values are grades or codes; of more they are amounts.
_MOST_GRADES, _MOST_CLASSES = 10, 100
_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class Label:
    """The label's column and the task it makes.

    Attributes:
        name: The column.
        task: One of `TASKS`.
        why: What the task was inferred from; empty if it was asked for.
        counts: Classes in the order of the model's output, with their rows; binary: negative first. Empty: regression.
        rare: Classes that are left out for want of rows.
        type: DuckDB's.
    """

    name: str
    task: str
    why: str = ""
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    rare: tuple[str, ...] = ()
    type: str = ""

    @property
    def classes(self) -> list[str]:
        """The classes in the order of the model's output; none for a regression."""
        return list(self.counts)

    @property
    def told(self) -> str:
        """One line on its values."""
        shares = self.shares()
        if self.task == BINARY:
            return f"1 is {self.classes[1]}, {shares[self.classes[1]]:.0%} of the rows"
        if self.task == MULTICLASS:
            shown = [f"{value} {share:.0%}" for value, share in list(shares.items())[:_SHOWN]]
            more = [f"{len(self.counts) - _SHOWN} more"] if len(self.counts) > _SHOWN else []
            return f"{len(self.counts)} classes: {', '.join([*shown, *more])}"
        return "a number to be told"

    def shares(self) -> dict[str, float]:
        """Returns each class's share of the rows."""
        return {name: round(count / sum(self.counts.values()), 4) for name, count in self.counts.items()}

    def expression(self) -> str:
        """Returns the SQL of its value: 0 or 1, the name of its class, or a number."""
        column = identifier(self.name)
        if self.task == BINARY:
            return f"CAST({column}::VARCHAR = {literal(self.classes[1])} AS BIGINT)"
        return f"CAST({column} AS {'VARCHAR' if self.task == MULTICLASS else 'FLOAT'})"

    def conditions(self) -> list[str]:
        """Returns the SQL of the rows that have a label."""
        column = identifier(self.name)
        rare = ", ".join(map(literal, self.rare))
        left_out = [f"{column}::VARCHAR NOT IN ({rare})"] if rare else []
        finite = [f"isfinite(CAST({column} AS FLOAT))"] if self.task == REGRESSION else []
        if self.type in ("FLOAT", "DOUBLE") and not finite:
            finite = [f"NOT isnan({column})"]
        return [f"{column} IS NOT NULL", *left_out, *finite]

    def numbers(self, values: pa.ChunkedArray) -> npt.NDArray[np.float64]:
        """Returns examples' labels as numbers; classes by their place."""
        if self.task == MULTICLASS:
            places = {name: place for place, name in enumerate(self.counts)}
            return np.array([places[value] for value in values.to_pylist()], "float64")
        return np.asarray(values.to_numpy(), "float64")


def find(connection: duckdb.DuckDBPyConnection, asked: str, facts: Mapping[str, Facts], task: str = "") -> Label:
    """Finds the label and its task.

    Args:
        connection: Holds the table `data`.
        asked: The user's name of it; empty looks for a usual name.
        facts: Every column as it was found.
        task: One of `TASKS`; empty is inferred.

    Raises:
        ConfigurationError: There is no such column or task, or none was named and none has a usual name.
        DataError: Its values make no such task, or too few rows of a class.
    """
    if task not in ("", *TASKS):
        raise ConfigurationError(f"there is no task {task!r}\nexpected: {', '.join(TASKS)}\nfix: correct --task")
    name = asked or next((name for name in facts if name.lower() in _USUAL and facts[name].distinct > 1), "")
    if name not in facts:
        raise _unknown(name, facts)
    chosen, why = (task, "") if task else _inferred(connection, facts[name])
    if chosen == REGRESSION:
        _check_number(facts[name])
        return Label(name, chosen, why)
    # In the order of the values: 10 after 9.
    value = facts[name].value
    sql = (
        f"SELECT {value}::VARCHAR, count(*) FROM data WHERE {value} IS NOT NULL "
        f"GROUP BY 1 ORDER BY min({value}) LIMIT {_MOST_CLASSES + 1}"
    )
    counts = dict(database.rows(connection, sql))
    found = _binary(name, why, counts) if chosen == BINARY else _multiclass(name, why, counts, facts[name].distinct)
    return dataclasses.replace(found, type=facts[name].type)


def _inferred(connection: duckdb.DuckDBPyConnection, facts: Facts) -> tuple[str, str]:
    """Returns the task, and what says so."""
    if facts.distinct < 2:
        raise _constant(facts)
    if facts.distinct == 2:
        return BINARY, "it has two values"
    if not facts.numeric:
        return MULTICLASS, f"it has {facts.distinct:,} different texts"
    column = identifier(facts.name)
    broken = database.row(connection, f"SELECT count(*) FROM data WHERE {column} <> floor({column})")[0]
    if facts.distinct <= _MOST_GRADES and not broken:
        return MULTICLASS, f"it has {facts.distinct} different whole numbers"
    return REGRESSION, f"it has {facts.distinct:,} different numbers"


def _binary(name: str, why: str, counts: dict[str, int]) -> Label:
    if len(counts) != 2:
        shown = _shown(counts)
        raise DataError(
            f"the label {name} has {'more than two' if len(counts) > 2 else len(counts)} "
            f"value{'' if len(counts) == 1 else 's'}: {shown}\n"
            "expected: two, for a binary task\nfix: say --task multiclass or regression, or name another column with "
            "--label"
        )
    if min(counts.values()) < FEWEST:
        raise DataError(
            f"the label {name} has too few rows of one value: {_shown(counts)}\n"
            f"expected: {FEWEST} of each at least\nfix: add rows"
        )
    positive = next((value for value in counts if value.strip().lower() in _POSITIVE), sorted(counts)[-1])
    negative = next(value for value in counts if value != positive)
    return Label(name, BINARY, why, {negative: counts[negative], positive: counts[positive]})


def _multiclass(name: str, why: str, counts: dict[str, int], distinct: int) -> Label:
    if len(counts) > _MOST_CLASSES:
        raise DataError(
            f"the label {name} has {distinct:,} different values\nexpected: {_MOST_CLASSES} classes at most\n"
            "fix: say --task regression if they are numbers, group them, or name another column with --label"
        )
    kept = {value: count for value, count in counts.items() if count >= FEWEST}
    if len(kept) < 2:
        raise DataError(
            f"the label {name} has too few rows of its values: {_shown(counts)}\n"
            f"expected: {FEWEST} of each of two classes at least\nfix: add rows, or name another column with --label"
        )
    return Label(name, MULTICLASS, why, kept, tuple(value for value in counts if value not in kept))


def _check_number(facts: Facts) -> None:
    if facts.distinct < 2:
        raise _constant(facts)
    if not facts.numeric:
        raise DataError(
            f"the label {facts.name} is no number: it is read as {facts.type}\nexpected: numbers, for a regression\n"
            "fix: say --task multiclass, or name another column with --label"
        )


def _constant(facts: Facts) -> DataError:
    return DataError(
        f"the label {facts.name} has {facts.distinct} value{'' if facts.distinct == 1 else 's'}: nothing to learn\n"
        "expected: two at least\nfix: name another column with --label, or add rows"
    )


def _shown(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{value} ({count:,})" for value, count in list(counts.items())[:_SHOWN]) or "none"


def _unknown(name: str, facts: Mapping[str, Facts]) -> ConfigurationError:
    if name:
        return ConfigurationError(
            f"there is no column {name!r} in the data\nexpected: one of {', '.join(facts)}\nfix: correct --label"
        )
    two: Sequence[str] = [column for column, found in facts.items() if found.distinct == 2]
    return ConfigurationError(
        "no label is named, and no column has a usual name for one\n"
        f"expected: --label COLUMN; columns with two values are {', '.join(two) or '(none)'}"
    )
