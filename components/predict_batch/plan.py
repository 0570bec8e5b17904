"""What is scored into which file: a prediction's shards, and the identity that a resumed run must share."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet

from kfp_ct.base.errors import DataError
from kfp_ct.data import layouts

# Rows of a shard, to the row group: what a killed run may have to score again.
SHARD_ROWS = 500_000


@dataclasses.dataclass(frozen=True)
class Shard:
    """Consecutive row groups of one input file, and the file their predictions go to."""

    source: str
    groups: tuple[int, ...]
    rows: int
    file: str  # name of the output


def shards(examples_path: str, shard_rows: int = SHARD_ROWS) -> list[Shard]:
    """Divides a dataset's rows into shards, in order.

    Raises:
        DataError: It is not Parquet, there is no row, or the files do not hold what the manifest says.
    """
    manifest = layouts.read_manifest(examples_path)
    if manifest.format != layouts.PARQUET:
        raise DataError(
            f"the dataset at {examples_path} is {manifest.format}\nexpected: Parquet\n"
            "fix: leave format out of ingest's options; rows to score need no other"
        )
    found = [
        (file, groups, rows)
        for split in manifest.splits
        for file in split.files
        for groups, rows in _ranges(str(Path(examples_path) / file), shard_rows)
    ]
    expected = sum(split.rows for split in manifest.splits)
    if (rows := sum(shard[2] for shard in found)) != expected or not rows:
        raise DataError(
            f"the dataset at {examples_path} holds {rows:,} rows, its manifest says {expected:,}\n"
            "expected: at least one row, and as many as the manifest says\nfix: run ingest again"
        )
    return [
        Shard(str(Path(examples_path) / file), groups, rows, f"predictions-{n:05d}-of-{len(found):05d}.parquet")
        for n, (file, groups, rows) in enumerate(found)
    ]


def identity(examples_path: str, model_path: str, chosen: Sequence[object], planned: Sequence[Shard]) -> str:
    """Returns what makes two predictions the same: rows, model, what is written, and how it is divided.

    Args:
        examples_path: Dataset.
        model_path: Model artifact.
        chosen: Everything else that the output depends on.
        planned: The shards.
    """
    model = layouts.tree_fingerprint(Path(model_path) / layouts.SERVING_MODEL)
    divided = [[shard.groups, shard.rows, shard.file] for shard in planned]
    parts = [layouts.read_manifest(examples_path).fingerprint, model, list(chosen), divided]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _ranges(file: str, shard_rows: int) -> list[tuple[tuple[int, ...], int]]:
    """Groups a file's row groups into ranges of at most `shard_rows` rows, at least one group each."""
    with pyarrow.parquet.ParquetFile(file) as parquet:
        sizes = [parquet.metadata.row_group(n).num_rows for n in range(parquet.num_row_groups)]
    ranges: list[tuple[tuple[int, ...], int]] = []
    for group, rows in enumerate(sizes):
        if ranges and ranges[-1][1] + rows <= shard_rows:
            ranges[-1] = ((*ranges[-1][0], group), ranges[-1][1] + rows)
        else:
            ranges.append(((group,), rows))
    return ranges
