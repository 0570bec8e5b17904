"""A small, stateful listener that speaks the Kubernetes API's JSON with the official client: objects can be read."""

import contextlib
import http.server
import json
import re
import threading
import urllib.parse

import yaml

_PATH = re.compile(r"/(?:api/v1|apis/apps/v1)/namespaces/(?P<namespace>[^/]+)/(?P<kind>[a-z]+)(?:/(?P<name>[^/]+))?")


class Cluster:
    """What is in it: objects by (kind, namespace, name); what may not be looked at, by kind."""

    def __init__(self):
        self.url = ""
        self.objects = {}
        self.forbidden = set()
        self.requests = []

    def put(self, kind, namespace, name, **content):
        metadata = {"name": name, "namespace": namespace, **content.pop("metadata", {})}
        self.objects[kind, namespace, name] = {"metadata": metadata, **content}

    def answer(self, path, query):
        self.requests.append(path)
        found = _PATH.fullmatch(path)
        if found is None:
            return _status(404, "NotFound", path)
        kind, namespace, name = found["kind"], found["namespace"], found["name"]
        if kind in self.forbidden:
            return _status(403, "Forbidden", f"{kind} is forbidden: User cannot get resource")
        if name is None:
            return 200, {"kind": "List", "items": self._selected(kind, namespace, query.get("labelSelector", ""))}
        there = self.objects.get((kind, namespace, name))
        return (200, there) if there else _status(404, "NotFound", f'{kind} "{name}" not found')

    def _selected(self, kind, namespace, selector):
        wanted = dict(part.split("=") for part in selector.split(",") if part)
        return [
            each
            for (of_kind, where, _), each in self.objects.items()
            if (of_kind, where) == (kind, namespace) and wanted.items() <= each["metadata"].get("labels", {}).items()
        ]


def _status(code, reason, message):
    return code, {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}


@contextlib.contextmanager
def listening(folder, monkeypatch):
    """Listens on a free port of loopback; $KUBECONFIG names a file in the folder that leads there."""
    state = Cluster()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            split = urllib.parse.urlsplit(self.path)
            code, found = state.answer(split.path, dict(urllib.parse.parse_qsl(split.query)))
            body = json.dumps(found).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": state.url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }  # fmt: skip
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
