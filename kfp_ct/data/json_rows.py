"""Rows as a client of the prediction service sends them, as JSON values."""

import base64
import math
from typing import Any

import pyarrow as pa

from kfp_ct.data import batches
from kfp_ct.data.saved_model import SavedModel


def instances(batch: pa.RecordBatch, model: SavedModel, nulls: bool = True) -> list[Any]:
    """Returns the rows as JSON values: an object a row; or base64 of serialised tf.Examples.

    Whole numbers are written without a point, as clients have them. A missing value is null; where `nulls` are
    refused, as by TensorFlow Serving, it is what the model takes for one (`batches.MISSING`), and NaN is the token that
    its JSON has for it.
    """
    if not model.inputs:
        return [{"b64": base64.b64encode(example).decode()} for example in batches.to_examples(batch)]
    if not nulls:
        fed = {
            name: [_filled(value) for value in values.numpy().tolist()] for name, values in model.feed(batch).items()
        }
        return [dict(zip(fed, values, strict=True)) for values in zip(*fed.values(), strict=True)]
    names = model.inputs
    columns = [[_json(value) for value in batch.column(name).to_pylist()] for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _json(value: Any) -> Any:
    if isinstance(value, list):
        # A whole number of a list is written as it is: null cannot stand for a value of it.
        return [each if isinstance(each, float) and not math.isfinite(each) else _json(each) for each in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() else value
    return value


def _filled(value: Any) -> Any:
    """A value or list of values of a tensor; text as text, bytes that are none as base64."""
    if isinstance(value, list):
        return [_filled(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
    return value
