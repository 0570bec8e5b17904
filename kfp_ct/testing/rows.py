"""Rows to test a model with: invented from its schema, and rows no data should have but some day will."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

ARROW_TYPES = {schema_pb2.INT: pa.int64(), schema_pb2.FLOAT: pa.float32(), schema_pb2.BYTES: pa.string()}
# Nothing, next to nothing, far too much, and what a broken division leaves.
EXTREMES: dict[pa.DataType, Sequence[Any]] = {
    pa.float32(): (0.0, -0.0, 1e-38, -1e-38, 3.4e38, -3.4e38, float("inf"), float("-inf"), float("nan"), None),
    pa.int64(): (0, -1, 2**31, -(2**31), 2**63 - 1, -(2**63) + 1, None),
    pa.string(): ("", " ", "\x00", "\u00e4\u6f22\U0001f600", "x" * 10_000, "nan", None),
}
_WORDS = ("amber", "birch", "cedar", "dune", "ember")
_MISSING = 0.2


def invent(schema: schema_pb2.Schema, rows: int, label: str, classes: int = 2, seed: int = 0) -> pa.Table:
    """Invents rows that fit a schema: bounds and vocabularies are kept to, optional values sometimes missing.

    Args:
        schema: The schema.
        rows: How many.
        label: Column whose values are the classes where its schema bounds it no closer.
        classes: Number of classes; 0 makes the label a number like others.
        seed: The same seed gives the same rows.
    """
    random = np.random.default_rng(seed)
    columns = {}
    for feature in schema.feature:
        if feature.name == label and classes and feature.type != schema_pb2.BYTES:
            values: Any = random.permutation(np.arange(rows) % classes)
        else:
            values = _values(feature, schema, rows, random)
        # Well inside of what the schema allows, so that no part of the rows breaks it by chance.
        share = 0 if feature.name == label else min(_MISSING, (1 - feature.presence.min_fraction) / 3)
        mask = random.random(rows) < share
        columns[feature.name] = pa.array(values, ARROW_TYPES[feature.type], mask=mask)
    return pa.table(columns)


def _values(feature: Any, schema: schema_pb2.Schema, rows: int, random: np.random.Generator) -> Any:
    if feature.type == schema_pb2.BYTES:
        return _texts(feature, schema, rows, random)
    low, high = _bounds(feature)
    if feature.type == schema_pb2.INT:
        return random.integers(int(low), int(high) + 1, rows)
    return random.uniform(low, high, rows).astype("float32")


def _texts(feature: Any, schema: schema_pb2.Schema, rows: int, random: np.random.Generator) -> Any:
    kind = feature.WhichOneof("domain_info")
    if kind == "int_domain":  # texts that are whole numbers, as TFDV infers of ids
        low, high = _bounds(feature)
        return [str(number) for number in random.integers(int(low), int(high) + 1, rows)]
    if kind == "float_domain":
        return [str(number) for number in random.uniform(*_bounds(feature), rows)]
    if kind == "bool_domain":
        words = [feature.bool_domain.true_value or "true", feature.bool_domain.false_value or "false"]
    else:
        domains = {domain.name: list(domain.value) for domain in schema.string_domain}
        words = list(feature.string_domain.value) or domains.get(feature.domain) or list(_WORDS)
    return random.choice(np.array(words, dtype=object), rows)


def _bounds(feature: Any) -> tuple[float, float]:
    kind = feature.WhichOneof("domain_info")
    if kind not in ("int_domain", "float_domain"):
        return 0, 100
    bounds = getattr(feature, kind)
    low = bounds.min if bounds.HasField("min") else min(0, bounds.max)
    return low, bounds.max if bounds.HasField("max") else low + 100


def extreme(table: pa.Table, columns: Sequence[str]) -> list[tuple[str, pa.Table]]:
    """Returns copies of one ordinary row with one column gone to each extreme, and with all of them at once.

    Returns:
        What is extreme ("size = inf"), and the one row.
    """
    ordinary = table.slice(0, 1)
    cases = [
        (f"{name} = {_shown(value)}", _with(ordinary, {name: value}))
        for name in columns
        for value in EXTREMES[ordinary.schema.field(name).type]
    ]
    most = max(len(values) for values in EXTREMES.values())
    for index in range(most):
        values = {name: _at(EXTREMES[ordinary.schema.field(name).type], index) for name in columns}
        cases.append((f"every column extreme, number {index + 1}", _with(ordinary, values)))
    return cases


def _with(row: pa.Table, values: dict[str, Any]) -> pa.Table:
    for name, value in values.items():
        index = row.schema.get_field_index(name)
        row = row.set_column(index, row.schema.field(index), pa.array([value], row.schema.field(index).type))
    return row


def _at(values: Sequence[Any], index: int) -> Any:
    return values[index % len(values)]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 30 else f"{text[:10]}… ({len(value)} characters)"
