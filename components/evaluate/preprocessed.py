"""Rows with what a model's own preprocessing makes of them: TFMA's `preprocessing_function_names`.

TFX's tutorials judge by labels that the transform makes: `label_key: "tips_xf"`, of the signature `transform_features`.
The columns that the evaluation names are computed once a row, and read from then on as any other.
"""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.data import layouts, reading
from kfp_ct.data.saved_model import Role, SavedModel

# Below the evaluation until it is written; readers of folders pass over names that begin with an underscore.
FOLDER = "_features"


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Which functions of a model make columns, and the columns that an evaluation names."""

    functions: Sequence[str]
    model_path: str
    named: Sequence[str]


@contextlib.contextmanager
def rows(asked: Preprocessing, examples_path: str, evaluation_path: str) -> Iterator[str]:
    """Gives a dataset that has the columns that an evaluation names, as TFMA finds them, and removes it.

    Args:
        asked: What to compute.
        examples_path: Dataset with a manifest.
        evaluation_path: The evaluation's folder, which Beam's workers see.

    Raises:
        ConfigurationError: The model has no such function, or a column is made otherwise than the data has it.
    """
    if not asked.functions:
        yield examples_path
        return
    root = Path(evaluation_path) / FOLDER
    shutil.rmtree(root, ignore_errors=True)
    try:
        _write(asked, examples_path, root)
        yield str(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _write(asked: Preprocessing, examples_path: str, root: Path) -> None:
    manifest = layouts.read_manifest(examples_path)
    role = Role("the model", "preprocess the rows", "correct preprocessing_function_names in the evaluation config")
    models = [SavedModel(asked.model_path, name, list(manifest.columns), role) for name in asked.functions]
    splits, made = [], {}
    for split in manifest.splits:
        file = layouts.split_path("", split.name) / "data_parquet-00000-of-00001.parquet"
        made = _write_split(models, asked.named, layouts.split_files(examples_path, split.name), root / file)
        splits.append(dataclasses.replace(split, files=[str(file)] if split.rows else []))
    task_log.progress(f"columns of {', '.join(asked.functions)}: {', '.join(made) or 'none that is named'}")
    columns = {**manifest.columns, **made}
    layouts.write_manifest(root, dataclasses.replace(manifest, splits=splits, columns=columns, format=layouts.PARQUET))


def _write_split(models: list[SavedModel], named: Sequence[str], files: list[str], target: Path) -> dict[str, str]:
    """Writes a split's rows with the columns that are named; returns the kinds of those."""
    writer, kinds = None, {}
    target.parent.mkdir(parents=True, exist_ok=True)
    for batch in reading.iter_batches(files):
        table = pa.Table.from_batches([batch])
        found = {name: array for model in models for name, array in model.run(batch).items() if name in named}
        for name, array in found.items():
            column = _column(name, array, batch.num_rows)
            if name in table.column_names:
                _require_same(name, table[name], column)
                continue
            table, kinds[name] = table.append_column(name, column), _kind(column.type)
        writer = writer or pyarrow.parquet.ParquetWriter(target, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return kinds


def _column(name: str, array: npt.NDArray[Any], rows: int) -> pa.Array:
    if array.ndim == 0 or len(array) != rows:
        raise ConfigurationError(
            f"the evaluation names {name}, which preprocessing makes in the shape {list(array.shape)} for {rows:,} rows"
            "\nexpected: a value a row\nfix: name another feature, or make it dense in preprocessing_fn"
        )
    flat = array.reshape(rows, -1)
    values = flat.ravel()
    if array.dtype == object:
        column = pa.array(values.tolist(), pa.binary()).cast(pa.string())
    else:
        column = pa.array(values.astype(np.float32 if array.dtype.kind == "f" else np.int64))
    if flat.shape[1] == 1:
        return column
    return pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype="int32") * flat.shape[1]), column)


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_kind(kind.value_type)}[]"
    return "int" if pa.types.is_integer(kind) else "float" if pa.types.is_floating(kind) else "string"


def _require_same(name: str, raw: pa.ChunkedArray, made: pa.Array) -> None:
    """TFMA prefers what preprocessing makes; where it is what the data has, there is nothing to choose."""
    if raw.to_pylist() != made.to_pylist():
        raise ConfigurationError(
            f"the evaluation names {name}, which is a column of the data, and of other values a feature of the model\n"
            "expected: one meaning a name\nfix: give the feature a name of its own in preprocessing_fn, such as "
            f"{name}_xf, and name that"
        )
