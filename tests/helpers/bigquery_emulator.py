"""BigQuery on loopback: its REST API over HTTP and its Storage Read API over gRPC, answered by DuckDB.

Real sockets for the official clients; every request is kept, so that tests can look at what was asked.
"""

import contextlib
import dataclasses
import http.server
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from concurrent import futures

import duckdb
import grpc
import pyarrow as pa
from google.cloud.bigquery_storage_v1 import types

import bigquery_loads

PROJECT = "acme"
READ = "google.cloud.bigquery.storage.v1.BigQueryRead"
PAGE_ROWS = 1_000


class Refusal(Exception):
    """An answer with an HTTP status and one of BigQuery's reasons."""

    def __init__(self, status: int, reason: str, message: str):
        super().__init__(message)
        self.status, self.reason = status, reason


@dataclasses.dataclass
class Emulator:
    """What the emulator holds and what it was asked.

    Attributes:
        bytes: What every query is estimated to read, and every table holds.
        forbidden: Whether nobody may read anything.
        limit_hidden: Whether a dry run says less than what is billed.
        breaks: How often a stream of rows breaks off.
    """

    bytes: int = 5_000
    forbidden: bool = False
    limit_hidden: bool = False
    breaks: int = 0
    jobs: list[dict] = dataclasses.field(default_factory=list)
    sessions: list[types.CreateReadSessionRequest] = dataclasses.field(default_factory=list)
    reads: list[types.ReadRowsRequest] = dataclasses.field(default_factory=list)
    batches: list[int] = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.database = duckdb.connect()
        self.database.execute(f"SET TimeZone = 'UTC'; ATTACH ':memory:' AS {PROJECT}; CREATE SCHEMA {PROJECT}.air")
        self.database.execute(f"CREATE SCHEMA {PROJECT}._anonymous")
        self.lock = threading.Lock()
        self.loads = bigquery_loads.Loads(self.database)

    def table(self, path: str) -> pa.Table:
        with self.lock:
            try:
                return self.database.sql(f"FROM {path}").to_arrow_table()
            except duckdb.CatalogException as error:
                raise Refusal(404, "notFound", f"Not found: Table {path.replace('.', ':', 1)}") from error

    def insert(self, job: dict) -> dict:
        self.jobs.append(job)
        config = job["configuration"]
        query, dry = config["query"], config.get("dryRun", False)
        destination = {"projectId": PROJECT, "datasetId": "_anonymous", "tableId": f"result{len(self.jobs)}"}
        over = self.bytes > int(query.get("maximumBytesBilled", self.bytes))
        if over and not dry:
            raise Refusal(400, "bytesBilledLimitExceeded", f"Query exceeded limit for bytes billed: {self.bytes}")
        self._run(query, "" if dry else ".".join(destination.values()))
        estimate = 0 if self.limit_hidden and dry else self.bytes
        return {
            "jobReference": {"projectId": PROJECT, "jobId": job["jobReference"]["jobId"], "location": "EU"},
            "configuration": {**config, "query": {**query, "destinationTable": destination}},
            "status": {"state": "DONE"},
            "statistics": {"totalBytesProcessed": str(estimate), "query": {"totalBytesProcessed": str(estimate)}},
        }

    def _run(self, query: dict, target: str) -> None:
        sql = re.sub(r"`([^`]*)`", r"\1", query["query"])
        sql = re.sub(r"@(\w+)", r"CAST($\1 AS TIMESTAMPTZ)", sql)
        values = {each["name"]: each["parameterValue"].get("value") for each in query.get("queryParameters", [])}
        with self.lock:
            try:
                self.database.execute(f"CREATE TABLE {target} AS {sql}" if target else f"EXPLAIN {sql}", values)
            except duckdb.CatalogException as error:
                raise Refusal(404, "notFound", f"Not found: {str(error).splitlines()[0]}") from error
            except duckdb.Error as error:
                raise Refusal(400, "invalidQuery", str(error).splitlines()[0]) from error

    # The REST API

    def answer(self, method: str, path: str, body: dict) -> dict:
        if self.forbidden:
            raise Refusal(403, "accessDenied", "Access Denied: User does not have bigquery.jobs.create permission")
        parts = path.removeprefix("/bigquery/v2/projects/").split("/")
        match method, parts:
            case "POST", [_, "jobs"]:
                return self.insert(body)
            case "GET", [_, "jobs", job] if job.startswith("kfp-ct-"):
                if job not in self.loads.jobs:
                    raise Refusal(404, "notFound", f"Not found: Job {PROJECT}:{job}")
                return self.loads.jobs[job]
            case "GET", [_, "jobs", job]:
                return next(self._done(each) for each in self.jobs if each["jobReference"]["jobId"] == job)
            case "GET", [_, "queries", job]:
                fields = {"schema": {"fields": []}, "rows": [], "totalRows": "0", "jobComplete": True}
                return {**fields, "jobReference": {"projectId": PROJECT, "jobId": job, "location": "EU"}}
            case "GET", [project, "datasets", dataset]:
                if (project, dataset) != (PROJECT, "air"):
                    raise Refusal(404, "notFound", f"Not found: Dataset {project}:{dataset}")
                reference = {"projectId": project, "datasetId": dataset}
                return {"datasetReference": reference, "location": "EU"}
            case "GET", [project, "datasets", dataset, "tables"]:
                found = self.database.execute(
                    "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = ?"
                    " ORDER BY table_name",
                    [project, dataset],
                ).fetchall()
                references = [{"projectId": project, "datasetId": dataset, "tableId": name} for (name,) in found]
                return {"tables": [{"tableReference": each, "type": "TABLE"} for each in references]}
            case "GET", [project, "datasets", dataset, "tables", table]:
                rows = self.table(f"{project}.{dataset}.{table}").num_rows
                kind = "VIEW" if table.endswith("_view") else "TABLE"
                reference = {"projectId": project, "datasetId": dataset, "tableId": table}
                created = self.loads.created.get(f"{project}.{dataset}.{table}", 1)
                return {
                    "tableReference": reference, "type": kind, "etag": str(rows), "lastModifiedTime": "1",
                    "numRows": str(rows), "creationTime": str(created),
                }  # fmt: skip
        raise Refusal(404, "notFound", f"{method} {path}")

    def _done(self, job: dict) -> dict:
        return {**job, "status": {"state": "DONE"}}

    # The Storage Read API

    def create_session(self, request: types.CreateReadSessionRequest, context) -> types.ReadSession:
        self.sessions.append(request)
        parts = request.read_session.table.split("/")
        if self.forbidden:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "bigquery.readsessions.create denied")
        path = f"{parts[1]}.{parts[3]}.{parts[5]}"
        table = self.table(path)
        streams = min(request.max_stream_count, 2) if table.num_rows else 0
        return types.ReadSession(
            name="session",
            table=request.read_session.table,
            data_format=types.DataFormat.ARROW,
            arrow_schema={"serialized_schema": table.schema.serialize().to_pybytes()},
            streams=[{"name": f"{path}/{number}/{streams}"} for number in range(streams)],
            estimated_total_bytes_scanned=self.bytes,
        )

    def read_rows(self, request: types.ReadRowsRequest, context) -> Iterator[types.ReadRowsResponse]:
        self.reads.append(request)
        path, number, streams = request.read_stream.rsplit("/", 2)
        table = self.table(path)
        first, end = (table.num_rows * (int(number) + n) // int(streams) for n in (0, 1))
        for batch in table.slice(first + request.offset, end - first - request.offset).to_batches(PAGE_ROWS):
            self.batches.append(batch.num_rows)
            yield types.ReadRowsResponse(
                arrow_record_batch={"serialized_record_batch": batch.serialize().to_pybytes()},
                row_count=batch.num_rows,
            )
            if self.breaks:
                self.breaks -= 1
                context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")


@contextlib.contextmanager
def running(monkeypatch) -> Iterator[Emulator]:
    """Starts both servers and points the clients there."""
    emulator = Emulator()
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(emulator))
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    read = grpc.server(futures.ThreadPoolExecutor(8))
    read.add_generic_rpc_handlers([_read_service(emulator)])
    port = read.add_insecure_port("127.0.0.1:0")
    read.start()
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{rest.server_port}")
    monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", f"127.0.0.1:{port}")
    try:
        yield emulator
    finally:
        rest.shutdown()
        rest.server_close()
        read.stop(None).wait()


def _handler(emulator: Emulator) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urllib.parse.urlsplit(self.path)
            try:
                if url.path.startswith(bigquery_loads.UPLOAD) and not emulator.forbidden:
                    with emulator.lock:
                        reply = emulator.loads.receive(url.path, url.query, self.headers, content)
                else:
                    answer = emulator.answer(self.command, url.path, json.loads(content or b"{}"))
                    reply = bigquery_loads.Reply(200, answer)
            except Exception as error:  # the client would ask a broken connection again and again
                refusal = error if isinstance(error, Refusal) else Refusal(400, "defect", repr(error))
                reply = bigquery_loads.refused(refusal.status, refusal.reason, str(refusal))
            content = json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_GET

        def log_message(self, *_):
            pass

    return Handler


def _read_service(emulator: Emulator) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        READ,
        {
            "CreateReadSession": grpc.unary_unary_rpc_method_handler(
                emulator.create_session, types.CreateReadSessionRequest.deserialize, types.ReadSession.serialize
            ),
            "ReadRows": grpc.unary_stream_rpc_method_handler(
                emulator.read_rows, types.ReadRowsRequest.deserialize, types.ReadRowsResponse.serialize
            ),
        },
    )
