"""Finished shards into a BigQuery table: a load job each, whose id says what it loads: none runs twice."""

import contextlib
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet

from kfp_ct.base import task_log
from kfp_ct.base.errors import ComponentError, ConfigurationError, DataError
from kfp_ct.cloud import bigquery
from kfp_ct.cloud.bigquery_access import Access
from kfp_ct.components.predict_batch.plan import Shard
from kfp_ct.components.predict_batch.settings import TABLE
from kfp_ct.components.predict_batch.shard import Job

_TABLE = re.compile(TABLE)


def check(table: str) -> None:
    """Demands a table that can be written, or the dataset that it will be made in: before anything is scored.

    Raises:
        ConfigurationError: It is no table, or may not be written.
        DataError: There is no such dataset.
    """
    with _readable_errors(table), _connected(table) as client:
        found = _get_table(client, table)
        if found is not None and found.table_type != "TABLE":
            raise ConfigurationError(
                f"destination.table {table} is a {found.table_type.lower()}\nexpected: a table, or a new name\n"
                "fix: correct destination.table in the settings file"
            )


def load(job: Job, planned: Sequence[Shard]) -> None:
    """Appends every shard to the job's table, which the first one makes, except what is there already.

    Raises:
        ConfigurationError: The table may not be written, or its columns are not those of the predictions.
        DataError: Rows did not arrive, or BigQuery failed.
    """
    table = job.table
    columns = pyarrow.parquet.read_schema(Path(job.folder) / planned[0].file)
    expected = ", ".join(f"{field.name} {field.type}" for field in columns)
    with _readable_errors(table, f"a table with the columns {expected}"), _connected(table) as client:
        loaded = sum([shard.rows for shard in planned if _load(client, job, shard)])
        total = sum(shard.rows for shard in planned)
        _require_rows(table, client.get_table(table).num_rows or 0, total)
    before = f"; {total - loaded:,} were there already" if loaded < total else ""
    task_log.progress(f"{loaded:,} rows loaded into {table}{before}")


def _load(client: Any, job: Job, shard: Shard) -> bool:
    """Loads a shard unless it is there; returns whether it was loaded now."""
    from google.api_core import exceptions

    attempt = 0
    while True:
        job_id = _job_id(job, shard, attempt)
        try:
            found = client.get_job(job_id)
        except exceptions.NotFound:
            break
        if _was_loaded(client, job.table, found):
            return False
        attempt += 1
    try:
        found = _start(client, job.table, job_id, Path(job.folder) / shard.file)
    except exceptions.Conflict:  # the answer was lost and the client asked again, or another run was faster
        found = client.get_job(job_id)
    rows = found.result().output_rows or 0
    if rows != shard.rows:
        raise _missing(job.table, f"of {shard.file}, {rows:,} of {shard.rows:,} rows")
    return True


def _start(client: Any, table: str, job_id: str, file: Path) -> Any:
    from google.cloud import bigquery as google

    # A list becomes an ARRAY of values, not of records.
    options = google.format_options.ParquetOptions.from_api_repr({"enableListInference": True})
    config = google.LoadJobConfig(
        source_format=google.SourceFormat.PARQUET,
        create_disposition=google.CreateDisposition.CREATE_IF_NEEDED,
        write_disposition=google.WriteDisposition.WRITE_APPEND,
        parquet_options=options,
        labels=bigquery.LABELS,
    )
    with file.open("rb") as content:
        return client.load_table_from_file(
            content, table, size=file.stat().st_size, job_id=job_id, job_config=config, timeout=(60, 600)
        )


def _was_loaded(client: Any, table: str, done: Any) -> bool:
    """Returns whether a table holds what a job of a run before loaded: that it succeeded, into this very table."""
    from google.api_core import exceptions

    try:
        done.result()
    except exceptions.GoogleAPICallError:
        if not done.error_result:
            raise
        return False
    found = _get_table(client, table)
    return found is not None and found.created <= done.ended


def _job_id(job: Job, shard: Shard, attempt: int) -> str:
    """Returns the id of a load; BigQuery runs an id once, so what failed is tried again under the next attempt's."""
    into = hashlib.sha256(job.table.encode()).hexdigest()[:12]
    return f"kfp-ct-{job.identity[:32]}-{into}-{Path(shard.file).stem}-{attempt}"


def _require_rows(table: str, rows: int, total: int) -> None:
    if rows < total:
        raise _missing(table, f"the table holds {rows:,} rows, {total:,} were loaded into it")


def _missing(table: str, what: str) -> DataError:
    return DataError(
        f"{table}: {what}\nexpected: every prediction in the table\n"
        "fix: delete the table and run again; a new one is loaded from the beginning"
    )


def _get_table(client: Any, table: str) -> Any:
    from google.api_core import exceptions

    try:
        return client.get_table(table)
    except exceptions.NotFound:
        return None


@contextlib.contextmanager
def _connected(table: str) -> Iterator[Any]:
    """Connects where the dataset is: a job is found only in its own location."""
    match = _TABLE.fullmatch(table)
    if not match:
        raise ConfigurationError(
            f"destination.table is {table!r}\nexpected: project.dataset.table\nfix: correct it in the settings file"
        )
    with bigquery.connected(Access(project=match[2])) as client:
        location = client.get_dataset(match[1]).location
    with bigquery.connected(Access(project=match[2], location=location)) as client:
        yield client


@contextlib.contextmanager
def _readable_errors(table: str, expected: str = "a table") -> Iterator[None]:
    """Turns BigQuery's refusals into messages that say what fixes them."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    try:
        yield
    except (exceptions.GoogleAPIError, GoogleAuthError, RequestException) as error:
        raise _error_of(table, expected, error) from error


def _error_of(table: str, expected: str, error: Exception) -> ComponentError:
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    message = bigquery.first_line(error)
    denied = isinstance(error, exceptions.Forbidden | exceptions.Unauthorized | GoogleAuthError)
    if denied and not re.search("quota|rate limit", message, re.IGNORECASE):
        return ConfigurationError(
            f"{table} may not be written: {message}\n"
            "expected: the roles BigQuery Data Editor on its dataset and BigQuery Job User on its project\n"
            "fix: grant them to the service account that runs this, or run gcloud auth application-default login"
        )
    if isinstance(error, exceptions.NotFound):
        return DataError(
            f"{table}: BigQuery does not find something: {message}\n"
            "expected: the project and the dataset to be there; the table is made\n"
            "fix: make the dataset (bq mk), or correct destination.table in the settings file"
        )
    if isinstance(error, exceptions.BadRequest):
        return ConfigurationError(
            f"{table} does not take the predictions: {message}\nexpected: {expected}\n"
            "fix: name another table, or change this one's columns; then run again"
        )
    return DataError(
        f"{table}: BigQuery failed: {message}\nexpected: an answer\nfix: run again; what was loaded is not loaded twice"
    )
