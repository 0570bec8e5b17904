"""The rows to search on: drawn from the train split, some held out of it to score by.

The eval split is what the model is judged on; values chosen by it would be judged by what chose them.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from kfp_ct.base.errors import DataError
from kfp_ct.data import layouts, reading
from kfp_ct.data.shuffling import count_rows

HELD_OUT = 0.2
SEED = 0


@dataclasses.dataclass(frozen=True)
class Rows:
    """Files of the rows to fit and of those to score by, with their numbers."""

    train_files: list[str]
    eval_files: list[str]
    train_rows: int
    eval_rows: int


def draw(examples_path: str, limit: int, folder: Path) -> Rows:
    """Writes at most `limit` rows (0 is all) of the train split, the same ones every time, in their order.

    Raises:
        DataError: There are not at least two rows.
    """
    files = layouts.split_files(examples_path, layouts.TRAIN)
    total = count_rows(files)
    if total < 2:
        raise DataError(
            f"the train split has {total} rows to tune on\nexpected: at least two, one to fit and one to score by\n"
            "fix: widen the window"
        )
    drawn = np.random.default_rng(SEED).permutation(total)[: max(2, limit) if limit else total]
    held = max(1, int(len(drawn) * HELD_OUT))
    is_fit, is_held = np.zeros(total, dtype=bool), np.zeros(total, dtype=bool)
    is_fit[drawn[held:]], is_held[drawn[:held]] = True, True
    manifest = layouts.read_manifest(examples_path)
    suffix = "_tfrecord.gz" if layouts.is_tfrecord(files[0]) else "_parquet"
    splits = []
    for split, chosen in ((layouts.TRAIN, is_fit), (layouts.EVAL, is_held)):
        path = layouts.split_path(folder, split) / f"data{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, _chosen(files, chosen), manifest.columns)
        splits.append(layouts.Split(split, int(chosen.sum()), [str(path.relative_to(folder))]))
    # Readers of TFRecord take the columns' types from it.
    layouts.write_manifest(folder, dataclasses.replace(manifest, splits=splits))
    fit, held_out = (layouts.split_files(folder, split) for split in (layouts.TRAIN, layouts.EVAL))
    return Rows(fit, held_out, splits[0].rows, splits[1].rows)


def _chosen(files: list[str], chosen: Any) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in reading.iter_batches(files):
        rows = chosen[start : start + batch.num_rows]
        start += batch.num_rows
        if rows.any():
            yield batch.filter(pa.array(rows))


def _write(path: Path, rows: Iterator[pa.RecordBatch], kinds: dict[str, str]) -> None:
    """Writes rows in the format they came in, for a module may read its files itself."""
    if layouts.is_tfrecord(str(path)):
        from kfp_ct.data import tfrecord

        tfrecord.write(path, rows, kinds)
        return
    first = next(rows)
    with pyarrow.parquet.ParquetWriter(path, first.schema) as writer:
        for batch in itertools.chain([first], rows):
            writer.write_batch(batch)
