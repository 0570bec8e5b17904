"""The type that keeps the values of several types, where there is one."""

import re
from collections.abc import Sequence

from kfp_ct.data.tables.column_types import INTEGERS

_DIGITS = {
    "TINYINT": 3, "UTINYINT": 3, "SMALLINT": 5, "USMALLINT": 5, "INTEGER": 10, "UINTEGER": 10, "BIGINT": 19,
    "UBIGINT": 20, "HUGEINT": 38,
}  # fmt: skip
_WIDER = ["TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER", "UINTEGER", "BIGINT", "UBIGINT", "HUGEINT"]
_TIMES = ["DATE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP_NS"]
_INSTANTS = ["TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"]
# A list that is empty wherever there is one.
_NOTHING = '"NULL"'
_DECIMAL = re.compile(r"DECIMAL\((\d+), ?(\d+)\)")
_LIST = re.compile(r"(.*)\[\d*\]")
# Decimals of so many digits come back from float64 as they were.
_DOUBLE_DIGITS = 15


def common(types: Sequence[str]) -> str:
    """Returns the type that values of all types can be cast to without loss; empty for none.

    Whether numbers are kept also depends on the values: see `loss`.
    """
    found = types[0] if types else "VARCHAR"
    for other in types[1:]:
        found = _common(found, other)
    return found


def loss(column: str, type_name: str, target: str) -> str:
    """Returns the condition of a value that a cast to the common type changes; empty where none can be."""
    if type_name == target:
        return ""
    if target == "DOUBLE" and _DIGITS.get(type_name, 0) > _DIGITS["UINTEGER"]:
        return f"CAST(CAST({column} AS DOUBLE) AS HUGEINT) <> CAST({column} AS HUGEINT)"
    if target in (_TIMES[-1], _INSTANTS[-1]):
        return f"{column} IS NOT NULL AND TRY_CAST({column} AS {target}) IS NULL"
    return ""


def _common(first: str, second: str) -> str:
    if first == second:
        return first
    lists = [_LIST.fullmatch(each) for each in (first, second)]
    if lists[0] and lists[1]:
        element = _common(lists[0][1], lists[1][1])
        # Whether elements are kept is not looked at: only what keeps all of them is taken.
        return f"{element}[]" if element and not _may_lose((lists[0][1], lists[1][1]), element) else ""
    if _NOTHING in (first, second):
        return second if first == _NOTHING else first
    for times in (_TIMES, _INSTANTS):
        if first in times and second in times:
            return max(first, second, key=times.index)
    return _common_number(first, second)


def _may_lose(types: Sequence[str], target: str) -> bool:
    return any(loss("x", each, target) for each in types)


def _common_number(first: str, second: str) -> str:
    types = (first, second)
    if all(each in _WIDER for each in types):
        wider = max(types, key=_WIDER.index)
        unsigned = wider.startswith("U") and not all(each.startswith("U") for each in types)
        return _WIDER[_WIDER.index(wider) + 1] if unsigned else wider
    decimals = [_digits(each) for each in types]
    if not all(each in ("FLOAT", "DOUBLE") or d for each, d in zip(types, decimals, strict=True)):
        return ""
    if decimals[0] and decimals[1]:
        whole, scale = (max(pair) for pair in zip(*decimals, strict=True))
        return f"DECIMAL({whole + scale},{scale})" if whole + scale <= 38 else ""
    # A float on either side: integers are looked at one by one, decimals must be short.
    exact = next((d for each, d in zip(types, decimals, strict=True) if _DECIMAL.fullmatch(each)), None)
    return "DOUBLE" if exact is None or sum(exact) <= _DOUBLE_DIGITS else ""


def _digits(type_name: str) -> tuple[int, int] | None:
    """Returns the digits of a decimal or an integer before and after the point."""
    if match := _DECIMAL.fullmatch(type_name):
        return int(match[1]) - int(match[2]), int(match[2])
    return (_DIGITS[type_name], 0) if type_name in INTEGERS | {"HUGEINT"} else None
