"""Reads the prediction service's request log: one period of one version in full, the others as counts.

    <root>/<model>/<version>/<YYYYMMDDTHHMMSS.ffffff>-<pid>.parquet

Columns `request_id`, `row`, `time`, `latency_ms`, `inputs` and `outputs` (structs); the file's metadata `serving` is
JSON with what was counted since the version's file before.
"""

import collections
import dataclasses
import datetime
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kfp_ct.base.errors import ConfigurationError

METADATA = b"serving"
_NAME_FORMAT = "%Y%m%dT%H%M%S.%f"
_SIDES = ("inputs", "outputs")
SHADOW = "shadow"
COUNTS = ("requests", "sampled", "dropped", "lost")


@dataclasses.dataclass(frozen=True)
class Period:
    """A span of time: `start` inclusive, `end` exclusive."""

    start: datetime.datetime
    end: datetime.datetime

    @property
    def before(self) -> "Period":
        """The period of the same length before it."""
        return Period(self.start - (self.end - self.start), self.start)

    def __contains__(self, moment: datetime.datetime) -> bool:
        """Whether a moment is in it."""
        return self.start <= moment < self.end

    def to_json(self) -> dict[str, str]:
        """Returns it as JSON."""
        return {"start": self.start.isoformat(), "end": self.end.isoformat()}


@dataclasses.dataclass(frozen=True)
class Traffic:
    """One version's traffic in one period.

    Attributes:
        rows: One row a row that was asked, the newest of those with the same id: `request_id`, `row`, `time`,
            `latency_ms`, and structs `inputs` and `outputs`; a sample evenly over the files where there were more.
        logged: Rows that were logged, those that were not read included.
        counts: What the service counted: requests, sampled, dropped, lost, and `error_<status>`.
        unreadable: Files that are no Parquet files, or have other columns or types than the newest; of Vertex AI's log
            some of the requests that cannot be read, and why.
        unknown: What the log does not tell: errors, latency.
        latencies: Of a log whose rows have none: milliseconds, and how many requests took so long.
    """

    rows: pa.Table
    logged: int
    counts: dict[str, int]
    unreadable: list[str]
    unknown: tuple[str, ...] = ()
    latencies: tuple[tuple[float, int], ...] = ()


def versions(root: str, model: str) -> list[str]:
    """Returns the versions that have a log, lowest first.

    Raises:
        ConfigurationError: There is no such folder.
    """
    if not Path(root).is_dir():
        raise no_log(root)
    folder = Path(root) / model
    found = [path.name for path in folder.iterdir() if path.name.isdigit()] if folder.is_dir() else []
    return sorted(found, key=int)


def no_log(root: str) -> ConfigurationError:
    """Returns the error for a place that nothing was logged to."""
    return ConfigurationError(
        f"there is no request log at {root}\nexpected: the folder that the prediction service logs to\n"
        "fix: serve with `--request-log` (ct serve --request-log FOLDER), or correct request_log"
    )


def seen_by_clients(metadata: Mapping[str, Any]) -> bool:
    """Whether a file's answers were given to clients, which a shadow's were not."""
    return metadata.get("role") != SHADOW


def read(
    root: str,
    model: str,
    version: str,
    period: Period,
    limits: tuple[int, str],
    chosen: Callable[[Mapping[str, Any]], bool] = seen_by_clients,
) -> Traffic:
    """Reads one version's traffic in a period.

    Args:
        root: Folder of the log.
        model: Model.
        version: Version.
        period: Which rows, by their time.
        limits: Rows to read at most, and the signature.
        chosen: Which files are read, by their metadata.
    """
    most, signature = limits
    counts: collections.Counter[str] = collections.Counter(dict.fromkeys(COUNTS, 0))
    unreadable: list[str] = []
    unknown: set[str] = set()
    latencies: collections.Counter[float] = collections.Counter()
    tables: dict[str, pa.Table] = {}
    for path in _files(Path(root) / model / version, period):
        try:
            counted, table, said = _read(path, period, signature, chosen)
        except (OSError, ValueError, pa.ArrowException):
            unreadable.append(path.name)
            continue
        counts.update(counted)
        unreadable += said.get("problems", ())
        unknown |= set(said.get("unknown", ()))
        latencies.update(dict(said.get("latencies", ())))
        if len(table):
            tables[path.name] = table
    logged = sum(len(table) for table in tables.values())
    stride = -(-logged // most) if logged else 1
    tables = _with_like_strings(tables)
    # Files of one version have one schema; one that has not is another program's.
    schema = next((table.schema for table in reversed(tables.values())), None)
    unreadable += [name for name, table in tables.items() if table.schema != schema]
    fitting = [_sample(table, stride) for table in tables.values() if table.schema == schema]
    rows, times = _concatenate(fitting), tuple(sorted(latencies.items()))
    return Traffic(rows, logged, dict(counts), unreadable, tuple(sorted(unknown)), times)


def _with_like_strings(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Returns tables in which a field that is bytes in any of them is bytes in all: a file has texts where it can."""
    binary = {
        (side, field.name)
        for table in tables.values()
        for side in _SIDES
        for field in columns(table, side).schema
        if pa.types.is_binary(_value_type(field.type))
    }
    return {name: _with_bytes(table, binary) for name, table in tables.items()} if binary else tables


def _with_bytes(table: pa.Table, binary: Collection[tuple[str, str]]) -> pa.Table:
    for side in _SIDES:
        if side not in table.column_names:
            continue
        fields = {
            field.name: _as_bytes(column) if (side, field.name) in binary else column
            for field, column in zip(table.schema.field(side).type, _fields(table, side), strict=True)
        }
        struct = pa.StructArray.from_arrays(list(fields.values()), names=list(fields))
        table = table.set_column(table.column_names.index(side), side, struct)
    return table


def _as_bytes(column: pa.Array) -> pa.Array:
    if not pa.types.is_list(column.type):
        return column.cast(pa.binary())
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    missing = np.append(~column.is_valid().to_numpy(zero_copy_only=False), False)
    ends = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32(), mask=missing)
    return pa.ListArray.from_arrays(ends, column.flatten().cast(pa.binary()))


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if is_vector(kind) else kind


def columns(rows: pa.Table, side: str) -> pa.Table:
    """Returns the fields of `inputs` or `outputs` as a table of columns."""
    if side not in rows.column_names:
        return pa.table({})
    return pa.table(dict(zip([field.name for field in rows.schema.field(side).type], _fields(rows, side), strict=True)))


def _fields(rows: pa.Table, side: str) -> list[pa.Array]:
    struct = rows[side].combine_chunks()
    if isinstance(struct, pa.ChunkedArray):  # as some releases of pyarrow return it
        struct = pa.concat_arrays(struct.chunks)
    return struct.flatten()


def is_vector(kind: pa.DataType) -> bool:
    """Whether a column has several values a row; older releases of pyarrow do not call every list nested."""
    return pa.types.is_nested(kind) or pa.types.is_fixed_size_list(kind)


def _files(folder: Path, period: Period) -> Iterator[Path]:
    """Yields the files that may have rows of the period: a file is written after its rows were answered."""
    for path in sorted(folder.glob("*.parquet")):
        at = written(path)
        if at is None or at >= period.start:
            yield path


def written(path: Path) -> datetime.datetime | None:
    """Returns when a file was written, by its name; None for other names."""
    try:
        return datetime.datetime.strptime(path.stem.partition("-")[0], _NAME_FORMAT).replace(tzinfo=datetime.UTC)
    except ValueError:
        return None


def _read(
    path: Path, period: Period, signature: str, chosen: Callable[[Mapping[str, Any]], bool]
) -> tuple[dict[str, int], pa.Table, dict[str, Any]]:
    """Returns counts, rows and what else the file says of itself, of what lies in the period."""
    schema = pq.read_schema(path)
    metadata: dict[str, Any] = json.loads((schema.metadata or {}).get(METADATA, b"{}"))
    if not chosen(metadata):
        return {}, schema.empty_table(), {}
    table = _without(pq.read_table(path), metadata.get("hidden", ()))
    written = datetime.datetime.fromisoformat(metadata["written"]) if "written" in metadata else None
    counts, said = {}, {}
    if written is not None and written in period:
        said = metadata
        counts = {name: int(metadata.get(name, 0)) for name in COUNTS}
        counts |= {f"error_{status}": int(number) for status, number in metadata.get("errors", {}).items()}
    if metadata.get("signature", signature) != signature:
        return counts, table.slice(0, 0), said
    kind = table.schema.field("time").type
    start, end = (pa.scalar(moment, pa.timestamp("us", "UTC")).cast(kind) for moment in (period.start, period.end))
    inside = pc.and_(pc.greater_equal(table["time"], start), pc.less(table["time"], end))
    return counts, table.filter(inside).replace_schema_metadata(None), said


def _without(table: pa.Table, hidden: Collection[str]) -> pa.Table:
    """Leaves out columns of which the log has digests: they have another distribution than the values in training."""
    for side in _SIDES if hidden else ():
        if side not in table.column_names:
            continue
        shown = {name: column for name, column in _columns_of(table, side) if name not in hidden}
        place = table.column_names.index(side)
        if shown:
            struct = pa.StructArray.from_arrays(list(shown.values()), names=list(shown))
            table = table.set_column(place, side, struct)
        else:  # there is no struct without fields
            table = table.remove_column(place)
    return table


def _columns_of(table: pa.Table, side: str) -> Iterator[tuple[str, pa.Array]]:
    return zip([field.name for field in table.schema.field(side).type], _fields(table, side), strict=True)


def _sample(table: pa.Table, stride: int) -> pa.Table:
    return table if stride == 1 else table.take(pa.array(range(0, len(table), stride)))


def _concatenate(tables: list[pa.Table]) -> pa.Table:
    if not tables:
        return pa.table({"request_id": pa.array([], pa.string()), "row": pa.array([], pa.int32())})
    return _keep_newest(pa.concat_tables(tables))


def _keep_newest(table: pa.Table) -> pa.Table:
    """Keeps the newest of the rows that have an id and a number in common: a client asked again."""
    numbered = table.select(["request_id", "row", "time"]).append_column("place", pa.array(range(len(table))))
    ordered = numbered.sort_by([("time", "ascending"), ("place", "ascending")])
    keys = zip(ordered["request_id"].to_pylist(), ordered["row"].to_pylist(), strict=True)
    last = dict(zip(keys, ordered["place"].to_pylist(), strict=True))
    return table if len(last) == len(table) else table.take(pa.array(sorted(last.values())))
