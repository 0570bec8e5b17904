"""An HTTP server of a test's own on loopback, for as long as a block lasts."""

import contextlib
import http.server
import json
import threading


@contextlib.contextmanager
def serving(handler):
    """Yields the port where a handler's class answers, a thread for each request."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def of_json(answer):
    """Returns a handler's class whose GETs are answered as Google's REST APIs do.

    Args:
        answer: Takes the path with its query; returns a status, and the body, or why it is refused.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, found = answer(self.path)
            content = json.dumps(found if status == 200 else {"error": {"code": status, "message": found}}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    return Handler
