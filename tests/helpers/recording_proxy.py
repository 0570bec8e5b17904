"""Stands before an HTTP service: hands every request on, and keeps what was asked and answered."""

import contextlib
import dataclasses
import http.client
import http.server
import json
import threading
import urllib.parse


@dataclasses.dataclass
class Exchange:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    status: int
    answer: bytes = b""

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


class Proxy:
    """Exchanges in the order of their answers; `before` sees a request first, and may answer it: status, body."""

    def __init__(self, url: str) -> None:
        self.behind = urllib.parse.urlsplit(url).netloc
        self.exchanges: list[Exchange] = []
        self.before = lambda exchange: None

    def writes(self) -> list[str]:
        """What was asked that may change something."""
        return [each.line for each in self.exchanges if each.method != "GET"]

    def forget(self) -> None:
        self.exchanges.clear()


@contextlib.contextmanager
def recording(url: str):
    proxy = Proxy(url)

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_any(self):
            split = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = dict(urllib.parse.parse_qsl(split.query))
            exchange = Exchange(self.command, split.path, query, dict(self.headers), body, 0)
            instead, served_by = proxy.before(exchange), ""
            if instead is None:
                behind = http.client.HTTPConnection(proxy.behind)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                behind.request(self.command, self.path, body or None, headers)
                answer = behind.getresponse()
                instead = answer.status, answer.read()
                served_by = answer.headers.get("X-Served-By", "")
            exchange.status, exchange.answer = instead
            proxy.exchanges.append(exchange)
            self.send_response(exchange.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(exchange.answer)))
            if served_by:
                self.send_header("X-Served-By", served_by)
            self.end_headers()
            self.wfile.write(exchange.answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        def log_message(self, *arguments):
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
