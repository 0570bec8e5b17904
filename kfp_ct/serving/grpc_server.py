"""The gRPC protocols on one port, in the event loop that HTTP is answered in."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from kfp_ct.serving import access, http
from kfp_ct.serving.errors import InvalidRequestError, ServingError
from kfp_ct.serving.messages import health
from kfp_ct.serving.oip_grpc import OpenInferenceGrpc
from kfp_ct.serving.predictor import Predictor
from kfp_ct.serving.routing import KEY_HEADER, request_key
from kfp_ct.serving.tfs_grpc import Method, TensorFlowServingGrpc

_log = logging.getLogger("serving")
_SERVING, _NOT_SERVING = 1, 2
_HEALTH_SERVICE = "grpc.health.v1.Health"
_AUTHORIZATION = "authorization"


class GrpcServer:
    """A server that is started and stopped within a running event loop."""

    def __init__(
        self, predictor: Predictor, credentials: grpc.ServerCredentials | None = None, shared: bool = False
    ) -> None:
        """Answers from a predictor's models; encrypted if there are credentials; at a port that workers share."""
        self._shared = shared
        self._predictor = predictor
        self._credentials = credentials
        self._server: Any = None

    async def start(self, address: str) -> int:
        """Listens on host:port and returns the port.

        Raises:
            OSError: It is taken.
        """
        # Nothing is shared with another service: a port that is taken is said.
        options = [
            ("grpc.max_receive_message_length", self._predictor.limits.body_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", int(self._shared)),
        ]
        self._server = grpc.aio.server(options=options)
        services = {
            **TensorFlowServingGrpc(self._predictor).services(),
            **OpenInferenceGrpc(self._predictor).services(),
        }
        self._server.add_generic_rpc_handlers((*map(self._handler, services.items()), self._health(set(services))))
        try:
            if self._credentials is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address} for gRPC: {error}") from None
        await self._server.start()
        return int(port)

    async def stop(self, grace: float) -> None:
        """Takes no new calls and waits for those that run."""
        if self._server is not None:
            await self._server.stop(grace)

    def _handler(self, service: tuple[str, dict[str, tuple[Any, Any, Method]]]) -> grpc.GenericRpcHandler:
        name, methods = service
        handlers = {
            method: grpc.unary_unary_rpc_method_handler(
                # Parsed by the function: a message that is damaged is the caller's mistake, not the server's.
                self._answering(function, request),
                response_serializer=response.SerializeToString,
            )
            for method, (request, response, function) in methods.items()
        }
        return grpc.method_handlers_generic_handler(name, handlers)

    def _answering(self, function: Method, kind: Any) -> Callable[[Any, Any], Any]:
        async def answer(request: bytes, context: Any) -> Any:
            metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
            request_id = http.valid_request_id(metadata.get(http.REQUEST_ID, ""))
            request_key.set(metadata.get(KEY_HEADER, ""))
            trace = http.valid_trace(metadata.get(http.TRACE, ""))
            context.set_trailing_metadata(((http.REQUEST_ID, request_id), *trace.items()))
            try:
                access.check(metadata.get(_AUTHORIZATION), self._predictor.limits.token)
                with self._predictor.admitted():
                    return await function(_parsed(request, kind), request_id)
            except ServingError as error:
                status, message = grpc.StatusCode[error.grpc_status], str(error)
            except Exception as error:
                _log.exception("gRPC request %s", request_id)
                status = grpc.StatusCode.INTERNAL
                message = f"{type(error).__name__} while answering; see the server's log"
            await context.abort(status, message)

        return answer

    def _health(self, services: Iterable[str]) -> grpc.GenericRpcHandler:
        known, response = {"", *services}, health("HealthCheckResponse")

        async def check(request: Any, context: Any) -> Any:
            if request.service not in known:
                await context.abort(grpc.StatusCode.NOT_FOUND, f"unknown service {request.service}")
            return response(status=_SERVING if self._predictor.ready() else _NOT_SERVING)

        handler = grpc.unary_unary_rpc_method_handler(
            check, health("HealthCheckRequest").FromString, response.SerializeToString
        )
        return grpc.method_handlers_generic_handler(_HEALTH_SERVICE, {"Check": handler})


def _parsed(request: bytes, kind: Any) -> Any:
    try:
        return kind.FromString(request)
    except DecodeError:
        raise InvalidRequestError(f"the request is no {kind.DESCRIPTOR.full_name}") from None
