"""Vertex AI's log of an endpoint in the BigQuery emulator, with the columns and types that Google publishes.

https://cloud.google.com/vertex-ai/docs/predictions/online-prediction-logging: `request_id` is a NUMERIC, the payloads
are arrays of texts. It was never compared with a table that Vertex AI wrote: no Google Cloud was reachable.
"""

import datetime
import json
import math

import pyarrow as pa
import pyarrow.parquet as pq

ENDPOINT = "projects/17/locations/europe-west1/endpoints/ct-small"
TABLE, URI = "acme.air.requests", "bq://acme.air.requests"
COLUMNS = (
    "endpoint VARCHAR, deployed_model_id VARCHAR, logging_time TIMESTAMPTZ, request_id DECIMAL(38, 9), "
    "request_payload VARCHAR[], response_payload VARCHAR[]"
)


def exchange(number, at, instances, predictions, version="1", endpoint=ENDPOINT):
    """A row of the table; `at` is a datetime, payloads that are texts stay as they are."""
    payloads = [[each if isinstance(each, str) else json.dumps(each) for each in side]
                for side in (instances, predictions)]  # fmt: skip
    return {
        "endpoint": endpoint, "deployed_model_id": version, "logging_time": at, "request_id": number,
        "request_payload": payloads[0], "response_payload": payloads[1],
    }  # fmt: skip


def of_answers(answers, version="1", first=1, endpoint=ENDPOINT):
    """What Vertex AI would have logged of answers as the service logs them (`served_traffic.answered`)."""
    rows = []
    for number, answer in enumerate(answers, first):
        at = datetime.datetime.fromtimestamp(answer.time, datetime.UTC)
        names = list(answer.inputs)
        columns = [[_json(value) for value in answer.inputs[name].tolist()] for name in names]
        instances = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
        (outputs,) = answer.outputs.values()
        rows.append(exchange(number, at, instances, outputs.reshape(-1).tolist(), version, endpoint))
    return rows


def write(emulator, rows, folder):
    """Adds rows to the table, which is made if it is not there."""
    kinds = pa.schema([
        ("endpoint", pa.string()), ("deployed_model_id", pa.string()), ("logging_time", pa.timestamp("us", "UTC")),
        ("request_id", pa.int64()), ("request_payload", pa.list_(pa.string())),
        ("response_payload", pa.list_(pa.string())),
    ])  # fmt: skip
    file = folder / "vertex_rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows, kinds), file)
    with emulator.lock:
        emulator.database.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} ({COLUMNS})")
        emulator.database.execute(f"INSERT INTO {TABLE} SELECT * FROM read_parquet('{file}')")


def _json(value):
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float) and math.isnan(value):
        return None
    return None if value == -(2**63) else value
