"""The label of unknown data: which column it is, and how it becomes 0 and 1."""

import dataclasses
from collections.abc import Mapping, Sequence

import duckdb

from components.errors import ConfigurationError, DataError
from components.ingest import database
from components.ingest.database import identifier

_USUAL = ("label", "target", "y", "class", "outcome")
_POSITIVE = ("1", "1.0", "true", "t", "yes", "y", "positive", "pos")
# A class of fewer rows cannot be both trained on and held out.
FEWEST = 5


@dataclasses.dataclass(frozen=True)
class Label:
    """The label's column, the text of its positive value, and the share of rows that have it."""

    name: str
    positive: str
    share: float


def find(connection: duckdb.DuckDBPyConnection, asked: str, distinct: Mapping[str, int]) -> Label:
    """Finds the label and its positive value.

    Args:
        connection: Holds the table `data`.
        asked: The user's name of it; empty looks for a usual name.
        distinct: Every column, and its number of values.

    Raises:
        ConfigurationError: There is no such column, or none was named and none has a usual name.
        DataError: It has not two values, or too few rows of one.
    """
    name = asked or next((name for name in distinct if name.lower() in _USUAL and distinct[name] == 2), "")
    if name not in distinct:
        raise _unknown(name, distinct)
    column = identifier(name)
    sql = f"SELECT {column}::VARCHAR AS v, count(*) FROM data WHERE {column} IS NOT NULL GROUP BY v ORDER BY v LIMIT 12"  # noqa: S608 - a quoted name
    counts = dict(database.rows(connection, sql))
    if len(counts) != 2:
        shown = ", ".join(f"{value} ({count:,})" for value, count in list(counts.items())[:10]) or "none"
        raise DataError(
            f"the label {name} has {'more than two' if len(counts) > 2 else len(counts)} "
            f"value{'' if len(counts) == 1 else 's'}: {shown}\n"
            "expected: two, for a binary task\nmend: name another column with --label, or add rows of the other class"
        )
    if min(counts.values()) < FEWEST:
        raise DataError(
            f"the label {name} has too few rows of one value: {counts}\nexpected: {FEWEST} of each at least\n"
            "mend: add rows"
        )
    positive = _positive(list(counts))
    return Label(name, positive, counts[positive] / sum(counts.values()))


def _positive(values: Sequence[str]) -> str:
    return next((value for value in values if value.strip().lower() in _POSITIVE), values[-1])


def _unknown(name: str, distinct: Mapping[str, int]) -> ConfigurationError:
    if name:
        return ConfigurationError(
            f"there is no column {name!r} in the data\nexpected: one of {', '.join(distinct)}\nmend: correct --label"
        )
    two = [column for column, count in distinct.items() if count == 2]
    return ConfigurationError(
        "no label is named, and no column has a usual name for one\n"
        f"expected: --label COLUMN; columns with two values are {', '.join(two) or '(none)'}"
    )
