"""Which rows train and which evaluate."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import dataclasses
import datetime
from collections.abc import Mapping, Sequence

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.ingest.settings import ColumnSplit, HashSplit, NoSplit, Split, StratifiedSplit, TimeSplit
from kfp_ct.data.layouts import EVAL, PREDICT, TRAIN
from kfp_ct.data.tables.column_types import INSTANTS, Stored
from kfp_ct.data.tables.quoting import identifier

# A hash is compared in its first eight hexadecimal digits: fractions to one in four thousand million.
_DIGITS = 8


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of the query's result: their SQL types, and how those that are written are stored."""

    types: Mapping[str, str]
    stored: Mapping[str, Stored]


def expression(split: Split, columns: Columns, end: datetime.datetime | None) -> str:
    """Returns SQL for the split of a row of `ct_query`; null where it has none.

    Args:
        split: What users wrote.
        columns: The columns of the query's result.
        end: The window's end.

    Raises:
        ConfigurationError: A column that it names is not in the result, or of a type that does not split.
    """
    match split:
        case TimeSplit():
            return _by_time(split, columns, end)
        case HashSplit():
            return _by_hash(split, columns)
        case StratifiedSplit():
            return _by_label(split, columns)
        case ColumnSplit():
            return _by_column(split, columns)
        case NoSplit():
            return f"'{PREDICT}'"


def keys(split: Split) -> tuple[str, ...]:
    """Returns the columns whose values, together, must not be in two splits."""
    if isinstance(split, HashSplit):
        return split.keys or split.columns
    return () if isinstance(split, NoSplit) else split.keys


def time(split: Split) -> str:
    """Returns the column of which all instants to train on must be before those to evaluate on; empty for none."""
    if isinstance(split, TimeSplit):
        return split.column
    return split.time if isinstance(split, ColumnSplit) else ""


def _by_time(split: TimeSplit, columns: Columns, end: datetime.datetime | None) -> str:
    """Without a window's end, the end is the instant just after the last one there.

    That is one day after a date, one microsecond after a timestamp, so that the last row is always held out.
    """
    type_name = _time_type(columns.types, split.column)
    column = as_timestamp(split.column, type_name)
    step = "1 day" if type_name == "DATE" else "1 microsecond"
    last = f"(SELECT max({column}) FROM ct_query) + INTERVAL '{step}'"
    bound = f"TIMESTAMP '{end.isoformat(sep=' ')}'" if end else last
    held_out = f"{column} >= {bound} - INTERVAL '{split.holdout}'"
    return f"CASE {held_out} WHEN true THEN '{EVAL}' WHEN false THEN '{TRAIN}' END"


def _by_hash(split: HashSplit, columns: Columns) -> str:
    """A row evaluates where its key's hash is below `eval_fraction` of the range; others are above, train the rest."""
    whole = not split.columns
    # By name: the order of columns is the query's, and says nothing of a row.
    key = _key_digest(sorted(columns.stored) if whole else split.columns, columns, of_any_kind=whole)
    digest = f"substr({key}, 1, {_DIGITS})"
    bound, cases = 0.0, []
    for name, share in _shares(split).items():
        bound += share
        cases.append(f"WHEN {digest} < '{format(round(bound * 16**_DIGITS), f'0{_DIGITS}x')}' THEN '{name}'")
    return f"CASE {' '.join(cases)} ELSE '{TRAIN}' END"


def _shares(split: HashSplit) -> dict[str, float]:
    """Returns the shares of the splits that are held out, eval first."""
    if split.eval_fraction is not None:
        return {EVAL: split.eval_fraction}
    total = sum(split.splits.values())
    return {name: split.splits[name] / total for name in names(split) if name != TRAIN}


def _by_label(split: StratifiedSplit, columns: Columns) -> str:
    """The same rows split alike, whatever their order."""
    if split.label not in columns.types:
        raise _type_error("label", split.label, columns.types, "a column of the query's result")
    label = identifier(split.label)
    content = _key_digest(list(columns.stored), columns, of_any_kind=True)
    rank = f"row_number() OVER (PARTITION BY {label} ORDER BY {content})"
    held_out = f"round(CAST({split.eval_fraction!r} AS DOUBLE) * count(*) OVER (PARTITION BY {label}))"
    return f"CASE WHEN {rank} <= {held_out} THEN '{EVAL}' ELSE '{TRAIN}' END"


def _by_column(split: ColumnSplit, columns: Columns) -> str:
    """What the column holds, whether that is a split or not."""
    if split.column not in columns.types:
        raise _type_error("column", split.column, columns.types, "a column of the query's result")
    return f"CAST({identifier(split.column)} AS VARCHAR)"


def names(split: Split) -> tuple[str, ...]:
    """Returns the splits there will be, in the order they are written in."""
    if isinstance(split, NoSplit):
        return (PREDICT,)
    others = [name for name in split.splits if name not in (TRAIN, EVAL)] if isinstance(split, HashSplit) else []
    return (TRAIN, EVAL, *others)


def _key_digest(names: Sequence[str], columns: Columns, of_any_kind: bool = False) -> str:
    """Returns the MD5 of a row's key, in hexadecimal digits.

    The key is, for every column, the value's length in bytes, a colon and the value; `-` where it is missing.
    """
    parts = []
    for name in names:
        if not of_any_kind and (name not in columns.stored or columns.stored[name].kind not in ("int", "string")):
            expected = "integer or text columns of the query's result (floats are not the same everywhere)"
            raise _type_error("columns", name, columns.types, expected)
        # A zero is the same row's with and without a sign.
        unsigned = " + 0" if columns.stored[name].kind == "float" else ""
        text = f"CAST({columns.stored[name].expression}{unsigned} AS VARCHAR)"
        parts.append(f"coalesce(strlen({text}) || ':' || {text}, '-')")
    return f"md5(concat({', '.join(parts)}))"


def _time_type(types: Mapping[str, str], column: str) -> str:
    if types.get(column, "").startswith(("DATE", "TIMESTAMP")):
        return types[column]
    raise ConfigurationError(
        f"the split's column {column} {_found(types, column)}\n"
        f"expected: a DATE or TIMESTAMP column of the query's result\n"
        f"fix: select it, CAST({column} AS TIMESTAMP) if it is text; or correct split.column"
    )


def as_timestamp(column: str, type_name: str) -> str:
    """Returns an expression that is a column of instants without zone, in UTC where it has one."""
    name = identifier(column)
    return f"({name} AT TIME ZONE 'UTC')" if type_name in INSTANTS else f"CAST({name} AS TIMESTAMP)"


def _type_error(field: str, column: str, types: Mapping[str, str], expected: str) -> ConfigurationError:
    return ConfigurationError(
        f"the split's column {column} {_found(types, column)}\n"
        f"expected: {expected}\nfix: select it, cast it, or correct split.{field}"
    )


def _found(types: Mapping[str, str], column: str) -> str:
    return f"is of type {types[column]}" if column in types else f"is not in the result, which has {', '.join(types)}"
