"""SQL types: which are read, how they are guessed, and what they become on disk."""

import dataclasses
import re

from kfp_ct.base.errors import DataError
from kfp_ct.data.tables import nested_lists, value_kinds

INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
# Both are in the session's time zone, UTC, when they become text.
INSTANTS = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")
_ALIASES = {
    "INT": "INTEGER", "INT1": "TINYINT", "INT2": "SMALLINT", "INT4": "INTEGER", "INT8": "BIGINT", "LONG": "BIGINT",
    "INT64": "BIGINT", "INT32": "INTEGER", "INT16": "SMALLINT", "SHORT": "SMALLINT", "HUGEINT": "BIGINT",
    "FLOAT4": "FLOAT", "FLOAT8": "DOUBLE", "REAL": "FLOAT", "NUMERIC": "DECIMAL", "BOOL": "BOOLEAN",
    "STRING": "VARCHAR", "TEXT": "VARCHAR", "CHAR": "VARCHAR", "DATETIME": "TIMESTAMP",
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE",
}  # fmt: skip
_READ = INTEGERS | {
    "FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN", "VARCHAR", "UUID", "DATE", "TIME", "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE", "JSON",
}  # fmt: skip
_TYPE = re.compile(r"(?P<name>[A-Z][A-Z0-9]*(?: [A-Z]+)*) ?(?P<size>\([0-9, ]+\))?(?P<lists>(?:\[\])*)")


# What `Stored.rounding` says of a number that is not whole, and of a whole one that float32 does not keep.
CHANGED_WHOLE, OTHER_NUMBER = 2, 3
READABLE = f"one of {', '.join(sorted(_READ))}, or a list such as BIGINT[]"


def normalized(declared: str) -> str:
    """Returns DuckDB's own name of a declared SQL type; empty if it is none that a column can be read as."""
    match = _TYPE.fullmatch(" ".join(declared.upper().split()))
    base = _ALIASES.get(match["name"], match["name"]) if match else ""
    if not match or base not in _READ:
        return ""
    return base + (match["size"] or "") * (base == "DECIMAL") + match["lists"]


def cast_expression(text: str, type_name: str, decimal: str = ".") -> str:
    """Returns an expression that is a text as a type, and null where the text does not fit it exactly.

    DuckDB's own casts round '1.5' to an integer, read '1_11' as 111, cut offsets and times of day off, and make
    '1e400' infinite.

    Args:
        text: An expression of type VARCHAR.
        type_name: The type.
        decimal: The decimal mark of its numbers.
    """
    if type_name.endswith("[]"):
        element = cast_expression("element", type_name[:-2], decimal)
        # Of a list's elements all must fit: a count of nulls before and after tells.
        elements = _elements(text)
        items = f"list_transform({elements}, lambda element: {element})"
        return f"CASE WHEN list_count({elements}) = list_count({items}) THEN {items} END"
    if type_name in INTEGERS:
        return _integer(text, type_name, decimal)
    base = type_name.split("(")[0]
    if base in ("FLOAT", "DOUBLE", "DECIMAL"):
        return _number(text, type_name, decimal)
    if base in _TIMES:
        return _TIMES[base](text)
    return text if type_name in ("VARCHAR", "JSON") else f"TRY_CAST({text} AS {type_name})"


def plain_cast(text: str, type_name: str, decimal: str = ".") -> str:
    """Returns an expression that is a text as a type, where all texts are of kinds that fit it: see `value_kinds`."""
    if type_name in ("BIGINT", "DOUBLE"):
        return f"TRY_CAST({value_kinds.number_text(text, decimal)} AS {type_name})"
    if type_name.endswith("ZONE"):
        return f"TRY_CAST({value_kinds.instant_text(text)} AS {type_name})"
    return text if type_name == "VARCHAR" else f"TRY_CAST({value_kinds.trimmed(text)} AS {type_name})"


def _integer(text: str, type_name: str, decimal: str) -> str:
    plain = f"TRY_CAST({text} AS {type_name})"
    number = value_kinds.number_text(text, decimal)
    exact = f"TRY_CAST({number} AS DECIMAL(38, 9))"
    return (
        f"CASE WHEN {plain}::VARCHAR = {text} THEN {plain}"
        f" WHEN {value_kinds.is_number(number)} AND {exact} = trunc({exact}) THEN TRY_CAST({exact} AS {type_name}) END"
    )


def _number(text: str, type_name: str, decimal: str) -> str:
    number = value_kinds.number_text(text, decimal)
    if type_name.startswith("DECIMAL"):
        kept = f"TRY_CAST({number} AS {type_name}) = TRY_CAST({number} AS DECIMAL(38, 9))"
        return f"CASE WHEN {value_kinds.is_number(number)} AND {kept} THEN TRY_CAST({number} AS {type_name}) END"
    value = f"TRY_CAST({number} AS DOUBLE)"
    finite = f"NOT isinf({value}) AND NOT contains({text}, '_')"
    return f"CASE WHEN {finite} OR contains(lower({text}), 'inf') THEN TRY_CAST({value} AS {type_name}) END"


def _date(text: str) -> str:
    moment = _timestamp(text)
    return (
        f"CASE WHEN {value_kinds.is_day(text)} THEN TRY_CAST(trim({text}) AS DATE)"
        f" WHEN {moment} = date_trunc('day', {moment}) THEN CAST({moment} AS DATE) END"
    )


def _timestamp(text: str) -> str:
    return f"({_instant(text)} AT TIME ZONE 'UTC')"


def _instant(text: str) -> str:
    """An instant without a zone is in UTC, which is the session's."""
    written = value_kinds.instant_text(text)
    return (
        f"CASE WHEN {value_kinds.is_skipped(text)} THEN NULL"
        f" WHEN {value_kinds.is_clock(text)} OR {value_kinds.is_day(text)}"
        f" THEN TRY_CAST({written} AS TIMESTAMP WITH TIME ZONE) END"
    )


def _time(text: str) -> str:
    return f"CASE WHEN NOT regexp_matches({text}, '[-/TZ+]') THEN TRY_CAST({text} AS TIME) END"


_TIMES = {"DATE": _date, "TIMESTAMP": _timestamp, "TIMESTAMP WITH TIME ZONE": _instant, "TIME": _time}


@dataclasses.dataclass(frozen=True)
class Stored:
    """A column on disk: its kind in the manifest and the expression that makes it.

    Lists of lists are stored as their values in order; `shape` is the expression of a row's shape.
    """

    kind: str
    expression: str
    narrows: bool = False  # the conversion can overflow
    rounding: str = ""  # 0 to 3: missing; a whole number that is kept, or one that is not; another number
    shape: str = ""


def stored(column: str, expression: str, type_name: str) -> Stored:
    """Returns how a result column is written: int64, float32, string or bytes, or a list of one of them, of any depth.

    Dates and instants become ISO 8601 texts; instants with a time zone are in UTC.

    Raises:
        DataError: The type has no such form.
    """
    if nested := nested_lists.read(expression, type_name):
        flat = stored(column, nested.values, f"{nested.element}[]")
        return dataclasses.replace(flat, shape=nested.shape)
    if listed := re.fullmatch(r"(.*)\[\d*\]", type_name):
        element = stored(column, "element", listed[1])
        items = f"list_transform({expression}, lambda element: {element.expression})"
        rounding = f"list_transform({expression}, lambda element: {element.rounding})"
        rounding = f"coalesce(list_max({rounding}), 0::TINYINT)" if element.rounding else ""
        return Stored(f"{element.kind}[]", items, element.narrows, rounding)
    base = type_name.split("(")[0]
    if base in INTEGERS | {"BOOLEAN", "HUGEINT", "UHUGEINT"}:
        return Stored("int", f"CAST({expression} AS BIGINT)", base in ("UBIGINT", "HUGEINT", "UHUGEINT"))
    if base in ("FLOAT", "DOUBLE", "DECIMAL"):
        return Stored("float", f"CAST({expression} AS FLOAT)", base == "DOUBLE", _rounding(expression, base))
    if base in ("VARCHAR", "ENUM", "UUID", "DATE", "TIME"):
        return Stored("string", f"CAST({expression} AS VARCHAR)")
    if base == "BLOB":
        return Stored("bytes", expression)
    if base in ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"):
        return Stored("string", f"replace(CAST({expression} AS VARCHAR), ' ', 'T')")
    if base == "TIME WITH TIME ZONE":
        # Parquet's times of day are in UTC where nothing else is said, and pyarrow says nothing else.
        return Stored("string", f"regexp_replace(CAST({expression} AS VARCHAR), '\\+00$', '')")
    if base in INSTANTS:
        return Stored("string", f"regexp_replace(replace(CAST({expression} AS VARCHAR), ' ', 'T'), '\\+00$', 'Z')")
    raise _not_storable(column, type_name)


def _elements(text: str) -> str:
    """Returns an expression that is the texts in a text of a list; JSON's escapes are its own, \\n a new line."""
    in_json = f"CASE WHEN json_valid({text}) THEN json_type({text}) = 'ARRAY' ELSE false END"
    escaped = f"contains({text}, chr(92)) AND {in_json}"
    return f"CASE WHEN {escaped} THEN json_extract_string({text}, '$[*]') ELSE TRY_CAST({text} AS VARCHAR[]) END"


def _rounding(expression: str, base: str) -> str:
    if base == "FLOAT":
        return ""
    # A decimal may have more digits than a double: its whole numbers are compared as what they are.
    exact = "HUGEINT" if base == "DECIMAL" else "DOUBLE"
    return (
        f"CASE WHEN {expression} IS NULL OR NOT isfinite(CAST({expression} AS DOUBLE)) THEN 0::TINYINT"
        f" WHEN {expression} <> trunc({expression}) THEN {OTHER_NUMBER}"
        f" WHEN TRY_CAST(TRY_CAST({expression} AS FLOAT) AS {exact}) = TRY_CAST({expression} AS {exact}) THEN 1"
        f" ELSE {CHANGED_WHOLE} END"
    )


def _not_storable(column: str, type_name: str) -> DataError:
    return DataError(
        f"the query's column {column} is of type {type_name}, which examples cannot hold\n"
        "expected: integers, floats, booleans, texts, bytes, dates, times, or lists of one of them\n"
        f"fix: cast it or take it apart in the query, e.g. CAST({column} AS VARCHAR)"
    )
