"""Writes tables as a dataset in the layout of kfp_ct/data/layouts.py, as ingest leaves one: for tests of components."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from kfp_ct.data import layouts

_KINDS = {pa.string(): "string", pa.float32(): "float", pa.int64(): "int", pa.binary(): "bytes"}


def write(root: str | Path, splits: Mapping[str, pa.Table], shards: int = 1, row_group_size: int = 0) -> str:
    """Writes a dataset; returns its path.

    Args:
        root: Folder to make.
        splits: Name, such as train and eval, to rows; columns are of int64, float32, string or binary, or lists.
        shards: Files of a split.
        row_group_size: Rows of a group within a file; 0 for one group.
    """
    written = [layouts.Split(name, len(rows), _write(Path(root), name, rows, (shards, row_group_size)))
               for name, rows in splits.items()]  # fmt: skip
    columns = {field.name: _kind(field.type) for rows in splits.values() for field in rows.schema}
    content = repr([rows.to_pydict() for rows in splits.values()])
    fingerprint = hashlib.sha256(content.encode()).hexdigest()
    window = {"start": "", "end": ""}
    layouts.write_manifest(root, layouts.Manifest(written, columns, fingerprint, {}, window, {}))
    return str(root)


def _kind(kind: pa.DataType) -> str:
    return f"{_KINDS[kind.value_type]}[]" if pa.types.is_list(kind) else _KINDS[kind]


def _write(root: Path, split: str, rows: pa.Table, sizes: tuple[int, int]) -> list[str]:
    shards, row_group_size = sizes
    folder = layouts.split_path(root, split)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"data_parquet-{index:05}-of-{shards:05}.parquet" for index in range(shards)]
    for index, file in enumerate(files):
        start, end = (len(rows) * each // shards for each in (index, index + 1))
        pyarrow.parquet.write_table(rows.slice(start, end - start), file, row_group_size or len(rows) + 1)
    return [str(file.relative_to(root)) for file in files]
