"""A stand-in of Kubeflow Pipelines 2.17 over HTTP, for what no real cluster can be had for in tests.

It answers as a real one was seen to: run details with Argo's node names, whose entries name only their children; the
log API by the node of an executor's try; health with a release; descriptions of recurring runs that MySQL has no room
for, of which a ScheduledWorkflow stays in the cluster. It keeps recurring runs.
"""

import contextlib
import http.server
import json
import re
import threading
import urllib.parse

STARTED = "2026-11-28T12:{:02d}:{:02d}Z"
HEALTHY = {"commit_sha": "abc", "tag_name": "2.17.0", "multi_user": False, "pipeline_store": "database"}


def node(name, state, at, children=(), **more):
    return {
        "run_id": "run-1", "task_id": f"id-of-{name}-{at}", "display_name": name, "state": state,
        "create_time": "2026-11-28T12:00:00Z", "start_time": STARTED.format(*divmod(at, 60)),
        "child_tasks": [{"pod_name": child} for child in children], **more,
    }  # fmt: skip


def details(tasks, workflow="flights-training-x7k2p", named=True):
    """What KFP lists of a run: for each task its driver, itself and its executor, with their tries.

    Args:
        tasks: State by task, in the order in which they begin.
        workflow: Argo's name.
        named: Whether entries say what they are called as children of others; release 2.17 does not.
    """
    found = [
        *_with_try(workflow, "RUNNING", 0, named), *_with_try("root-driver", "SUCCEEDED", 0, named),
        *_with_try("root", "RUNNING", 1, named),
    ]  # fmt: skip
    for number, (name, state) in enumerate(tasks.items()):
        at = 2 + 10 * number
        found += _with_try(f"{name}-driver", "SUCCEEDED", at, named)
        if state != "DRIVEN":
            found += _with_try(name, state, at + 2, named, [f"node-executor-{name}"])
            found += _with_try("executor", state, at + 3, named, owner=name)
    return found


def _with_try(name, state, at, named, below=(), owner=""):
    own, first = f"node-{name}-{owner}".rstrip("-"), f"node-{name}-{owner}-0".replace("--", "-")
    known = lambda node_id: {"pod_name": node_id} if named else {}  # noqa: E731
    return [node(name, state, at, [first], **known(own)), node(f"{name}(0)", state, at, below, **known(first))]


class StandIn:
    """Its state, which tests set and look at."""

    def __init__(self):
        self.url = ""
        self.health = HEALTHY
        self.views = []  # what GET of a run answers, one after another; the last one stays
        self.logs = {}
        self.outages = 0  # how many requests are answered 503 before others
        self.page = ""  # what every request is answered with, as a login's proxy does
        self.served_by = ""  # what `ct up` says of itself in a header, and KFP does not
        self.requests = []
        self.recurring = []
        self.longest_description = 255
        self.scheduled_workflows = []  # objects in the cluster

    def answer(self, method, path, query, body):
        self.requests.append(f"{method} {path}")
        if self.page:
            return 200, "text/html", self.page
        if self.outages:
            self.outages -= 1
            return 503, "text/plain", "no healthy upstream"
        if log := re.fullmatch(r"/apis/v1alpha1/runs/[^/]+/nodes/([^/]+)/log", path):
            found = self.logs.get(log[1])
            return (200, "text/plain", found) if found is not None else (404, "application/json", "{}")
        status, found = self._api(method, path.removeprefix("/apis/v2beta1"), query, body)
        return status, "application/json", json.dumps(found)

    def _api(self, method, path, query, body):
        if path == "/healthz":
            return 200, self.health
        if method == "GET" and re.fullmatch(r"/runs/[^/]+", path) and self.views:
            return 200, self.views.pop(0) if len(self.views) > 1 else self.views[0]
        if path == "/recurringruns" and method == "POST":
            return self._schedule(json.loads(body))
        if path == "/recurringruns":
            return 200, {"recurringRuns": self.recurring}
        return 404, {"code": 5, "message": f"{path} not found"}

    def _schedule(self, wanted):
        name = f"{wanted['display_name']}-1"
        self.scheduled_workflows.append(name)  # the object is made before the row
        if len(wanted.get("description", "")) > self.longest_description:
            said = "Failed to create a recurring run: Error 1406: Data too long for column 'Description' at row 1"
            return 500, {"code": 13, "message": said}
        self.recurring.append({**wanted, "recurring_run_id": name, "created_at": "2026-11-28T12:00:00Z"})
        return 200, self.recurring[-1]


@contextlib.contextmanager
def serving():
    """Serves a stand-in on a free port of loopback."""
    state = StandIn()

    class Handler(http.server.BaseHTTPRequestHandler):
        def _handle(self):
            split = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = dict(urllib.parse.parse_qsl(split.query))
            status, kind, text = state.answer(self.command, urllib.parse.unquote(split.path), query, body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if state.served_by:
                self.send_header("X-Served-By", state.served_by)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_DELETE = _handle

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
