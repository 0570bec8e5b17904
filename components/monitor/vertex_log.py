"""Vertex AI's own log of an endpoint, a BigQuery table, as the files that the prediction service would have written.

    endpoint STRING, deployed_model_id STRING, logging_time TIMESTAMP, request_id NUMERIC,
    request_payload REPEATED STRING, response_payload REPEATED STRING

See https://cloud.google.com/vertex-ai/docs/predictions/online-prediction-logging. A version is deployed under its own
number, so `deployed_model_id` is the version. The table has no latency and no failed requests: those are Cloud
Monitoring's to tell.
"""

import bisect
import collections
import contextlib
import dataclasses
import datetime
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kfp_ct.base import task_log
from kfp_ct.base.errors import DataError
from kfp_ct.cloud import bigquery
from kfp_ct.components.monitor import request_log, vertex_metrics, vertex_payloads
from kfp_ct.components.monitor.vertex_metrics import Moment, Served
from kfp_ct.components.monitor.vertex_payloads import INSTANCES, PREDICTIONS, Column, PayloadError, Row
from kfp_ct.models import vertex_log_settings
from kfp_ct.models.vertex_log_settings import VertexLog

COLUMNS = vertex_log_settings.COLUMNS[1:]  # the endpoint is asked for
# What nothing in the table tells.
UNKNOWN = ("errors", "latency")
_GROUP_ROWS = 20_000
_NAMED = 3  # requests that cannot be read are named so many of a file
_SIDES = {"inputs": INSTANCES, "outputs": PREDICTIONS}

Columns = dict[tuple[str, str, str], Column]  # by version, side and name


@dataclasses.dataclass
class Exchange:
    """A request and its answer.

    Attributes:
        version: The version that answered.
        time: When, in microseconds since 1970.
        request_id: Vertex AI's number of the request.
        rows: By side (`inputs`, `outputs`), a row for each that was asked.
        problem: Why it cannot be read; empty if it can.
        answered_badly: Whether it is the answer that cannot be read.
    """

    version: str
    time: int
    request_id: str
    rows: dict[str, list[Row]] = dataclasses.field(default_factory=dict)
    problem: str = ""
    answered_badly: bool = False


@contextlib.contextmanager
def local(source: str, log: VertexLog, model: str, moments: Sequence[datetime.datetime]) -> Iterator[str]:
    """Lends the folder of a log that holds what was asked between the first moment and the last.

    Args:
        source: The table, bq://project.dataset.table.
        log: How it is read.
        model: What the folder calls the model.
        moments: Start and end, and what lies between: no file has rows of before one and of after it.

    Raises:
        ConfigurationError: The table may not be read, or would read more than allowed.
        DataError: There is no such table, or it is not one that Vertex AI writes.
    """
    table = vertex_log_settings.table_of(source)
    access = log.bigquery.model_copy(update={"project": log.bigquery.project or table.partition(".")[0]})
    moments = sorted({moment.astimezone(datetime.UTC) for moment in moments})
    with tempfile.TemporaryDirectory(prefix="ct-request-log-") as folder:
        found = bigquery.read_query(
            source, _sql(table, log), {"start": moments[0], "end": moments[-1]}, access, Path(folder) / "rows"
        )
        served = vertex_metrics.read(access.project, log, moments[0], moments[-1]) if log.metrics else {}
        root = Path(folder) / "log"
        (root / model).mkdir(parents=True)
        counted = _Files(root / model, log, moments, served).write(found)
        text = ", ".join(f"{number:,} of v{version}" for version, number in sorted(counted.items())) or "none"
        task_log.progress(f"requests of the endpoint {log.endpoint} in {source}: {text}")
        yield str(root)


def _sql(table: str, log: VertexLog) -> str:
    """Returns the query: names were checked by their settings, times are parameters."""
    name = f"/locations/{log.location}/endpoints/{log.endpoint}" if log.location else f"/endpoints/{log.endpoint}"
    ours = f"(endpoint = '{log.endpoint}' OR ENDS_WITH(endpoint, '{name}'))"
    return (
        f"SELECT {', '.join(COLUMNS)} FROM `{table}` "  # noqa: S608
        f"WHERE logging_time >= @start AND logging_time < @end AND {ours}"
    )


class _Files:
    """The files of a log: of each version, none with rows of two periods."""

    def __init__(
        self, folder: Path, log: VertexLog, moments: Sequence[datetime.datetime], served: Mapping[Moment, Served]
    ) -> None:
        """Takes what Cloud Monitoring has; writes nothing."""
        self._folder, self._log = folder, log
        self._starts = [_microseconds(moment) for moment in moments]
        self._columns: Columns = collections.defaultdict(Column)
        self._served: dict[tuple[str, int], list[tuple[datetime.datetime, Served]]] = collections.defaultdict(list)
        for (version, end), each in served.items():
            # A point is of the minute before its end.
            self._served[version, self._period(_microseconds(end) - 1)].append((end, each))

    def write(self, found: Sequence[Path]) -> dict[str, int]:
        """Writes them; returns how many requests of each version the table has."""
        for exchange in (each for group in _groups(found) for each in group):
            for side, name, value in _values(exchange):
                self._columns[exchange.version, side, name].see(value)
        counted, mixed = collections.Counter[str](), {key[0] for key, each in self._columns.items() if each.is_mixed}
        for group in _groups(found):
            parts: dict[tuple[str, int], list[Exchange]] = collections.defaultdict(list)
            for exchange in group:
                parts[exchange.version, self._period(exchange.time)].append(exchange)
            for (version, period), exchanges in parts.items():
                counted[version] += len(exchanges)
                for exchange in exchanges if version in mixed else ():
                    _require_forms(exchange, self._columns)
                self._write_rows(exchanges, (version, period) in self._served)
        for (version, _), minutes in self._served.items():
            if version.isdigit():
                self._write_served(version, minutes)
        return dict(counted)

    def _period(self, time: int) -> int:
        return bisect.bisect_right(self._starts, time)

    def _write_rows(self, exchanges: list[Exchange], is_counted: bool) -> None:
        """Writes requests of one version as the service writes them.

        Args:
            exchanges: What was asked and answered.
            is_counted: Whether Cloud Monitoring says how many requests there were.
        """
        good = [each for each in exchanges if not each.problem]
        bad = [each for each in exchanges if each.problem]
        failed, sample = sum(each.answered_badly for each in bad), self._log.sample
        said = {
            "requests": 0 if is_counted else round(len(exchanges) / sample), "sampled": len(exchanges),
            "lost": len(bad) - failed, "errors": {"payload": round(failed / sample)} if failed else {},
            "unknown": () if is_counted else UNKNOWN,
            "problems": [f"request {each.request_id}: {each.problem}" for each in bad[:_NAMED]],
        }  # fmt: skip
        self._write(exchanges[0].version, max(each.time for each in exchanges), good, said)

    def _write_served(self, version: str, minutes: Sequence[tuple[datetime.datetime, Served]]) -> None:
        """Writes what Cloud Monitoring has of one version in one period: a file without rows."""
        errors, latencies = collections.Counter[str](), collections.Counter[float]()
        for _, each in minutes:
            errors.update(each.errors)
            latencies.update(each.latencies)
        said = {"requests": sum(each.requests for _, each in minutes), "errors": dict(errors)}
        said |= {"latencies": sorted(latencies.items())}
        self._write(version, max(_microseconds(end) for end, _ in minutes) - 1, [], said)

    def _write(self, version: str, time: int, exchanges: list[Exchange], said: Mapping[str, Any]) -> None:
        written = datetime.datetime.fromtimestamp(time / 1e6, datetime.UTC)
        metadata = {request_log.METADATA: json.dumps({"written": written.isoformat(), **said})}
        folder = self._folder / version
        folder.mkdir(exist_ok=True)
        table = _table(exchanges, version, self._columns).replace_schema_metadata(metadata)
        name = f"{written:%Y%m%dT%H%M%S.%f}-{len(list(folder.iterdir()))}.parquet"
        pq.write_table(table, folder / name, compression="zstd")


def _microseconds(moment: datetime.datetime) -> int:
    return round(moment.timestamp() * 1e6)


def _groups(found: Sequence[Path]) -> Iterator[list[Exchange]]:
    for path in found:
        file = pq.ParquetFile(path)
        if missing := [name for name in COLUMNS if name not in file.schema_arrow.names]:
            raise DataError(
                f"the log has no column {' and no column '.join(missing)}\n"
                "expected: a table that Vertex AI logs an endpoint's requests to\nfix: correct request_log"
            )
        for batch in file.iter_batches(_GROUP_ROWS, columns=list(COLUMNS)):
            yield [_exchange(row) for row in _with_microseconds(batch).to_pylist()]


def _with_microseconds(batch: pa.RecordBatch) -> pa.Table:
    table = pa.Table.from_batches([batch])
    times = table["logging_time"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    return table.set_column(table.column_names.index("logging_time"), "logging_time", times)


def _exchange(row: dict[str, Any]) -> Exchange:
    number = str(row["request_id"]) if row["request_id"] is not None else ""
    if "." in number:  # a NUMERIC has digits behind its point wherever it comes as such
        number = number.rstrip("0").rstrip(".")
    version = str(row["deployed_model_id"] or "")
    found = Exchange(version if version.isdigit() else "0", row["logging_time"], number)
    try:
        found.rows["inputs"] = vertex_payloads.rows(row["request_payload"], INSTANCES)
        found.answered_badly = True
        found.rows["outputs"] = vertex_payloads.rows(row["response_payload"], PREDICTIONS)
        instances, predictions = (len(each) for each in found.rows.values())
        if instances != predictions:
            raise PayloadError(f"{instances} instances were answered by {predictions} predictions")
        found.answered_badly = False
    except PayloadError as error:
        found.problem = str(error)
    return found


def _values(exchange: Exchange) -> Iterator[tuple[str, str, Any]]:
    if not exchange.problem:
        for side, rows in exchange.rows.items():
            for row in rows:
                yield from ((side, name, value) for name, value in row.items())


def _require_forms(exchange: Exchange, columns: Columns) -> None:
    for side, name, value in _values(exchange):
        if not columns[exchange.version, side, name].fits(value):
            exchange.problem = f"{name} is {json.dumps(value)[:40]}, of another form than most values of it"
            exchange.answered_badly = side == "outputs"
            return


def _table(exchanges: list[Exchange], version: str, columns: Columns) -> pa.Table:
    counts = [len(each.rows["inputs"]) for each in exchanges]
    numbers = [number for count in counts for number in range(count)]
    found: dict[str, Any] = {
        "request_id": pa.array(_repeated([each.request_id for each in exchanges], counts), pa.string()),
        "row": pa.array(numbers, pa.int32()),
        "time": pa.array(_repeated([each.time for each in exchanges], counts), pa.timestamp("us", "UTC")),
        "latency_ms": pa.nulls(len(numbers), pa.float32()),
    }
    for side in _SIDES:
        names = sorted(name for of, where, name in columns if (of, where) == (version, side))
        rows = [row for each in exchanges for row in each.rows[side]]
        arrays = [columns[version, side, name].array([row.get(name) for row in rows]) for name in names]
        if arrays:  # Parquet has no struct without fields
            found[side] = pa.StructArray.from_arrays(arrays, names=names)
    return pa.table(found)


def _repeated(values: Sequence[Any], counts: Sequence[int]) -> list[Any]:
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]
