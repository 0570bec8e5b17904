"""Reads examples as large blocks of rows, shuffled: what tf.data's shuffle does row by row, done by the block.

A block mixes pieces of several row groups, picked at random, and permutes the rows. Memory is bounded by the block,
whatever the number of rows.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from kfp_ct.data import layouts, reading, tfrecord

# Row groups that a shuffled block draws from.
INTERLEAVED = 8
# Values in a shuffled block, about 100 MB. The larger, the better: rows that are neighbours on disk are of one day, and
# a model that sees one season for a while forgets the others (measured on a year of flights: 0.005 AUC).
BLOCK_VALUES = 16_000_000

RowGroup = tuple[str, int]


@dataclasses.dataclass
class Blocks:
    """The blocks of some files; each iteration is an epoch, in another order if shuffled.

    Attributes:
        files: Parquet files.
        columns: Columns to read.
        seed: Seed of the orders; None keeps the files' order.
        epochs: Passes over the files in one iteration; None never ends.
        rows: Rows yielded at a time.
    """

    files: Sequence[str]
    columns: Sequence[str]
    seed: int | None = None
    epochs: int | None = 1
    rows: int = layouts.BATCH_ROWS

    def __post_init__(self) -> None:
        self._epoch = itertools.count()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for _ in itertools.count() if self.epochs is None else range(self.epochs):
            if self.seed is None:
                yield from reading.iter_batches(self.files, self.columns, self.rows)
            else:
                yield from self._shuffled(np.random.default_rng([self.seed, next(self._epoch)]))

    def _shuffled(self, random: np.random.Generator) -> Iterator[pa.RecordBatch]:
        groups = _row_groups(self.files)
        waiting = iter([groups[index] for index in random.permutation(len(groups))])
        block_rows = max(self.rows, BLOCK_VALUES // max(1, len(self.columns)))
        piece_rows = max(1, block_rows // max(1, min(INTERLEAVED, len(groups))))
        readers = [self._pieces(group, piece_rows) for group in itertools.islice(waiting, INTERLEAVED)]
        while pieces := self._draw(readers, waiting, piece_rows):
            block = pa.Table.from_batches(pieces).combine_chunks()
            order = random.permutation(block.num_rows)
            for start in range(0, block.num_rows, self.rows):
                rows = block.take(pa.array(order[start : start + self.rows]))
                yield rows.combine_chunks().to_batches()[0]

    def _draw(
        self, readers: list[Iterator[pa.RecordBatch]], waiting: Iterator[RowGroup], piece_rows: int
    ) -> list[pa.RecordBatch]:
        """Takes the next piece of every open row group; one that is exhausted makes room for the next."""
        pieces = []
        for index, reader in enumerate(readers):
            piece = next(reader, None)
            while piece is None and (group := next(waiting, None)) is not None:
                readers[index] = self._pieces(group, piece_rows)
                piece = next(readers[index], None)
            if piece is not None:
                pieces.append(piece)
        return pieces

    def _pieces(self, group: RowGroup, rows: int) -> Iterator[pa.RecordBatch]:
        file, index = group
        if layouts.is_tfrecord(file):
            yield from reading.iter_batches([file], self.columns, rows)
            return
        with pyarrow.parquet.ParquetFile(file) as parquet:
            yield from parquet.iter_batches(batch_size=rows, row_groups=[index], columns=list(self.columns))


def count_rows(files: Sequence[str]) -> int:
    """Returns the number of rows in files: Parquet's from their footers, TFRecord's by reading them."""
    return sum(
        tfrecord.count(file) if layouts.is_tfrecord(file) else pyarrow.parquet.read_metadata(file).num_rows
        for file in files
    )


def _row_groups(files: Sequence[str]) -> list[RowGroup]:
    """Returns what is read in pieces of its own; a TFRecord file has no parts."""
    return [
        (file, index)
        for file in files
        for index in range(1 if layouts.is_tfrecord(file) else pyarrow.parquet.read_metadata(file).num_row_groups)
    ]
