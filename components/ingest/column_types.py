"""SQL types: which are read, how they are guessed, and what they become on disk."""

import dataclasses
import re

from kfp_ct.base.errors import DataError

# Rows that types are guessed from, and the share of values that must fit a type. Below it the column is text;
# above it the values that do not fit are bad values, so that one per cent of them never makes a number a text.
SAMPLE_ROWS, FITTING_SHARE = 10_000, 0.9
# From here on float64 does not hold every integer.
EXACT_INTEGERS = 2**53

INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
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
_TYPE = re.compile(r"(?P<name>[A-Z][A-Z0-9]*(?: [A-Z]+)*) ?(?P<size>\([0-9, ]+\))?(?P<lists>(?:\[\])?)")


READABLE = f"one of {', '.join(sorted(_READ))}, or a list such as BIGINT[]"


def normalized(declared: str) -> str:
    """Returns DuckDB's own name of a declared SQL type; empty if it is none that a column can be read as."""
    match = _TYPE.fullmatch(" ".join(declared.upper().split()))
    base = _ALIASES.get(match["name"], match["name"]) if match else ""
    if not match or base not in _READ:
        return ""
    return base + (match["size"] or "") * (base == "DECIMAL") + match["lists"]


@dataclasses.dataclass(frozen=True)
class Sample:
    """How many of a column's sampled values fit which type; missing values are not counted."""

    values: int
    numbers: int
    fractions: int  # numbers that are no integers
    booleans: int
    dates: int
    timestamps: int

    def guess(self) -> str:
        """Returns the type that nearly all values fit; text for none or no values."""
        enough = max(1.0, FITTING_SHARE * self.values)
        if self.numbers >= enough:
            return "DOUBLE" if self.fractions else "BIGINT"
        for count, type_name in (
            (self.booleans, "BOOLEAN"), (self.dates, "DATE"), (self.timestamps, "TIMESTAMP"),
        ):  # fmt: skip
            if count >= enough:
                return type_name
        return "VARCHAR"


def sample_counts(text: str) -> str:
    """Returns the aggregates that fill a `Sample` from a text expression; what is a number is tried no further."""
    number = f"TRY_CAST({text} AS DOUBLE)"
    other = f"CASE WHEN {number} IS NULL THEN {text} END"
    # A cast to DATE would drop the time of day.
    date = f"(length({other}) <= 10 AND TRY_CAST({other} AS DATE) IS NOT NULL)"
    return (
        f"count({text}), count({number}),"
        f" count(*) FILTER ({number} <> trunc({number}) OR NOT isfinite({number})),"
        f" count(*) FILTER (lower({other}) IN ('true', 'false')),"
        f" count(*) FILTER {date},"
        f" count(TRY_CAST({other} AS TIMESTAMP))"
    )


def cast_expression(text: str, type_name: str) -> str:
    """Returns an expression that is a text as a type, and null where the text does not fit it exactly.

    DuckDB's own cast would round '1.5' to an integer and make '1e400' infinite.
    """
    if type_name.endswith("[]"):
        element = cast_expression("element", type_name[:-2])
        # Of a list's elements all must fit: a count of nulls before and after tells.
        elements = f"TRY_CAST({text} AS VARCHAR[])"
        items = f"list_transform({elements}, lambda element: {element})"
        return f"CASE WHEN list_count({elements}) = list_count({items}) THEN {items} END"
    if type_name in INTEGERS:
        decimal = f"TRY_CAST({text} AS DECIMAL(38, 9))"
        return f"CASE WHEN {decimal} = trunc({decimal}) THEN TRY_CAST({decimal} AS {type_name}) END"
    if type_name in ("FLOAT", "DOUBLE"):
        number = f"TRY_CAST({text} AS DOUBLE)"
        return f"CASE WHEN NOT isinf({number}) OR contains(lower({text}), 'inf') THEN {number} END"
    return text if type_name in ("VARCHAR", "JSON") else f"TRY_CAST({text} AS {type_name})"


@dataclasses.dataclass(frozen=True)
class Stored:
    """A column on disk: its kind in the manifest and the expression that makes it."""

    kind: str
    expression: str
    narrows: bool = False  # the conversion can overflow


def stored(column: str, expression: str, type_name: str) -> Stored:
    """Returns how a result column is written: int64, float32 or string, or a list of one of them.

    Dates and instants become ISO 8601 texts; instants with a time zone are in UTC.

    Raises:
        DataError: The type has no such form.
    """
    if listed := re.fullmatch(r"(.*)\[\d*\]", type_name):
        element = stored(column, "element", listed[1])
        if "[" in element.kind:
            raise _not_storable(column, type_name)
        items = f"list_transform({expression}, lambda element: {element.expression})"
        return Stored(f"{element.kind}[]", items, element.narrows)
    base = type_name.split("(")[0]
    if base in INTEGERS | {"BOOLEAN", "HUGEINT", "UHUGEINT"}:
        return Stored("int", f"CAST({expression} AS BIGINT)", base in ("UBIGINT", "HUGEINT", "UHUGEINT"))
    if base in ("FLOAT", "DOUBLE", "DECIMAL"):
        return Stored("float", f"CAST({expression} AS FLOAT)", base == "DOUBLE")
    if base in ("VARCHAR", "ENUM", "UUID", "DATE", "TIME"):
        return Stored("string", f"CAST({expression} AS VARCHAR)")
    if base in ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"):
        return Stored("string", f"replace(CAST({expression} AS VARCHAR), ' ', 'T')")
    if base == "TIMESTAMP WITH TIME ZONE":
        return Stored("string", f"replace(CAST({expression} AT TIME ZONE 'UTC' AS VARCHAR), ' ', 'T') || 'Z'")
    raise _not_storable(column, type_name)


def _not_storable(column: str, type_name: str) -> DataError:
    return DataError(
        f"the query's column {column} is of type {type_name}, which examples cannot hold\n"
        "expected: integers, floats, booleans, texts, dates, times, or lists of one of them\n"
        f"fix: cast it or take it apart in the query, e.g. CAST({column} AS VARCHAR)"
    )
