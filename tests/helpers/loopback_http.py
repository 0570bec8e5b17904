"""An HTTP server of a test's own on loopback, for as long as a block lasts."""

import contextlib
import http.server
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
