"""Connections that do not send a request's headers are ended; those that do are answered."""

import contextlib
import socket
import threading
import time

import pytest
import uvicorn

from kfp_ct.endpoint import header_timeout


async def answer(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(header_timeout, "HEADER_SECONDS", 0.5)
    config = uvicorn.Config(answer, port=0, http=header_timeout.TimedHeaders, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    with contextlib.closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


def connection(port):
    return contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=20))


def answered(caller):
    received = b""
    while not received.endswith(b"ok"):
        part = caller.recv(1000)
        assert part
        received += part
    return received.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"], ids=["nothing", "half of the headers"])
def test_who_sends_no_headers_is_hung_up_on(port, sent):
    with connection(port) as caller:
        caller.sendall(sent)
        assert caller.recv(100) == b""


def test_who_sends_a_header_a_time_is_hung_up_on(port):
    with connection(port) as caller, contextlib.suppress(ConnectionError):
        caller.sendall(b"GET / HTTP/1.1\r\n")
        for number in range(100):
            caller.sendall(f"x-{number}: y\r\n".encode())
            time.sleep(0.05)
        pytest.fail("100 headers were waited for")


def test_a_second_request_on_a_connection_is_bounded_too(port):
    with connection(port) as caller:
        caller.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answered(caller)
        caller.sendall(b"GET / HTTP/1.1\r\n")
        assert caller.recv(100) == b""


def test_requests_in_time_are_answered(port):
    with connection(port) as caller:
        for _ in range(2):
            caller.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answered(caller)
            time.sleep(0.7)
