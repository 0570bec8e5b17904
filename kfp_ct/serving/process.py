"""The server as a process: says where it answers, drains when it is told to stop, has gRPC beside HTTP."""

import argparse
import json
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

import grpc

from kfp_ct.serving.grpc_server import GrpcServer
from kfp_ct.serving.predictor import Predictor

_log = logging.getLogger("serving")


def server_class(
    base: type[Any], options: argparse.Namespace, predictor: Predictor, stopped: Callable[[], None] | None
) -> type[Any]:
    """Returns the server class that says on standard output, as one JSON line, from when on it answers and where.

    It calls `stopped` after the last answer: uvicorn hands a signal on, which ends the process before `run` returns.
    """

    class PredictionServer(base):  # uvicorn is imported only after the port is taken
        grpc: GrpcServer | None = None

        async def startup(self, sockets: list[socket.socket]) -> None:
            await super().startup(sockets)
            places = {"url": _url(sockets[0], options.tls_certificate is not None)}
            if options.grpc_port is not None:
                self.grpc = GrpcServer(predictor, _credentials(options), options.worker is not None)
                port = await self.grpc.start(f"{options.host}:{options.grpc_port}")
                places["grpc"] = f"{_reachable(options.host)}:{port}"
            print(json.dumps(places), flush=True)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            predictor.draining = True
            if self.grpc is not None:
                await self.grpc.stop(options.grace_seconds)
            await super().shutdown(sockets)
            if stopped is not None:
                stopped()

        def handle_exit(self, sig: int, frame: Any) -> None:
            """Is not ready from now on, but answers until a cluster has stopped sending requests here."""
            if predictor.draining or not options.drain_seconds:
                super().handle_exit(sig, frame)
                return
            predictor.draining = True
            _log.info("stopping in %g s; not ready from now on", options.drain_seconds)
            timer = threading.Timer(options.drain_seconds, super().handle_exit, (sig, None))
            timer.daemon = True
            timer.start()

    return PredictionServer


def _credentials(options: argparse.Namespace) -> grpc.ServerCredentials | None:
    if options.tls_certificate is None:
        return None
    pair = (options.tls_key.read_bytes(), options.tls_certificate.read_bytes())
    authority = options.tls_client_ca
    roots = None if authority is None else authority.read_bytes()
    return grpc.ssl_server_credentials([pair], roots, require_client_auth=roots is not None)


def _url(listener: socket.socket, encrypted: bool) -> str:
    host, port = listener.getsockname()[:2]
    return f"{'https' if encrypted else 'http'}://{_reachable(host)}:{port}"


def _reachable(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - named, not listened on
    return f"[{host}]" if ":" in host else host
