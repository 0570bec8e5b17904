"""Stands before an object store and makes its network bad: throttles, cuts connections, lags, refuses."""

import contextlib
import dataclasses
import http.client
import http.server
import socket
import threading
import urllib.parse


@dataclasses.dataclass
class Asked:
    """A request: method, path, whether it lists a bucket."""

    method: str
    path: str
    query: str
    headers: dict[str, str]

    @property
    def is_write(self) -> bool:
        return self.method in ("PUT", "POST", "DELETE", "PATCH")

    @property
    def is_listing(self) -> bool:
        return self.method == "GET" and ("list-type" in self.query or self.path.endswith("/o"))


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer in place of the store's."""

    status: int
    body: bytes = b""

    @classmethod
    def s3(cls, status: int, code: str) -> "Answer":
        return cls(status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>".encode())


CUT_REQUEST = "half of the request's body reaches the store, then the connection is gone"
CUT_ANSWER = "half of the answer's body reaches the client, then the connection is gone"
LOSE_ANSWER = "the store does it, and the client does not hear so"


class FaultyProxy:
    """`fault` sees every request: None hands it on, else an `Answer` or one of the cuts."""

    def __init__(self, url: str) -> None:
        self.behind = urllib.parse.urlsplit(url)
        self.asked: list[Asked] = []
        self.fault = lambda asked: None
        self.url = ""

    def heal(self) -> None:
        self.asked.clear()
        self.fault = lambda asked: None


def times(count: int, fault, when=lambda asked: True):
    """A fault for the first requests of a kind."""
    left = iter(range(count))

    def decide(asked):
        return fault if when(asked) and next(left, None) is not None else None

    return decide


@contextlib.contextmanager
def before(url: str):
    proxy = FaultyProxy(url)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            split = urllib.parse.urlsplit(self.path)
            asked = Asked(self.command, split.path, split.query, dict(self.headers))
            proxy.asked.append(asked)
            body = self._body()
            fault = proxy.fault(asked)
            if isinstance(fault, Answer):
                return self._answer(fault.status, {}, fault.body)
            if fault == CUT_REQUEST:
                _half(proxy.behind, self, body)
                return self._close()
            status, headers, answer = _asked_behind(proxy.behind, self, body)
            if fault == LOSE_ANSWER:
                return self._close()
            return self._answer(status, headers, answer, cut=fault == CUT_ANSWER)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        def _body(self) -> bytes:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                pieces = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    pieces.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(pieces)
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _answer(self, status, headers, body, cut=False):
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            self.send_header(
                "Content-Length", headers.get("Content-Length", "0") if self.command == "HEAD" else len(body)
            )
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: len(body) // 2] if cut else body)
            if cut:
                self._close()

        def _close(self):
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *arguments):
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _asked_behind(behind, handler, body):
    connection = http.client.HTTPConnection(behind.hostname, behind.port, timeout=60)
    try:
        _head(connection, handler, len(body))
        connection.send(body)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def _half(behind, handler, body):
    connection = http.client.HTTPConnection(behind.hostname, behind.port, timeout=60)
    _head(connection, handler, len(body))
    connection.send(body[: len(body) // 2])
    connection.close()


def _head(connection, handler, length):
    # The host is signed: it stays the one that the client asked.
    connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
    for name, value in handler.headers.items():
        if name.lower() not in ("transfer-encoding", "content-length", "connection"):
            connection.putheader(name, value)
    connection.putheader("Content-Length", str(length))
    connection.endheaders()
