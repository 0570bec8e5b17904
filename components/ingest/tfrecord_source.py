"""TFRecord files of tf.Example become a table: a column a feature, a list where a row has several values."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import dataclasses
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet
from tfx_bsl.coders import example_coder

from kfp_ct.base.errors import DataError
from kfp_ct.data import layouts, tfrecord
from kfp_ct.data.tables import file_columns, quoting
from kfp_ct.data.tables.files import DataFile
from kfp_ct.data.tables.quoting import identifier, literal
from kfp_ct.data.tables.reading import Table

# A feature that has no value anywhere says nothing of its type.
UNKNOWN = "?"
# Bytes that are UTF-8 in every row are texts; others stay bytes.
BYTES, TEXTS = "bytes", "large_binary"


@dataclasses.dataclass(frozen=True)
class _Types:
    """The kinds of features, and those that have several values in a row."""

    kinds: dict[str, str]
    several: set[str]


def load(connection: duckdb.DuckDBPyConnection, table: Table, folder: Path) -> list[Path]:
    """Makes a view of TFRecord files by way of Parquet, a file a batch; returns the Parquet files.

    Bytes are texts where all values of a feature are UTF-8.

    Raises:
        DataError: A file is broken, or a feature has values of two types.
    """
    source = table.name
    folder.mkdir(parents=True)
    decoder = example_coder.ExamplesToRecordBatchDecoder()
    kinds: dict[str, str] = {}
    several: set[str] = set()
    binary: set[str] = set()
    written: dict[Path, Path] = {}  # each with the file that it was made of
    for file in table.files:
        for records in tfrecord.read(file, layouts.BATCH_ROWS):
            batch = tfrecord.decode(decoder, records, file)
            _note(source, file, batch, kinds, several)
            binary |= _without_texts(batch)
            target = folder / f"{len(written):06d}.parquet"
            written[target] = file
            _write(batch, target)
    if not kinds:
        raise DataError(f"source {source} has no rows, or no features\nexpected: tf.Examples with features")
    _require_names(source, kinds)
    marked = file_columns.wanted(table)
    types = _Types({**kinds, **dict.fromkeys(binary, BYTES)}, several)
    connection.execute(_view(source, types, list(written), file_columns.FILE if marked else ""))
    if marked:
        made = [DataFile(path, file.name, origin=file) for path, file in written.items()]
        file_columns.add(connection, table, file_columns.names_of_files(table, made))
    return list(written)


def _note(source: str, file: Path, batch: pa.RecordBatch, kinds: dict[str, str], several: set[str]) -> None:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        kind = UNKNOWN if pa.types.is_null(column.type) else str(column.type.value_type)
        known = kinds.get(name, UNKNOWN)
        if UNKNOWN not in (kind, known) and kind != known:
            raise DataError(
                f"source {source}: feature {name} holds {kind} in {file.name}, and {known} before\n"
                "expected: one type a feature\nfix: write the files again, or narrow the source to like files"
            )
        kinds[name] = known if kind == UNKNOWN else kind
        if kind != UNKNOWN and (pa.compute.max(pa.compute.list_value_length(column)).as_py() or 0) > 1:
            several.add(name)


def _write(batch: pa.RecordBatch, path: Path) -> None:
    columns = {
        name: column
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
        if not pa.types.is_null(column.type)
    }
    # Rows count even where no feature has a value.
    rows = {"ct_row": pa.array(range(batch.num_rows), pa.int64())}
    # Statistics leave NaN out, and DuckDB would take conditions to hold for it that do not.
    pyarrow.parquet.write_table(pa.table({**rows, **columns}), path, write_statistics=False)


def _without_texts(batch: pa.RecordBatch) -> set[str]:
    return {
        name
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
        if not pa.types.is_null(column.type)
        and pa.types.is_large_binary(column.type.value_type)
        and not tfrecord.are_texts(column.flatten())
    }


def _require_names(source: str, kinds: dict[str, str]) -> None:
    lower = [name.lower() for name in kinds]
    if twice := sorted(name for name in kinds if lower.count(name.lower()) > 1):
        raise DataError(
            f"source {source}: features are told apart by upper and lower case only: {', '.join(twice)}\n"
            "expected: names that differ in more, as SQL's do\nfix: rename them where the files are written"
        )


def _view(source: str, types: _Types, files: list[Path], with_file: str) -> str:
    kinds, several = types.kinds, types.several

    def column(name: str) -> str:
        if kinds[name] == UNKNOWN:
            return f"NULL::VARCHAR AS {identifier(name)}"
        values = identifier(name) if name in several else f"{identifier(name)}[1]"
        if str(kinds[name]) == TEXTS:
            values = (
                f"list_transform({values}, lambda value: decode(value))" if name in several else f"decode({values})"
            )
        return f"{values} AS {identifier(name)}"

    paths = quoting.paths(files)
    file, option = (f", {identifier(with_file)}", f", filename = {literal(with_file)}") if with_file else ("", "")
    return (
        f"CREATE VIEW {identifier(source)} AS SELECT {', '.join(map(column, kinds))}{file}"
        f" FROM read_parquet({paths}, union_by_name = true, hive_partitioning = false{option})"
    )
