"""Which rows belong to which slice, as TFMA's slicer says."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib

from kfp_ct.data import list_columns

Rows = npt.NDArray[np.intp]
SliceKey = tuple[tuple[str, str | int | float], ...]
OVERALL: SliceKey = ()


def rows_by_slice(table: pa.Table, config: config_pb2.EvalConfig) -> dict[SliceKey, Rows]:
    """Returns the row numbers of every slice of an EvalConfig, the overall slice first.

    TFMA's slicer is asked once per distinct combination of the slicing columns' values instead of once per row.

    Args:
        table: The slicing columns, others beside them; a missing value belongs to no slice of its column, a list to
            those of all its values.
        config: Its `slicing_specs` are used.
    """
    columns = {name for spec in config.slicing_specs for name in [*spec.feature_keys, *spec.feature_values]}
    specs = [slicer_lib.SingleSliceSpec(spec=spec) for spec in config.slicing_specs]
    found: dict[SliceKey, list[Rows]] = {}
    for features, rows in _cells(table, sorted(columns)):
        # Overlapping specs give a row the same slice twice; it counts once.
        for key in dict.fromkeys(slicer_lib.get_slices_for_features_dicts([features], None, specs)):
            found.setdefault(key, []).append(rows)
    return {key: np.sort(np.concatenate(found[key])) for key in sorted(found, key=lambda key: (len(key), str(key)))}


def rows_by_value(table: pa.Table, column: str) -> dict[SliceKey, Rows]:
    """Returns the row numbers of every value of one column."""
    config = config_pb2.EvalConfig(slicing_specs=[config_pb2.SlicingSpec(feature_keys=[column])])
    return rows_by_slice(table, config)


def name(key: SliceKey) -> str:
    """Returns a slice's name for people."""
    return ", ".join(f"{column}={value}" for column, value in key) or "overall"


def _cells(table: pa.Table, columns: list[str]) -> list[tuple[dict[str, np.ndarray], Rows]]:
    """Splits the rows by distinct values of columns; a cell's features are as TFMA's extractors would give them."""
    if not table.num_rows:
        return []
    if not columns:  # a selection of no column would forget how many rows there are
        return [({}, np.arange(table.num_rows))]
    encoded = [_encode(table.column(column)) for column in columns]
    codes = np.zeros(table.num_rows, np.int64)
    for column in encoded:
        codes = codes * len(column.dictionary) + column.indices.to_numpy()
        codes = np.unique(codes, return_inverse=True)[1].reshape(-1)  # keeps the product of many columns small
    order = np.argsort(codes, kind="stable")
    cells = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    return [(_features(columns, encoded, rows[0]), rows) for rows in cells if len(rows)]


def _encode(column: pa.ChunkedArray) -> pa.DictionaryArray:
    encoded = pa.chunked_array([column.combine_chunks()]) if column.num_chunks != 1 else column
    if list_columns.is_list(column.type):
        return _encode_lists(encoded)
    return encoded.dictionary_encode(null_encoding="encode").chunk(0)


def _encode_lists(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Arrow encodes no lists."""
    lists = column.to_pylist()
    numbers: dict[tuple[Any, ...] | None, int] = {}
    codes = [numbers.setdefault(None if each is None else tuple(each), len(numbers)) for each in lists]
    distinct = pa.array([None if each is None else list(each) for each in numbers], column.type)
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), distinct)


def _features(names: list[str], columns: list[pa.DictionaryArray], row: int) -> dict[str, np.ndarray]:
    pairs = zip(names, columns, strict=True)
    values = {name: column.dictionary[column.indices[row].as_py()].as_py() for name, column in pairs}
    return {
        name: np.array([each.encode() if isinstance(each, str) else each for each in _as_list(value)])
        for name, value in values.items()
        if value is not None
    }


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
