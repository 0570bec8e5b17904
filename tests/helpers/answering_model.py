"""A model's address on loopback that answers `:predict` as a test tells it."""

import contextlib
import http.server
import json
import time

import loopback_http


@contextlib.contextmanager
def serving(answer):
    """Yields the address of a model that answers as told: status, predictions, after some seconds."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"]
            seen.append((self.path, asked, self.headers.get("Authorization")))
            status, predictions, seconds = answer(len(seen), asked)
            time.sleep(seconds)
            body = json.dumps({"predictions": predictions} if status == 200 else {"error": "no"}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            """Says nothing."""

    with loopback_http.serving(Handler) as port:
        yield f"http://127.0.0.1:{port}/v1/models/flights", seen
