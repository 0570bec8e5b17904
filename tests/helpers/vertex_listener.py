"""Vertex AI's REST API on loopback, as far as jobs and schedules go: keeps what it is sent, answers as it does."""

import contextlib
import http.server
import json
import urllib.parse

import loopback_http

STATES = ("PIPELINE_STATE_RUNNING", "PIPELINE_STATE_SUCCEEDED")


class Listener:
    """`requests` are (method, path, query, body); `states` are what a job's looks give, the last one for ever."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict, dict]] = []
        self.resources: dict[str, dict] = {}
        self.states = list(STATES)
        self.details: list[dict] = []  # of a job's tasks
        self.serial = 0

    def writes(self) -> list[str]:
        return [f"{method} {path}" for method, path, _, _ in self.requests if method != "GET"]

    def answer(self, method: str, path: str, query: dict, body: dict) -> tuple[int, dict]:
        self.requests.append((method, path, query, body))
        name, _, verb = path.removeprefix("/v1/").partition(":")
        if method == "POST" and name.endswith("/pipelineJobs"):
            made = {**body, "name": f"{name}/{query['pipelineJobId']}", "state": "PIPELINE_STATE_PENDING"}
            if made["name"] in self.resources:
                return 409, {"error": {"code": 409, "message": "it is there already", "status": "ALREADY_EXISTS"}}
            self.resources[made["name"]] = made
            return 200, made
        if method == "POST" and name.endswith("/schedules"):
            self.serial += 1
            made = {**body, "name": f"{name}/{self.serial}", "state": "ACTIVE", "createTime": "2026-03-01T00:00:00Z"}
            self.resources[made["name"]] = made
            return 200, made
        if method == "GET" and name.endswith("/schedules"):
            return 200, {"schedules": [each for each in self.resources.values() if "/schedules/" in each["name"]]}
        if method == "GET" and name.endswith("/pipelineJobs"):
            return 200, {"pipelineJobs": [each for each in self.resources.values() if "/pipelineJobs/" in each["name"]]}
        if name not in self.resources:
            return 404, {"error": {"code": 404, "message": f"{name} not found", "status": "NOT_FOUND"}}
        return 200, self._of(method, name, verb, body)

    def _of(self, method: str, name: str, verb: str, body: dict) -> dict:
        found = self.resources[name]
        if method == "DELETE":
            del self.resources[name]
            empty = {"@type": "type.googleapis.com/google.protobuf.Empty"}
            return {"name": f"{name}/operations/1", "done": True, "response": empty}
        if verb:
            found["state"] = {"pause": "PAUSED", "resume": "ACTIVE", "cancel": "PIPELINE_STATE_CANCELLING"}[verb]
            return {}
        if method == "PATCH":
            found.update(body)
        elif "/pipelineJobs/" in name:
            found["state"] = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            state = "SUCCEEDED" if found["state"].endswith("SUCCEEDED") else "RUNNING"
            found["jobDetail"] = {"taskDetails": self.details or [{"taskName": "ingest", "state": state}]}
        return found


@contextlib.contextmanager
def listening(listener=None):
    listener = listener or Listener()

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_any(self):
            split = urllib.parse.urlsplit(self.path)
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = dict(urllib.parse.parse_qsl(split.query))
            status, answer = listener.answer(
                self.command, urllib.parse.unquote(split.path), query, json.loads(text or b"{}")
            )
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any

        def log_message(self, *arguments):
            """Says nothing."""

    with loopback_http.serving(Handler) as port:
        listener.url = f"http://127.0.0.1:{port}"
        yield listener
