"""Those who are told, on loopback: an HTTP listener and an SMTP server that keep what came."""

import contextlib
import json
import threading
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller

from ports import free_ports


class Listener:
    """Answers each POST with the next status of `answers`, then with 200; keeps headers and bodies."""

    def __init__(self):
        self.answers = []
        self.came = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _handler(listener):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = listener.answers.pop(0) if listener.answers else 200
                listener.came.append((status, dict(self.headers), body))
                self.send_response(status)
                if status in (301, 302, 303, 307, 308):
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def do_GET(self):
                listener.came.append((200, dict(self.headers), {"method": "GET"}))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Mailbox:
    """Takes mails; keeps the sender, the receivers and the message of each."""

    def __init__(self):
        self.came: list[tuple[str, list[str], Message]] = []

    async def handle_DATA(self, server, session, envelope):
        self.came.append((envelope.mail_from, envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 taken"


@contextlib.contextmanager
def listener():
    """Yields a `Listener`."""
    running = Listener()
    try:
        yield running
    finally:
        running.close()


@contextlib.contextmanager
def mailbox():
    """Yields a `Mailbox` and the port of its server."""
    box = Mailbox()
    (port,) = free_ports()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()
