"""How the values of a table's files are read, and what came of it."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from kfp_ct.data.tables.csv_settings import Csv


@dataclasses.dataclass(frozen=True)
class Reading:
    """What users say of the files of a table.

    Attributes:
        null_values: Texts that stand for a missing value in every column (in CSV, nothing at all always does).
        types: SQL types of columns; those of others are found.
        csv: How CSV files are written.
    """

    null_values: Sequence[str] = ()
    types: Mapping[str, str] = dataclasses.field(default_factory=dict)
    csv: Csv = dataclasses.field(default_factory=Csv)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table that files become.

    Attributes:
        name: Its name.
        files: The files, all of one format.
        format: One of `files.FORMATS`.
        reading: What users say of them.
    """

    name: str
    files: Sequence[Path]
    format: str
    reading: Reading = Reading()


@dataclasses.dataclass(frozen=True)
class Loaded:
    """Files that have become a table.

    Attributes:
        rows: Rows read.
        rejected: Rows set aside, because a value does not fit.
        files: Files that are still read from.
        null_marks: Of each column, the texts that were read as a missing value, and how often.
    """

    rows: int
    rejected: int
    files: list[Path]
    null_marks: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
