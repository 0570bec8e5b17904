"""Looks at a CSV file nobody has described: what each column is good for, the query, the schema, the split."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (database.identifier, database.literal)

import csv
import dataclasses
import datetime
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components import bigquery, feature_statistics
from components.errors import ConfigurationError, DataError
from components.ingest import column_types, database, sources
from components.ingest.database import identifier, literal
from components.ingest.query import Window
from components.ingest.warehouse import Warehouse
from components.profiling import columns, label, leaks
from components.profiling.columns import CATEGORY, NUMBER, Column

# Rows that are looked at, and of these for marks that stand for missing.
ROWS, FEWEST_ROWS = 200_000, 40
MARKS = ("NA", "N/A", "n/a", "NULL", "null", "None", "none", "NaN", "nan", "?", "-", "--", "#N/A")
# A closed vocabulary makes a new value an anomaly that stops the run: only where all values are well known.
_CLOSED_VALUES, _CLOSED_ROWS = 20, 20
_HELD_OUT = 5


@dataclasses.dataclass(frozen=True)
class Request:
    """A CSV file, its label, and the column whose time orders the rows; both may be left empty."""

    data: str
    label: str = ""
    time: str = ""


@dataclasses.dataclass(frozen=True)
class _Found:
    columns: list[Column]
    label: label.Label
    time: Column | None

    @property
    def safe_label(self) -> str:
        return next(column.safe for column in self.columns if column.facts.name == self.label.name)

    @property
    def features(self) -> list[Column]:
        return [each for each in self.columns if each.role in (NUMBER, CATEGORY) and each.facts.name != self.label.name]

    @property
    def identity(self) -> Column | None:
        return next((each for each in self.columns if each.identity and each.complete), None)


def profile(request: Request) -> dict[str, Any]:
    """Profiles a CSV file.

    Returns:
        sql (the query of the examples over the table `data`), schema (text), label, numbers and categories (safe
        names), split, null_values, rows, columns (name, safe, role, why) and warnings.

    Raises:
        ComponentError: The file cannot be read, a column is not there, or there is nothing to learn from.
    """
    marks = _marks(request.data)
    with tempfile.TemporaryDirectory() as folder, database.opened(Path(folder)) as connection:
        source = sources.Source("data", request.data, "csv", tuple(marks))
        nowhere = Warehouse(bigquery.Access(), Window())  # a file needs none
        loaded = sources.load(connection, source, Path(folder), nowhere)
        if loaded.rows < FEWEST_ROWS:
            raise DataError(
                f"{request.data} has {loaded.rows} rows\nexpected: {FEWEST_ROWS} at least, to train and judge"
            )
        found = _find(connection, request)
        sql = _sql(found)
        examples = _examples(connection, sql)
        warnings = [*_rejected(loaded), *_leaks(found, examples)]
        return {
            "sql": sql,
            "schema": text_format.MessageToString(_schema(found, examples), as_utf8=True),
            "label": found.safe_label,
            "positive": found.label.positive,
            "positive_share": round(found.label.share, 4),
            "numbers": [each.safe for each in found.features if each.role == NUMBER],
            "categories": [each.safe for each in found.features if each.role == CATEGORY],
            "split": _split(connection, found),
            "null_values": marks,
            "rows": loaded.rows,
            "columns": [_told(each, found) for each in found.columns],
            "warnings": warnings,
        }


def _marks(data: str) -> list[str]:
    """Returns the usual marks of a missing value that stand somewhere in the file."""
    path = Path(data)
    if not path.is_file():
        raise ConfigurationError(f"there is no file {data}\nexpected: a CSV file\nmend: correct --data")
    if path.suffix in (".gz", ".zip"):
        return ["NA"]
    known, seen = set(MARKS), set()
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            delimiter = max(",\t;|", key=lines.readline().count)
            for number, row in enumerate(csv.reader(lines, delimiter=delimiter)):
                seen |= known.intersection(row)
                if number >= ROWS:
                    break
    except csv.Error as error:
        raise DataError(f"{data} cannot be read: {error}\nexpected: a CSV file") from error
    return [mark for mark in MARKS if mark in seen]


def _find(connection: duckdb.DuckDBPyConnection, request: Request) -> _Found:
    types = dict(row[:2] for row in database.rows(connection, "DESCRIBE data"))
    facts = {name: _facts(connection, name, type_name) for name, type_name in types.items()}
    chosen = label.find(connection, request.label, {name: each.distinct for name, each in facts.items()})
    safe = columns.safe_names(types)
    judged = [columns.judge(each, safe[name]) for name, each in facts.items()]
    found = _Found(judged, chosen, _time(request.time, judged))
    if not found.features:
        reasons = "; ".join(f"{each.facts.name}: {each.why}" for each in judged)
        raise DataError(f"no column of {request.data} can be a feature ({reasons})\nexpected: numbers or categories")
    return found


def _facts(connection: duckdb.DuckDBPyConnection, name: str, type_name: str) -> columns.Facts:
    column = identifier(name)
    length = f"avg(length({column}::VARCHAR))" if type_name in ("VARCHAR", "UUID") else "0"
    ends = f"min({column}), max({column})" if type_name in column_types.INTEGERS else "0, 0"
    sql = f"SELECT count(*), count({column}), count(DISTINCT {column}), {length}, {ends} FROM data"
    rows, present, distinct, average, low, high = database.row(connection, sql)
    return columns.Facts(name, type_name, rows, present, distinct, average or 0, low or 0, high or 0)


def _time(asked: str, judged: Sequence[Column]) -> Column | None:
    if not asked:
        return None
    column = next((each for each in judged if each.facts.name == asked), None)
    if column is None:
        raise ConfigurationError(
            f"there is no column {asked!r} in the data\nexpected: one of {', '.join(c.facts.name for c in judged)}\n"
            "mend: correct --time"
        )
    if not column.facts.type.startswith(("DATE", "TIMESTAMP")):
        raise DataError(
            f"the column {asked} is no point in time: it is read as {column.facts.type}\n"
            "expected: ISO 8601 dates or instants\nmend: name another column with --time, or convert it"
        )
    return column


def _sql(found: _Found) -> str:
    """Writes the query of the examples; what is left out stands in it as a comment."""
    kept = [_selected(each, found) for each in found.columns]
    lines = ",\n".join(f"    {line}" for line in kept if line)
    out = [
        f"--   {each.facts.name!r}: {each.why}"
        for each, line in zip(found.columns, kept, strict=True)
        if not line
    ]  # fmt: skip
    conditions = [f"{identifier(found.label.name)} IS NOT NULL"]
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


def _selected(column: Column, found: _Found) -> str:
    name = identifier(column.facts.name)
    if column.facts.name == found.label.name:
        return f"CAST({name}::VARCHAR = {literal(found.label.positive)} AS BIGINT) AS {column.safe}"
    if column is found.time:
        return f"CAST({name} AS TIMESTAMP) AS {column.safe}"
    if column.role == NUMBER:
        inner = f"CAST({name} AS BIGINT)" if column.facts.type == "BOOLEAN" else name
        return f"CAST({inner} AS FLOAT) AS {column.safe}"
    if column.role == CATEGORY or column is found.identity:
        return f"CAST({name} AS VARCHAR) AS {column.safe}"
    return ""


def _examples(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """Runs the query over the first rows; the columns are as ingest stores them."""
    bound = sql.replace("@window_start", "NULL").replace("@window_end", "NULL")
    try:
        described = [row[:2] for row in database.rows(connection, f"DESCRIBE {bound}")]
        stored = ", ".join(
            f"{column_types.stored(name, identifier(name), kind).expression} AS {identifier(name)}"
            for name, kind in described
        )
        return connection.sql(f"SELECT {stored} FROM ({bound}) LIMIT {ROWS}").to_arrow_table()
    except duckdb.Error as error:
        raise DataError(f"the data does not fit its own types: {database.first_line(error)}") from error


def _schema(found: _Found, examples: pa.Table) -> schema_pb2.Schema:
    """Infers the schema with TFDV; only well-known vocabularies are closed, and the label is absent when serving."""
    statistics = feature_statistics.compute(examples.combine_chunks().to_batches(), "train")
    schema = tfdv.infer_schema(statistics, max_string_domain_size=_CLOSED_VALUES)
    served = {each.safe for each in found.features}
    schema.default_environment.extend(["TRAINING", "SERVING"])
    for feature in schema.feature:
        feature.ClearField("distribution_constraints")
        present = 1 - examples[feature.name].null_count / len(examples)
        if present < 1:
            feature.presence.min_fraction = round(present / 2, 2)
        if feature.name not in served:
            feature.not_in_environment.append("SERVING")
        if feature.WhichOneof("domain_info") == "domain" and not _well_known(examples[feature.name]):
            feature.ClearField("domain_info")
    used = {feature.domain for feature in schema.feature}
    kept = [domain for domain in schema.string_domain if domain.name in used]
    del schema.string_domain[:]
    schema.string_domain.extend(kept)
    return schema


def _well_known(values: pa.ChunkedArray) -> bool:
    return all(count.as_py() >= _CLOSED_ROWS for count in values.drop_null().value_counts().field("counts"))


def _split(connection: duckdb.DuckDBPyConnection, found: _Found) -> dict[str, Any]:
    """Holds the latest fifth of the time out, else a fifth of the rows by their identity or their content."""
    if found.time:
        moment = f"CAST({identifier(found.time.facts.name)} AS TIMESTAMP)"
        low, high = database.row(connection, f"SELECT min({moment}), max({moment}) FROM data")
        span: datetime.timedelta = (high - low) / _HELD_OUT
        unit, size = ("days", span.days) if span.days else ("hours", max(1, span.seconds // 3600))
        return {"method": "time", "column": found.time.safe, "holdout": f"{size} {unit}"}
    names = [found.identity.safe] if found.identity else [each.safe for each in found.features]
    return {"method": "hash", "columns": names, "eval_fraction": 1 / _HELD_OUT}


def _leaks(found: _Found, examples: pa.Table) -> list[str]:
    target = examples[found.safe_label].to_numpy().astype("int64")
    warnings = []
    for each in found.features:
        values = examples[each.safe].to_numpy()
        values = values.astype("float64") if each.role == NUMBER else np.array([str(value) for value in values])
        strength = leaks.strength(values, target)
        if strength >= leaks.SUSPICIOUS:
            warnings.append(
                f"{each.facts.name} alone tells the label (AUC {strength:.3f}): is it known when a prediction is asked "
                "for? If not, take it out of the query, the schema and features.py"
            )
    return warnings


def _rejected(loaded: sources.Loaded) -> list[str]:
    return [f"{loaded.rejected:,} rows cannot be read"] if loaded.rejected else []


def _told(column: Column, found: _Found) -> dict[str, str]:
    role, why = column.role, column.why
    if column.facts.name == found.label.name:
        role, why = "label", f"1 is {found.label.positive}, {found.label.share:.0%} of the rows"
    elif column is found.time:
        role, why = "time", "orders the rows; the latest are held out"
    elif column is found.identity and not found.time:
        role, why = "identity", f"{why}; splits the rows"
    return {"name": column.facts.name, "safe": column.safe, "role": role, "why": why}
