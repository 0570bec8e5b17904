"""What was found in a file, the query that makes examples of it, and how they are split."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import dataclasses
import datetime
from typing import Any

import duckdb

from kfp_ct.data.tables import database
from kfp_ct.data.tables.quoting import identifier
from kfp_ct.new.profiling.columns import CATEGORY, NUMBER, ROW_KEY, Column
from kfp_ct.new.profiling.label import Label

_HELD_OUT = 5


@dataclasses.dataclass(frozen=True)
class Found:
    """Every column with what it is taken for, the label, and the column that orders the rows."""

    columns: list[Column]
    label: Label
    time: Column | None

    @property
    def safe_label(self) -> str:
        """The label's name among the examples."""
        return next(column.safe for column in self.columns if column.facts.name == self.label.name)

    @property
    def features(self) -> list[Column]:
        """What a model may learn from."""
        return [each for each in self.columns if each.role in (NUMBER, CATEGORY) and each.facts.name != self.label.name]

    @property
    def identity(self) -> Column | None:
        """The column that names rows, if one does."""
        named = (each for each in self.columns if each.identity and each.complete)
        return next((each for each in named if each.facts.name != self.label.name), None)


def sql(found: Found) -> str:
    """Writes the query of the examples; what is left out stands in it as a comment."""
    kept = [_selected(each, found) for each in found.columns]
    selected = [line for line in kept if line]
    if not (found.time or found.identity):
        selected.append(f"{_content(found)} AS {ROW_KEY}")
    lines = ",\n".join(f"    {line}" for line in selected)
    out = [
        f"--   {each.facts.name!r}: {each.why}"
        for each, line in zip(found.columns, kept, strict=True)
        if not line
    ]  # fmt: skip
    conditions = found.label.conditions()
    if found.time:
        moment = f"CAST({identifier(found.time.facts.name)} AS TIMESTAMP)"
        conditions += [
            f"{moment} IS NOT NULL",
            f"(@window_start IS NULL OR {moment} >= @window_start)",
            f"(@window_end IS NULL OR {moment} < @window_end)",
        ]
    said = ["-- One row an example. Keep only what is known when a prediction is asked for."]
    said += ["-- Left out:", *out] if out else []
    return "\n".join([*said, "SELECT", lines, "FROM data", "WHERE " + "\n  AND ".join(conditions)]) + "\n"


def _content(found: Found) -> str:
    """The SQL of a row's content, which names it where nothing else does: rows alike never stand in both splits."""
    texts = ", ".join(f"coalesce({identifier(each.facts.name)}::VARCHAR, '')" for each in found.features)
    return f"md5(concat_ws('|', {texts}))"


def _selected(column: Column, found: Found) -> str:
    name = identifier(column.facts.name)
    if column.facts.name == found.label.name:
        return f"{found.label.expression()} AS {column.safe}"
    if column is found.time:
        return f"CAST({name} AS TIMESTAMP) AS {column.safe}"
    if column.role == NUMBER:
        inner = f"CAST({name} AS BIGINT)" if column.facts.type == "BOOLEAN" or column.facts.exact else name
        return f"{inner if column.facts.exact else f'CAST({inner} AS FLOAT)'} AS {column.safe}"
    if column.role == CATEGORY or column is found.identity:
        return f"CAST({name} AS VARCHAR) AS {column.safe}"
    return ""


def split(connection: duckdb.DuckDBPyConnection, found: Found) -> dict[str, Any]:
    """Holds the latest fifth of the time out, else a fifth of the rows by their identity or their content."""
    if found.time:
        moment = f"CAST({identifier(found.time.facts.name)} AS TIMESTAMP)"
        low, high = database.row(connection, f"SELECT min({moment}), max({moment}) FROM data")
        span: datetime.timedelta = (high - low) / _HELD_OUT
        unit, size = ("days", span.days) if span.days else ("hours", max(1, span.seconds // 3600))
        return {"method": "time", "column": found.time.safe, "holdout": f"{size} {unit}"}
    return {
        "method": "hash",
        "columns": [found.identity.safe if found.identity else ROW_KEY],
        "eval_fraction": 1 / _HELD_OUT,
    }
