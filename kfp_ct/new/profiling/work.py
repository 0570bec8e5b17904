"""Looks at a CSV file nobody has described: what each column is good for, the query, the schema, the split."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import dataclasses
import math
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

from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.cloud.bigquery_access import Access
from kfp_ct.components.ingest import sources
from kfp_ct.components.ingest.query import Window
from kfp_ct.components.ingest.warehouse import Warehouse
from kfp_ct.data import feature_statistics
from kfp_ct.data.tables import column_types, database
from kfp_ct.data.tables.quoting import identifier
from kfp_ct.data.tables.reading import Loaded
from kfp_ct.new.profiling import columns, label, leaks, query
from kfp_ct.new.profiling.columns import CATEGORY, NUMBER, Column
from kfp_ct.new.profiling.query import Found
from kfp_ct.storage import locations

# Rows that are looked at.
ROWS, FEWEST_ROWS = 200_000, 40
# A closed vocabulary makes a new value an anomaly that stops the run: only where all values are well known.
_CLOSED_VALUES, _CLOSED_ROWS = 20, 20
_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class Request:
    """A CSV file, its label, the column whose time orders the rows, the task; all but the file may be left empty."""

    data: str
    label: str = ""
    time: str = ""
    task: str = ""


def profile(request: Request) -> dict[str, Any]:
    """Profiles a CSV file.

    Returns:
        sql (the query of the examples over the table `data`), schema (text), label (safe name), task, inferred (what
        the task was inferred from, if it was), classes (name to share of the rows; none for a regression), numbers and
        categories (safe names), split, null_marks (texts that were read as missing), rows, columns (name, safe, role,
        why) and warnings.

    Raises:
        ComponentError: The file cannot be read, a column is not there, or there is nothing to learn from.
    """
    if not locations.is_remote(request.data) and not Path(request.data).is_file():
        raise ConfigurationError(f"there is no file {request.data}\nexpected: a CSV file\nfix: correct --data")
    with tempfile.TemporaryDirectory() as folder, database.open_database(Path(folder)) as connection:
        source = sources.NamedSource(name="data", uri=request.data, format="csv")
        nowhere = Warehouse(Access(), Window())  # a file needs none
        loaded = sources.load(connection, source, Path(folder), nowhere)
        if loaded.rows < FEWEST_ROWS:
            raise DataError(
                f"{request.data} has {loaded.rows} rows\nexpected: {FEWEST_ROWS} at least, to train and judge"
            )
        found = _find(connection, request)
        sql = query.sql(found)
        examples = _examples(connection, sql)
        warnings = [*_rejected(loaded), *_rare(found.label), *_leaks(found, examples)]
        return {
            "sql": sql,
            "schema": text_format.MessageToString(_schema(found, examples), as_utf8=True),
            "label": found.safe_label,
            "task": found.label.task,
            "inferred": found.label.why,
            "classes": found.label.shares(),
            "numbers": [each.safe for each in found.features if each.role == NUMBER],
            "categories": [each.safe for each in found.features if each.role == CATEGORY],
            "split": query.split(connection, found),
            "null_marks": dict(loaded.null_marks),
            "rows": loaded.rows,
            "columns": [_told(each, found, loaded) for each in found.columns],
            "warnings": warnings,
        }


def _find(connection: duckdb.DuckDBPyConnection, request: Request) -> Found:
    types = dict(row[:2] for row in database.rows(connection, "DESCRIBE data"))
    facts = {name: _facts(connection, name, type_name) for name, type_name in types.items()}
    chosen = label.find(connection, request.label, facts, request.task)
    safe = columns.safe_names(types)
    judged = [columns.judge(each, safe[name]) for name, each in facts.items()]
    found = Found(judged, chosen, _time(request.time, judged))
    if not found.features:
        reasons = "; ".join(f"{each.facts.name}: {each.why}" for each in judged)
        raise DataError(f"no column of {request.data} can be a feature ({reasons})\nexpected: numbers or categories")
    return found


def _facts(connection: duckdb.DuckDBPyConnection, name: str, type_name: str) -> columns.Facts:
    column = columns.Facts(name, type_name, 0, 0, 0).value
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
            "fix: correct --time"
        )
    if not column.facts.type.startswith(("DATE", "TIMESTAMP")):
        raise DataError(
            f"the column {asked} is no point in time: it is read as {column.facts.type}\n"
            "expected: ISO 8601 dates or instants\nfix: name another column with --time, or convert it"
        )
    return column


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


def _schema(found: Found, examples: pa.Table) -> schema_pb2.Schema:
    """Infers the schema with TFDV; only well-known vocabularies are closed, and the label is absent when serving."""
    statistics = feature_statistics.compute(examples.combine_chunks().to_batches(), "train")
    schema = tfdv.infer_schema(statistics, max_string_domain_size=_CLOSED_VALUES)
    served = {each.safe for each in found.features}
    if found.label.task == label.MULTICLASS:
        _close(schema, found)
    schema.default_environment.extend(["TRAINING", "SERVING"])
    unbounded = {
        each.path.step[0]: feature_statistics.infinite_values(each) for each in statistics.datasets[0].features
    }
    for feature in schema.feature:
        feature.ClearField("distribution_constraints")
        # The generated features take an infinite value for a missing one.
        for end, count in zip(("min", "max"), unbounded[feature.name], strict=True):
            if count:
                setattr(feature.float_domain, end, -math.inf if end == "min" else math.inf)
        present = 1 - examples[feature.name].null_count / len(examples)
        if present < 1:
            feature.presence.min_fraction = round(present / 2, 2)
        if feature.name not in served:
            feature.not_in_environment.append("SERVING")
        closed = feature.name == found.safe_label or _well_known(examples[feature.name])
        if feature.WhichOneof("domain_info") == "domain" and not closed:
            feature.ClearField("domain_info")
    used = {feature.domain for feature in schema.feature}
    kept = [domain for domain in schema.string_domain if domain.name in used]
    del schema.string_domain[:]
    schema.string_domain.extend(kept)
    return schema


def _close(schema: schema_pb2.Schema, found: Found) -> None:
    """Gives the label the classes as its domain, in the model's order: a model cannot tell another one."""
    feature = next(each for each in schema.feature if each.name == found.safe_label)
    kept = [domain for domain in schema.string_domain if domain.name != found.safe_label]
    del schema.string_domain[:]
    schema.string_domain.extend([*kept, schema_pb2.StringDomain(name=found.safe_label, value=found.label.classes)])
    feature.domain = found.safe_label


def _well_known(values: pa.ChunkedArray) -> bool:
    return all(count.as_py() >= _CLOSED_ROWS for count in values.drop_null().value_counts().field("counts"))


def _leaks(found: Found, examples: pa.Table) -> list[str]:
    target = found.label.numbers(examples[found.safe_label])
    measure = "AUC" if found.label.task != label.REGRESSION else "R² of ranks"
    warnings = []
    for each in found.features:
        values = examples[each.safe].to_numpy()
        values = values.astype("float64") if each.role == NUMBER else np.array([str(value) for value in values])
        strength = leaks.strength(values, target, found.label.task)
        if strength >= leaks.SUSPICIOUS:
            warnings.append(
                f"{each.facts.name} alone tells the label ({measure} {strength:.3f}): is it known when a prediction is "
                "asked for? If not, take it out of the query, the schema and features.py"
            )
    return warnings


def _rare(found: label.Label) -> list[str]:
    if not found.rare:
        return []
    named = ", ".join([*found.rare[:_SHOWN], *(["…"] if len(found.rare) > _SHOWN else [])])
    return [f"rows of the label {found.name} with fewer than {label.FEWEST} of a kind are left out: {named}"]


def _rejected(loaded: Loaded) -> list[str]:
    return [f"{loaded.rejected:,} rows cannot be read"] if loaded.rejected else []


def _told(column: Column, found: Found, loaded: Loaded) -> dict[str, str]:
    role, why = column.role, column.why
    if column.facts.name == found.label.name:
        role, why = "label", found.label.told
    elif column is found.time:
        role, why = "time", "orders the rows; the latest are held out"
    elif column is found.identity and not found.time:
        role, why = "identity", f"{why}; splits the rows"
    if marks := loaded.null_marks.get(column.facts.name):
        why += "; missing where it says " + ", ".join(f"{mark!r} ({rows:,})" for mark, rows in marks.items())
    return {"name": column.facts.name, "safe": column.safe, "role": role, "why": why}
