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
        file: Name of a further column that holds the path of a row's file; empty for none.
    """

    null_values: Sequence[str] = ()
    types: Mapping[str, str] = dataclasses.field(default_factory=dict)
    csv: Csv = dataclasses.field(default_factory=Csv)
    file: str = ""


@dataclasses.dataclass(frozen=True)
class FromNames:
    """What a row's file is called becomes columns.

    Attributes:
        names: The name of each file below the folder that the source names, as users know it.
        column: The column of the file's name; empty for none.
        partitions: Whether folders such as `year=2013` are columns.
    """

    names: Mapping[Path, str]
    column: str = ""
    partitions: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table that files become.

    Attributes:
        name: Its name.
        files: The files, all of one format.
        format: One of `files.FORMATS`.
        reading: What users say of them.
        from_names: Columns that the files' names say.
    """

    name: str
    files: Sequence[Path]
    format: str
    reading: Reading = Reading()
    from_names: FromNames | None = None


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
