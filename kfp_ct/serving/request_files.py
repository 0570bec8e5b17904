"""The files of the request log: answers of one model version and signature as one Parquet table a file."""

import dataclasses
import datetime
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kfp_ct.serving.values import MISSING_INT, Inputs, Lists

METADATA = b"serving"
_PARTIAL = ".partial"
# A partial file that is older than this was left by a process that was killed.
_ABANDONED_SECONDS = 3600.0


@dataclasses.dataclass(frozen=True)
class Part:
    """The part that a version has in a release: live, canary or shadow; its share of the traffic in percent."""

    role: str = "live"
    release: str = ""  # id; empty while none runs
    percent: int = 0

    def to_json(self) -> dict[str, Any]:
        """Returns it as a file's metadata has it."""
        return dataclasses.asdict(self) if self.release else {"role": self.role}


NO_RELEASE = Part()


@dataclasses.dataclass(frozen=True)
class Key:
    """What one file is about."""

    model: str
    version: int
    signature: str
    part: Part = NO_RELEASE


@dataclasses.dataclass(frozen=True)
class Answered:
    """A request that was answered: arrays as the model took and gave them; `time` is seconds since 1970."""

    request_id: str
    time: float
    latency_ms: float
    inputs: Inputs
    outputs: Mapping[str, np.ndarray]
    row_count: int = 0  # where inputs that told it are hidden

    @property
    def rows(self) -> int:
        """Rows that were asked about."""
        return self.row_count or max((len(array) for array in self.inputs.values() if array.ndim), default=1)


class RequestFiles:
    """Files below a folder, whose size together is bounded; one thread may use it."""

    def __init__(self, folder: Path, total_bytes: int) -> None:
        self._folder = folder
        self._total_bytes = total_bytes

    def write(self, key: Key, answers: Sequence[Answered], metadata: str) -> Path:
        """Writes a file under a hidden name and renames it; without answers it has only its metadata."""
        folder = self._folder / key.model / str(key.version)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S.%f}-{os.getpid()}"
        path, partial = folder / f"{name}.parquet", folder / f".{name}{_PARTIAL}"
        try:
            pq.write_table(to_table(answers).replace_schema_metadata({METADATA: metadata}), partial, compression="zstd")
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
        return path

    def trim(self) -> None:
        """Deletes the oldest files until the rest are no larger together than they may be."""
        for partial in self._folder.glob(f"*/*/.*{_PARTIAL}"):
            if time.time() - _stat(partial)[1] > _ABANDONED_SECONDS:
                partial.unlink(missing_ok=True)
        files = sorted(self._folder.glob("*/*/*.parquet"), key=lambda path: path.name)
        sizes = [_stat(path)[0] for path in files]
        excess = sum(sizes) - self._total_bytes
        for path, size in zip(files, sizes, strict=True):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)  # another server of the same log may have been faster
            excess -= size


def _stat(path: Path) -> tuple[int, float]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 0, time.time()
    return stat.st_size, stat.st_mtime


def to_table(answers: Sequence[Answered]) -> pa.Table:
    """Returns answers as the columns of a file."""
    rows = [answered.rows for answered in answers]
    every = np.arange(sum(rows), dtype=np.int32)
    first = np.repeat(np.cumsum([0, *rows[:-1]], dtype=np.int32) if rows else every, rows)
    times = np.array([round(answered.time * 1e6) for answered in answers], np.int64)
    columns: dict[str, Any] = {
        "request_id": pa.array([answered.request_id for answered in answers], pa.string()).take(
            pa.array(np.repeat(np.arange(len(rows)), rows))
        ),
        "row": pa.array(every - first if rows else every),
        "time": pa.array(np.repeat(times, rows), pa.timestamp("us", "UTC")),
        "latency_ms": pa.array(np.repeat(np.array([a.latency_ms for a in answers], np.float32), rows)),
    }
    for name, sides in (("inputs", [a.inputs for a in answers]), ("outputs", [a.outputs for a in answers])):
        fields = dict(_fields(sides, rows))
        if fields:  # Parquet has no struct without fields
            columns[name] = pa.StructArray.from_arrays(list(fields.values()), names=list(fields))
    return pa.table(columns)


def _fields(sides: Sequence[Inputs], rows: Sequence[int]) -> Iterator[tuple[str, pa.Array]]:
    """Yields each input or output that has a value, or a list of values, for every row; others are not logged."""
    for name in sides[0] if sides else ():
        parts = [side.get(name) for side in sides]
        lists = [part for part in parts if isinstance(part, Lists)]
        arrays = [part for part in parts if isinstance(part, np.ndarray) and part.ndim]
        if [len(part) for part in lists] == list(rows):
            yield name, _lists(lists)
        elif [len(part) for part in arrays] == list(rows):
            widths = {part.reshape(len(part), -1).shape[1] if part.size else 0 for part in arrays}
            if len(widths) == 1 and 0 not in widths:
                yield name, _column(np.concatenate([part.reshape(len(part), -1) for part in arrays]))


def _column(values: np.ndarray) -> pa.Array:
    """Returns values of shape (rows, width) as a column: of lists where there are several a row."""
    flat = _flat(values.reshape(-1))
    return flat if values.shape[1] == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _lists(parts: Sequence[Lists]) -> pa.Array:
    """Returns lists as they were sent; null where there was none."""
    lengths, present = (np.concatenate([getattr(part, name) for part in parts]) for name in ("lengths", "present"))
    values = np.concatenate([part.values for part in parts])
    if values.dtype == object:
        flat = _strings(values.tolist())
    else:
        flat = pa.array(values.astype(np.float32 if values.dtype.kind == "f" else np.int64))
    # An offset that is null makes the list at it null.
    ends = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32(), mask=np.append(~present, False))
    return pa.ListArray.from_arrays(ends, flat)


def _flat(values: np.ndarray) -> pa.Array:
    if values.dtype.kind == "f":
        return pa.array(values.astype(np.float32), from_pandas=True)  # NaN is missing
    if values.dtype.kind in "iub":
        whole = values.astype(np.int64)
        return pa.array(whole, mask=whole == MISSING_INT)
    return _strings([value or None for value in values.tolist()])


def _strings(values: list[Any]) -> pa.Array:
    """Returns strings as texts; as bytes if any of them is no text."""
    encoded = pa.array([value.encode() if isinstance(value, str) else value for value in values], pa.binary())
    try:
        return encoded.cast(pa.string())
    except pa.ArrowInvalid:
        return encoded
