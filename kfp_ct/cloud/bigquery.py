"""Tables and queries of BigQuery as Parquet files: read by the Storage Read API, a piece at a time.

`BIGQUERY_EMULATOR_HOST` (a URL) and `BIGQUERY_STORAGE_EMULATOR_HOST` (host:port) name other servers; they are asked
without credentials.
"""

import contextlib
import datetime
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.cloud.bigquery_access import Access

# Streams read at once; each holds one row group in memory.
STREAMS = 4
GROUP_ROWS, GROUP_BYTES = 50_000, 64 << 20
LABELS = {"managed_by": "kfp-ct"}


def read_table(table: str, access: Access, folder: Path) -> list[Path]:
    """Copies a table or a view, `project.dataset.table`, to Parquet files.

    Raises:
        ConfigurationError: It may not be read, or would read more than allowed.
        DataError: There is no such table.
    """
    with _explained(table, access.section), connected(access) as client:
        found = client.get_table(table)
        if found.table_type in ("VIEW", "MATERIALIZED_VIEW", "EXTERNAL"):
            return _run(client, table, f"SELECT * FROM `{table}`", {}, access, folder)  # noqa: S608 - no value in it
        return _fetch(table, found.reference, client.project, access, folder)


def read_query(
    file: str, sql: str, parameters: Mapping[str, datetime.datetime | None], access: Access, folder: Path
) -> list[Path]:
    """Runs a query and copies its result to Parquet files; a dry run comes first and its estimate is said.

    Args:
        file: What the query is known as.
        sql: BigQuery's SQL.
        parameters: Values of its named parameters, TIMESTAMPs in UTC.
        access: Who pays, and how much at most.
        folder: Folder of the files; it is made.

    Raises:
        ConfigurationError: The query is not valid, may not be run, or would read more than allowed.
        DataError: A table in it is not there.
    """
    with _explained(file, access.section), connected(access) as client:
        return _run(client, file, sql, parameters, access, folder)


def modified(table: str, access: Access) -> str:
    """Returns a text that changes whenever a table does.

    Raises:
        ConfigurationError: It may not be read.
        DataError: There is no such table.
    """
    with _explained(table, access.section), connected(access) as client:
        found = client.get_table(table)
        return f"{found.etag} {found.modified}"


def columns(table: str, access: Access) -> list[str] | None:
    """Returns the columns of `project.dataset.table`; None where its data set has no such table.

    Raises:
        ConfigurationError: It may not be looked at.
        DataError: There is no such data set.
    """
    from google.api_core.exceptions import NotFound

    with _explained(table, access.section), connected(access) as client:
        client.get_dataset(table.rpartition(".")[0])
        try:
            return [field.name for field in client.get_table(table).schema]
        except NotFound:
            return None


def table_names(dataset: str, access: Access) -> list[str]:
    """Returns the names of the tables of `project.dataset`.

    Raises:
        ConfigurationError: It may not be read.
        DataError: There is no such dataset.
    """
    with _explained(dataset, access.section), connected(access) as client:
        return [each.table_id for each in client.list_tables(dataset)]


def _run(
    client: Any, name: str, sql: str, parameters: Mapping[str, datetime.datetime | None], access: Access, folder: Path
) -> list[Path]:
    from google.cloud import bigquery

    def config(**kwargs: Any) -> Any:
        values = {key: value and value.replace(tzinfo=datetime.UTC) for key, value in parameters.items()}
        return bigquery.QueryJobConfig(
            query_parameters=[bigquery.ScalarQueryParameter(key, "TIMESTAMP", value) for key, value in values.items()],
            maximum_bytes_billed=access.max_bytes_billed,
            labels={**access.labels, **LABELS},
            **kwargs,
        )

    estimate = client.query(sql, job_config=config(dry_run=True, use_query_cache=False)).total_bytes_processed or 0
    task_log.progress(f"{name}: BigQuery will read {_bytes(estimate)} of at most {_bytes(access.max_bytes_billed)}")
    _require_affordable(name, estimate, access)
    job = client.query(sql, job_config=config())
    job.result(max_results=1)
    return _fetch(name, job.destination, client.project, access, folder)


def _fetch(name: str, table: Any, project: str, access: Access, folder: Path) -> list[Path]:
    from google.cloud.bigquery_storage_v1 import types

    folder.mkdir(parents=True)
    with _read_client() as client:
        path = f"projects/{table.project}/datasets/{table.dataset_id}/tables/{table.table_id}"
        session = client.create_read_session(
            parent=f"projects/{project}",
            read_session=types.ReadSession(table=path, data_format=types.DataFormat.ARROW),
            max_stream_count=STREAMS,
        )
        if not table.dataset_id.startswith("_"):
            task_log.progress(f"{name}: BigQuery's storage will read {_bytes(session.estimated_total_bytes_scanned)}")
            _require_affordable(name, session.estimated_total_bytes_scanned, access)
        schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
        targets = [folder / f"{number:05d}.parquet" for number in range(max(1, len(session.streams)))]
        if not session.streams:
            _write(targets[0], schema, iter(()))
        with ThreadPoolExecutor(STREAMS) as pool:
            batches = [_batches(client, session, stream.name) for stream in session.streams]
            list(pool.map(_write, targets, [schema] * len(batches), batches))
    return targets


def _batches(client: Any, session: Any, stream: str) -> Iterator[pa.RecordBatch]:
    for page in client.read_rows(stream).rows(session).pages:
        yield page.to_arrow()


def _write(target: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    """Writes batches, which are small, as row groups of some size."""
    held: list[pa.RecordBatch] = []
    with pyarrow.parquet.ParquetWriter(target, schema) as writer:
        for batch in batches:
            held.append(batch)
            if sum(b.num_rows for b in held) >= GROUP_ROWS or sum(b.nbytes for b in held) >= GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(held, schema))
                held.clear()
        writer.write_table(pa.Table.from_batches(held, schema))


def _require_affordable(name: str, estimate: int, access: Access) -> None:
    if estimate > access.max_bytes_billed:
        raise ConfigurationError(
            f"{name} would read {_bytes(estimate)}, allowed are {_bytes(access.max_bytes_billed)}\n"
            "expected: to stay below max_bytes_billed; nothing was run\n"
            f"fix: read fewer columns or partitions, or raise {access.section}.max_bytes_billed"
        )


@contextlib.contextmanager
def connected(access: Access) -> Iterator[Any]:
    """Opens the official client."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    anonymous: Any = AnonymousCredentials  # it has no annotations
    credentials = anonymous() if os.environ.get("BIGQUERY_EMULATOR_HOST") else None
    client = bigquery.Client(access.project or None, credentials, location=access.location or None)
    with contextlib.closing(client):
        yield client


@contextlib.contextmanager
def _read_client() -> Iterator[Any]:
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient
    from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

    if host := os.environ.get("BIGQUERY_STORAGE_EMULATOR_HOST"):
        import grpc

        client = BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=grpc.insecure_channel(host)))
    else:
        client = BigQueryReadClient()
    with client:
        yield client


@contextlib.contextmanager
def _explained(name: str, section: str) -> Iterator[None]:
    """Turns BigQuery's refusals into messages that say what fixes them."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (exceptions.Forbidden, exceptions.Unauthorized, GoogleAuthError) as error:
        raise ConfigurationError(
            f"{name} may not be read from BigQuery: {first_line(error)}\n"
            "expected: the roles BigQuery Data Viewer on the data, BigQuery Job User and BigQuery Read Session User\n"
            "fix: grant them to the service account that runs this, or run gcloud auth application-default login"
        ) from error
    except exceptions.NotFound as error:
        raise DataError(
            f"{name}: BigQuery does not find something: {first_line(error)}\n"
            f"expected: project.dataset.table in the location of {section}\n"
            "fix: correct the name or the location"
        ) from error
    except exceptions.GoogleAPICallError as error:
        raise _refused(name, error, section) from error
    except OSError as error:
        if "Project was not passed" not in str(error):
            raise
        raise ConfigurationError(
            "it is not known which project BigQuery's jobs run in\nexpected: the credentials' project, or a setting\n"
            f"fix: set {section}.project in the settings file"
        ) from error


def _refused(name: str, error: Any, section: str) -> ConfigurationError | DataError:
    message = first_line(error)
    if "bytes billed" in message:
        return ConfigurationError(
            f"{name} reads more than is allowed: {message}\nexpected: to stay below max_bytes_billed\n"
            f"fix: read fewer columns or partitions, or raise {section}.max_bytes_billed"
        )
    if error.code == 400:
        return ConfigurationError(
            f"{name} is not a valid query for BigQuery: {message}\n"
            "expected: GoogleSQL; @window_start and @window_end are TIMESTAMPs, DATETIME(@window_start) converts one\n"
            "fix: correct the query"
        )
    return DataError(f"{name}: BigQuery failed: {message}\nexpected: an answer\nfix: run again")


def first_line(error: BaseException) -> str:
    """Returns what BigQuery said, without the request."""
    text = getattr(error, "message", "") or str(error)
    # The client puts the request's method and address in front.
    return " ".join(re.sub(r"^[A-Z]+ https?://\S+ ", "", str(text)).split("\n\n")[0].split())


def _bytes(number: int) -> str:
    amount, unit = float(number), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.3g} {unit}"
