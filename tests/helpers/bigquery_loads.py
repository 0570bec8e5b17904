"""Load jobs of the BigQuery emulator: uploads as the official client makes them, answered by DuckDB."""

import dataclasses
import email
import email.policy
import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping

import duckdb
import pyarrow as pa

UPLOAD = "/upload/bigquery/v2/projects/"


@dataclasses.dataclass
class Reply:
    """What a request is answered."""

    status: int
    body: dict = dataclasses.field(default_factory=dict)
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Loads:
    """The load jobs there were.

    Attributes:
        database: Where tables are.
        jobs: Of an id its job, as BigQuery shows it.
        uploads: How each content came: multipart or resumable.
        created: When each table was first seen, in ms; one that is dropped and made again is seen anew.
        once_loaded: Called when so many jobs have run, before the client is told.
        lost: How many answers are lost: the job runs, the client hears of an error that it may try again after.
        failure: Error that every job ends with.
        dropped: Rows that every job loses unseen.
    """

    database: duckdb.DuckDBPyConnection
    jobs: dict[str, dict] = dataclasses.field(default_factory=dict)
    uploads: list[str] = dataclasses.field(default_factory=list)
    created: dict[str, int] = dataclasses.field(default_factory=dict)
    once_loaded: dict[int, Callable[[], None]] = dataclasses.field(default_factory=dict)
    lost: int = 0
    failure: dict[str, str] = dataclasses.field(default_factory=dict)
    dropped: int = 0
    _begun: dict[str, tuple[dict, bytearray]] = dataclasses.field(default_factory=dict)

    def receive(self, path: str, query: str, headers: Mapping[str, str], content: bytes) -> Reply:
        """Answers a request of an upload, multipart or resumable."""
        if "upload_id=" in query:
            return self._chunk(query.partition("upload_id=")[2], headers["Content-Range"], content)
        if query == "uploadType=resumable":
            number = str(len(self.uploads))
            self.uploads.append("resumable")
            self._begun[number] = (json.loads(content), bytearray())
            where = f"http://{headers['Host']}{path}?uploadType=resumable&upload_id={number}"
            return Reply(200, headers={"Location": where})
        assert query == "uploadType=multipart"
        self.uploads.append("multipart")
        head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + content, policy=email.policy.HTTP)
        job, file = message.iter_parts()
        return self._run(json.loads(job.get_payload(decode=True)), file.get_payload(decode=True))

    def _chunk(self, number: str, span: str, content: bytes) -> Reply:
        job, received = self._begun[number]
        first, total = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", span).groups()
        assert int(first) == len(received)
        received += content
        if total == "*" or int(total) > len(received):
            return Reply(308, headers={"Range": f"bytes=0-{len(received) - 1}"})
        return self._run(job, bytes(received))

    def _run(self, job: dict, content: bytes) -> Reply:
        name = job["jobReference"]["jobId"]
        if name in self.jobs:
            return refused(409, "duplicate", f"Already Exists: Job acme:EU.{name}")
        began = int(time.time() * 1000)
        rows, failed = (0, self.failure) if self.failure else self._append(job["configuration"]["load"], content)
        self.jobs[name] = {
            **job,
            "jobReference": {**job["jobReference"], "location": "EU"},
            "status": {"state": "DONE", **({"errorResult": failed, "errors": [failed]} if failed else {})},
            "statistics": {
                "startTime": str(began), "endTime": str(int(time.time() * 1000) + 1), "load": {"outputRows": str(rows)},
            },
        }  # fmt: skip
        self.once_loaded.get(len(self.jobs), lambda: None)()
        if self.lost:
            self.lost -= 1
            return refused(503, "backendError", "the answer was lost")
        return Reply(200, self.jobs[name])

    def _append(self, load: dict, content: bytes) -> tuple[int, dict]:
        assert load["sourceFormat"] == "PARQUET"
        assert load["parquetOptions"]["enableListInference"]
        path = ".".join(load["destinationTable"][part] for part in ("projectId", "datasetId", "tableId"))
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            file.write(content)
            file.flush()
            loaded = self.database.sql(f"FROM read_parquet('{file.name}')").to_arrow_table()
            rows = loaded.num_rows - self.dropped
            try:
                there = self.database.sql(f"FROM {path}").to_arrow_table().schema
            except duckdb.CatalogException:
                there = None
            if there is not None and (query_error := _mismatch(there, loaded.schema)):
                message = f"Provided Schema does not match Table {path.replace('.', ':', 1)}. {query_error}"
                return 0, {"reason": "invalid", "message": message}
            into = f"CREATE TABLE {path} AS" if there is None else f"INSERT INTO {path} BY NAME"
            self.database.execute(f"{into} FROM read_parquet('{file.name}') LIMIT {rows}")
        if there is None:
            self.created[path] = int(time.time() * 1000)
        return rows, {}


def _mismatch(there: pa.Schema, loaded: pa.Schema) -> str:
    for field in loaded:
        if field.name not in there.names:
            return f"Cannot add fields (field: {field.name})"
        if there.field(field.name).type != field.type:
            return f"Field {field.name} has changed type from {there.field(field.name).type} to {field.type}"
    return ""


def refused(status: int, reason: str, message: str) -> Reply:
    """Returns the answer to what cannot be done, as BigQuery gives it."""
    problem = {"reason": reason, "message": message}
    return Reply(status, {"error": {"code": status, "message": message, "errors": [problem]}})
