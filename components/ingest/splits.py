"""Which rows train and which evaluate."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (database.identifier, database.literal)

import dataclasses
import datetime
import re
from collections.abc import Mapping
from typing import Any

from components.artifacts import EVAL, TRAIN
from components.errors import ConfigurationError
from components.ingest.column_types import Stored
from components.ingest.database import identifier

_HOLDOUT = re.compile(r"[1-9]\d* (minute|hour|day|week|month|quarter|year)s?")
# A hash is compared in its first eight hexadecimal digits: fractions to one in four thousand million.
_DIGITS = 8


@dataclasses.dataclass(frozen=True)
class TimeSplit:
    """The newest rows evaluate: those of the last `holdout` before the window's end."""

    column: str
    holdout: str

    def expression(self, types: Mapping[str, str], end: datetime.datetime | None) -> str:
        """Returns the split of a row of `ct_query`; null where the row has no time.

        Without a window end, the end is the instant just after the last one there: one day after a date, one
        microsecond after a timestamp, so that the last row is always held out.
        """
        if not _is_time(types, self.column):
            raise ConfigurationError(
                f"the split's column {self.column} {_found(types, self.column)}\n"
                f"expected: a DATE or TIMESTAMP column of the query's result\n"
                f"mend: select it, CAST({self.column} AS TIMESTAMP) if it is text; or correct split.column"
            )
        column = _as_timestamp(self.column, types[self.column])
        step = "1 day" if types[self.column] == "DATE" else "1 microsecond"
        last = f"(SELECT max({column}) FROM ct_query) + INTERVAL '{step}'"
        bound = f"TIMESTAMP '{end.isoformat(sep=' ')}'" if end else last
        held_out = f"{column} >= {bound} - INTERVAL '{self.holdout}'"
        return f"CASE {held_out} WHEN true THEN '{EVAL}' WHEN false THEN '{TRAIN}' END"


@dataclasses.dataclass(frozen=True)
class HashSplit:
    """A fixed share of keys evaluates: a key is on the same side in every run, window and machine."""

    columns: tuple[str, ...]
    eval_fraction: float

    def expression(self, types: Mapping[str, str], stored: Mapping[str, Stored]) -> str:
        """Returns the split of a row of `ct_query`.

        The row evaluates where the first 32 bits of the MD5 of its key are below `eval_fraction` of their range. The
        key is, for every column, the value's length in bytes, a colon and the value; `-` where it is missing.
        """
        parts = []
        for column in self.columns:
            if column not in types or stored[column].kind not in ("int", "string"):
                raise ConfigurationError(
                    f"the split's column {column} {_found(types, column)}\n"
                    "expected: integer or text columns of the query's result (floats are not the same everywhere)\n"
                    "mend: select it, cast it, or correct split.columns"
                )
            text = f"CAST({stored[column].expression} AS VARCHAR)"
            parts.append(f"coalesce(strlen({text}) || ':' || {text}, '-')")
        threshold = format(round(self.eval_fraction * 16**_DIGITS), f"0{_DIGITS}x")
        digest = f"substr(md5(concat({', '.join(parts)})), 1, {_DIGITS})"
        return f"CASE WHEN {digest} < '{threshold}' THEN '{EVAL}' ELSE '{TRAIN}' END"


def parse(split: Mapping[str, Any]) -> TimeSplit | HashSplit:
    """Checks what users wrote under `split`.

    Raises:
        ConfigurationError: It is neither of the two forms.
    """
    match dict(split):
        case {"method": "time", "column": str(column), "holdout": str(holdout), **rest} if not rest:
            if _HOLDOUT.fullmatch(holdout.strip().lower()):
                return TimeSplit(column, holdout.strip().lower())
        case {"method": "hash", "columns": [*columns], "eval_fraction": int() | float() as fraction, **rest} if (
            not rest
        ):
            if columns and all(isinstance(column, str) for column in columns) and 0 < fraction < 1:
                return HashSplit(tuple(columns), float(fraction))
    raise ConfigurationError(
        f"split is {dict(split)!r}\n"
        'expected: {"method": "time", "column": "…", "holdout": "1 month"} with a holdout in minutes, hours, days, '
        'weeks, months or years; or {"method": "hash", "columns": ["…"], "eval_fraction": 0.2} with a fraction '
        "between 0 and 1\nmend: correct split in the settings file"
    )


def _is_time(types: Mapping[str, str], column: str) -> bool:
    return types.get(column, "").startswith(("DATE", "TIMESTAMP"))


def _as_timestamp(column: str, type_name: str) -> str:
    name = identifier(column)
    return f"({name} AT TIME ZONE 'UTC')" if type_name.endswith("ZONE") else f"CAST({name} AS TIMESTAMP)"


def _found(types: Mapping[str, str], column: str) -> str:
    return f"is of type {types[column]}" if column in types else f"is not in the result, which has {', '.join(types)}"
