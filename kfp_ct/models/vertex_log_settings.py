"""The settings of Vertex AI's own log of an endpoint: a BigQuery table with a row a request."""

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from kfp_ct.base.settings import Settings, matching
from kfp_ct.cloud.bigquery_access import Access

BQ = "bq://"
# What Vertex AI calls the table where only a data set was named.
USUAL_TABLE = "request_response_logging"
COLUMNS = ("endpoint", "deployed_model_id", "logging_time", "request_id", "request_payload", "response_payload")
_TABLE = re.compile(r"bq://(?P<project>[a-z][a-z0-9-]*)\.(?P<dataset>\w+)(?:\.(?P<table>[\w-]+))?", re.ASCII)
TABLE_IS = "bq://project.dataset.table, or bq://project.dataset for its table request_response_logging"


class LogAccess(Access):
    """Who pays for reading the log, and how much at most."""

    section: ClassVar[str] = "log.bigquery"

    project: str = Field("", description="Project that the queries run in; empty for the table's own.")


class VertexLog(Settings):
    """How a `request_log` of BigQuery is read: what Vertex AI writes of an endpoint's requests and answers."""

    endpoint: Annotated[str, matching("^[a-z0-9-]{0,63}$", "the endpoint's id")] = Field(
        "", description="Id of the endpoint: a table may hold the rows of several."
    )
    location: Annotated[str, matching("^[a-z0-9-]{0,40}$", "a region such as europe-west1")] = Field(
        "", description="Its region, where endpoints of two have the same id."
    )
    sample: float = Field(
        1.0, gt=0, le=1, description="Share of the requests that Vertex AI logs: `bigquery_log_sample` of the endpoint."
    )
    metrics: bool = Field(
        True, description="Errors and latency are those that Cloud Monitoring has; false: neither is judged."
    )
    bigquery: LogAccess = Field(LogAccess(), description="Who pays for the queries, and how much at most.")


def is_table(request_log: str) -> bool:
    """Whether a request log is a table of BigQuery."""
    return request_log.startswith(BQ)


def table_of(request_log: str) -> str:
    """Returns the table, project.dataset.table; empty if none is named in full."""
    found = _TABLE.fullmatch(request_log)
    return f"{found['project']}.{found['dataset']}.{found['table'] or USUAL_TABLE}" if found else ""


def misfits(request_log: str, log: VertexLog) -> Iterator[tuple[str, str]]:
    """Says what of a request log and of how it is read does not fit together."""
    if not is_table(request_log):
        if log != VertexLog():
            yield "log", f"it says how a table of BigQuery is read, and request_log is {request_log}; expected {BQ}…"
        return
    if not table_of(request_log):
        yield "request_log", f"it names no table of BigQuery; expected {TABLE_IS}"
    if not log.endpoint:
        yield "log", "a table may hold the rows of several endpoints; expected log: {endpoint: ID}"
