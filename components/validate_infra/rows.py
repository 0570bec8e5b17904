"""Rows as a client sends them, and predictions as it gets them back."""

import base64
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_ct.base.errors import DataError
from kfp_ct.data import layouts, reading


def sample(examples_path: str, wanted: int) -> pa.RecordBatch | None:
    """Returns rows of the eval split, evenly spaced over it; None if it has none."""
    total = layouts.read_manifest(examples_path).split(layouts.EVAL).rows
    if not total:
        return None
    places = np.unique(np.linspace(0, total - 1, min(wanted, total)).astype(int))
    kept, start = [], 0
    for batch in reading.iter_batches(layouts.split_files(examples_path, layouts.EVAL)):
        inside = places[(places >= start) & (places < start + batch.num_rows)] - start
        kept.append(batch.take(pa.array(inside)))
        start += batch.num_rows
    if start != total:
        raise DataError(f"the eval split has {start} rows\nexpected: {total}, as its manifest says")
    return pa.Table.from_batches(kept).combine_chunks().to_batches()[0]


def with_booleans(instances: list[Any]) -> list[Any]:
    """Returns the same rows with true and false in the columns that hold nothing but 1 and 0, as some clients have."""
    if not instances or not isinstance(instances[0], dict) or "b64" in instances[0]:
        return instances
    written = {name: {repr(row[name]) for row in instances} - {"None"} for name in instances[0]}
    flags = {name for name, values in written.items() if values and values <= {"0", "1"}}
    return [
        {name: bool(value) if name in flags and value is not None else value for name, value in row.items()}
        for row in instances
    ]


def difference(served: Any, outputs: dict[str, Any], row: int, tolerance: float) -> str:
    """Says how a served prediction differs from the row's outputs in this process; empty if it does not."""
    if len(outputs) == 1 and not isinstance(served, dict | None):
        served = {next(iter(outputs)): served}
    if not isinstance(served, dict) or set(served) != set(outputs):
        return f"served {str(served)[:200]}, expected the outputs {sorted(outputs)}"
    for name, values in outputs.items():
        if message := _difference(served[name], values[row], tolerance):
            return f"{name}: {message}"
    return ""


def _difference(served: Any, expected: Any, tolerance: float) -> str:
    if np.asarray(expected).dtype.kind in "OSU":
        texts = [_bytes(value) for value in _flat(served)], [_bytes(value) for value in np.ravel(expected)]
        return "" if texts[0] == texts[1] else f"served {served!r}, here {texts[1]!r}"
    try:
        there, here = np.ravel(np.asarray(served, np.float64)), np.ravel(np.asarray(expected, np.float64))
    except (TypeError, ValueError):
        return f"served {str(served)[:200]}, which is not numbers of one shape"
    if there.shape != here.shape:
        return f"served {there.size} values, here {here.size}"
    if not (np.isfinite(there).all() and np.isfinite(here).all()):
        return f"served {there[:5].tolist()}, here {here[:5].tolist()}: not finite"
    gaps = np.abs(there - here)
    far = gaps > tolerance * np.maximum(1.0, np.abs(here))
    if not far.any():
        return ""
    worst = int(np.argmax(gaps))
    return f"served {there[worst]:.9g}, here {here[worst]:.9g}, a difference of {gaps[worst]:.3g}"


def _flat(value: Any) -> list[Any]:
    return [leaf for item in value for leaf in _flat(item)] if isinstance(value, list) else [value]


def _bytes(value: Any) -> bytes:
    if isinstance(value, dict):
        return base64.b64decode(str(value.get("b64", "")))
    return value if isinstance(value, bytes) else f"{value!s}".encode()
