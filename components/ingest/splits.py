"""Which rows train and which evaluate."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (database.identifier, database.literal)

import dataclasses
import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.ingest.column_types import Stored
from kfp_ct.components.ingest.database import identifier
from kfp_ct.data.layouts import EVAL, PREDICT, TRAIN

_HOLDOUT = re.compile(r"[1-9]\d* (minute|hour|day|week|month|quarter|year)s?")
# A hash is compared in its first eight hexadecimal digits: fractions to one in four thousand million.
_DIGITS = 8
_FORMS = (
    '{"method": "time", "column": "…", "holdout": "1 month"} with a holdout in minutes, hours, days, weeks, months or '
    'years; {"method": "hash", "columns": ["…"], "eval_fraction": 0.2} with a fraction between 0 and 1, or "group" in '
    'place of "hash"; {"method": "stratified", "label": "…", "eval_fraction": 0.2}; or {"method": "column", '
    '"column": "…"} with the values train and eval; or {"method": "none"} for rows to score. All but "none" take '
    '"keys": ["…"], whose values must not be in two splits; '
    '"column" also takes "time": "…"'
)


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of the query's result: their SQL types, and how those that are written are stored."""

    types: Mapping[str, str]
    stored: Mapping[str, Stored]


class Split(Protocol):
    """A way to split: an SQL expression, and what must not be on both sides of it."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns whose values, together, must not be in two splits."""

    @property
    def time(self) -> str:
        """Column of which all instants to train on must be before those to evaluate on; empty for none."""

    def expression(self, columns: Columns, end: datetime.datetime | None) -> str:
        """Returns the split of a row of `ct_query`; null where it has none. `end` is the window's."""


@dataclasses.dataclass(frozen=True)
class TimeSplit:
    """The newest rows evaluate: those of the last `holdout` before the window's end."""

    column: str
    holdout: str
    keys: tuple[str, ...] = ()

    @property
    def time(self) -> str:
        """The column that splits."""
        return self.column

    def expression(self, columns: Columns, end: datetime.datetime | None) -> str:
        """Returns the split of a row of `ct_query`; null where the row has no time.

        Without a window end, the end is the instant just after the last one there: one day after a date, one
        microsecond after a timestamp, so that the last row is always held out.
        """
        type_name = _time_type(columns.types, self.column)
        column = as_timestamp(self.column, type_name)
        step = "1 day" if type_name == "DATE" else "1 microsecond"
        last = f"(SELECT max({column}) FROM ct_query) + INTERVAL '{step}'"
        bound = f"TIMESTAMP '{end.isoformat(sep=' ')}'" if end else last
        held_out = f"{column} >= {bound} - INTERVAL '{self.holdout}'"
        return f"CASE {held_out} WHEN true THEN '{EVAL}' WHEN false THEN '{TRAIN}' END"


@dataclasses.dataclass(frozen=True)
class HashSplit:
    """A fixed share of keys evaluates: a key, with all its rows, is on the same side in every run and window."""

    columns: tuple[str, ...]
    eval_fraction: float
    more_keys: tuple[str, ...] = ()
    time: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that split, or those that were named."""
        return self.more_keys or self.columns

    def expression(self, columns: Columns, end: datetime.datetime | None) -> str:
        """Returns the split of a row of `ct_query`: eval where its key's hash is below `eval_fraction` of the range."""
        threshold = format(round(self.eval_fraction * 16**_DIGITS), f"0{_DIGITS}x")
        digest = f"substr({_key_digest(self.columns, columns)}, 1, {_DIGITS})"
        return f"CASE WHEN {digest} < '{threshold}' THEN '{EVAL}' ELSE '{TRAIN}' END"


@dataclasses.dataclass(frozen=True)
class StratifiedSplit:
    """Of every label's rows the same share evaluates, to half a row: those whose content has the lowest hashes."""

    label: str
    eval_fraction: float
    keys: tuple[str, ...] = ()
    time: str = ""

    def expression(self, columns: Columns, end: datetime.datetime | None) -> str:
        """Returns the split of a row of `ct_query`; the same rows split alike, whatever their order."""
        if self.label not in columns.types:
            raise _type_error("label", self.label, columns.types, "a column of the query's result")
        label = identifier(self.label)
        content = _key_digest(list(columns.stored), columns, of_any_kind=True)
        rank = f"row_number() OVER (PARTITION BY {label} ORDER BY {content})"
        held_out = f"round(CAST({self.eval_fraction!r} AS DOUBLE) * count(*) OVER (PARTITION BY {label}))"
        return f"CASE WHEN {rank} <= {held_out} THEN '{EVAL}' ELSE '{TRAIN}' END"


@dataclasses.dataclass(frozen=True)
class ColumnSplit:
    """A column says `train` or `eval`. It is not written: no model must see it."""

    column: str
    keys: tuple[str, ...] = ()
    time: str = ""

    def expression(self, columns: Columns, end: datetime.datetime | None) -> str:
        """Returns the split of a row of `ct_query`: what the column holds, whether that is a split or not."""
        if self.column not in columns.types:
            raise _type_error("column", self.column, columns.types, "a column of the query's result")
        return f"CAST({identifier(self.column)} AS VARCHAR)"


@dataclasses.dataclass(frozen=True)
class NoSplit:
    """No row trains or evaluates: all are to be scored."""

    keys: tuple[str, ...] = ()
    time: str = ""

    def expression(self, columns: Columns, end: datetime.datetime | None) -> str:
        """Returns the one split of all rows."""
        return f"'{PREDICT}'"


def names(split: Split) -> tuple[str, ...]:
    """Returns the splits there will be, in the order they are written in."""
    return (PREDICT,) if isinstance(split, NoSplit) else (TRAIN, EVAL)


def parse(split: Mapping[str, Any]) -> Split:
    """Checks what users wrote under `split`.

    Raises:
        ConfigurationError: It is none of the forms.
    """
    if dict(split) == {"method": "none"}:
        return NoSplit()
    fields = dict(split)
    method, keys, time = fields.pop("method", None), fields.pop("keys", []), ""
    if method == "column":
        time = fields.pop("time", "")
    parsed = _parse(method, fields)
    if parsed is None or not _are_names(keys) or not isinstance(time, str):
        raise ConfigurationError(
            f"split is {dict(split)!r}\nexpected: {_FORMS}\nfix: correct split in the settings file"
        )
    return _with_checks(parsed, tuple(keys), time)


def _parse(method: Any, fields: Mapping[str, Any]) -> "TimeSplit | HashSplit | StratifiedSplit | ColumnSplit | None":
    match method, fields:
        case "time", {"column": str(column), "holdout": str(holdout), **rest} if not rest:
            if _HOLDOUT.fullmatch(holdout.strip().lower()):
                return TimeSplit(column, holdout.strip().lower())
        case "hash" | "group", {"columns": columns, "eval_fraction": fraction, **rest} if not rest:
            if columns and _are_names(columns) and _is_fraction(fraction):
                return HashSplit(tuple(columns), float(fraction))
        case "stratified", {"label": str(label), "eval_fraction": fraction, **rest} if not rest:
            if _is_fraction(fraction):
                return StratifiedSplit(label, float(fraction))
        case "column", {"column": str(column), **rest} if not rest:
            return ColumnSplit(column)
    return None


def _with_checks(
    split: TimeSplit | HashSplit | StratifiedSplit | ColumnSplit, keys: tuple[str, ...], time: str
) -> Split:
    match split:
        case HashSplit():
            return dataclasses.replace(split, more_keys=keys)
        case ColumnSplit():
            return dataclasses.replace(split, keys=keys, time=time)
        case _:
            return dataclasses.replace(split, keys=keys)


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _is_fraction(value: Any) -> bool:
    return isinstance(value, int | float) and 0 < value < 1


def _key_digest(names: Sequence[str], columns: Columns, of_any_kind: bool = False) -> str:
    """Returns the MD5 of a row's key, in hexadecimal digits.

    The key is, for every column, the value's length in bytes, a colon and the value; `-` where it is missing.
    """
    parts = []
    for name in names:
        if not of_any_kind and (name not in columns.stored or columns.stored[name].kind not in ("int", "string")):
            expected = "integer or text columns of the query's result (floats are not the same everywhere)"
            raise _type_error("columns", name, columns.types, expected)
        text = f"CAST({columns.stored[name].expression} AS VARCHAR)"
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
    return f"({name} AT TIME ZONE 'UTC')" if type_name.endswith("ZONE") else f"CAST({name} AS TIMESTAMP)"


def _type_error(field: str, column: str, types: Mapping[str, str], expected: str) -> ConfigurationError:
    return ConfigurationError(
        f"the split's column {column} {_found(types, column)}\n"
        f"expected: {expected}\nfix: select it, cast it, or correct split.{field}"
    )


def _found(types: Mapping[str, str], column: str) -> str:
    return f"is of type {types[column]}" if column in types else f"is not in the result, which has {', '.join(types)}"
