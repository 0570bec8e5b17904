"""The prediction service over HTTP: its protocols, health and metrics as one ASGI application."""

import logging
import re
import time
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kfp_ct.serving import access, http, openapi, page
from kfp_ct.serving.errors import ModelNotFoundError, ServingError
from kfp_ct.serving.limits import ANY_HOST
from kfp_ct.serving.oip_rest import OpenInferenceRest
from kfp_ct.serving.predictor import Predictor
from kfp_ct.serving.routing import KEY_HEADER, request_key
from kfp_ct.serving.tfs_rest import TensorFlowServingRest

_log = logging.getLogger("serving.requests")
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_CLIENT_CLOSED = 499
# The page has no script, loads nothing, and is in no frame of another.
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
_PREDICTIONS = ("/v1/", "/V1/")
_PORT = re.compile(r":\d+$")
Handler = Callable[[Request], Awaitable[Response]]


def create_app(predictor: Predictor) -> Starlette:
    """Returns the ASGI application that answers from a predictor's models."""
    versions, token = predictor.versions, predictor.limits.token
    rest, open_inference = TensorFlowServingRest(predictor), OpenInferenceRest(predictor)

    async def ready(request: Request) -> Response:
        """Says whether every model below the root has a version that answers, and there is one."""
        serving, waiting = versions.serving(), versions.waiting()
        return http.json_response({"serving": serving, "waiting": waiting}, 200 if predictor.ready() else 503)

    async def metrics(request: Request) -> Response:
        return Response(predictor.metrics.page(), media_type=_METRICS_TYPE)

    async def shown(request: Request) -> Response:
        headers = {"content-security-policy": _PAGE_POLICY, "cache-control": "no-store"}
        return Response(page.render(predictor), media_type="text/html; charset=utf-8", headers=headers)

    async def card(request: Request) -> Response:
        """Answers with the model card that was published with a version."""
        name, number = request.path_params["name"], request.path_params["version"]
        found = await run_in_threadpool(versions.card, name, number)
        if not found:
            raise ModelNotFoundError(f"{name} version {number} has no model card here")
        headers = {"content-security-policy": _PAGE_POLICY, "x-content-type-options": "nosniff"}
        return Response(found, media_type="text/plain; charset=utf-8", headers=headers)

    async def description(request: Request) -> Response:
        return http.json_response(openapi.describe(versions))

    return Starlette(
        routes=[
            Route("/", _guarded(shown, token), methods=["GET"]),
            Route("/models/{name}/{version:int}/card", _guarded(card, token), methods=["GET"]),
            Route("/healthz", _alive, methods=["GET"]),
            Route("/readyz", ready, methods=["GET"]),
            Route("/openapi.json", _guarded(description, token), methods=["GET"]),
            Route("/metrics", _guarded(metrics, token), methods=["GET"]),
            # TensorFlow Serving's addresses are not case-sensitive; "/v1" is the only part that is matched here.
            *(
                Route(f"{api}{{rest:path}}", _guarded(rest.answer, token), methods=["GET", "POST"])
                for api in _PREDICTIONS
            ),
            Route("/v2/health/live", _live, methods=["GET"]),
            Route("/v2/health/ready", open_inference.ready, methods=["GET"]),
            Route("/v2", _guarded(open_inference.server, token), methods=["GET"]),
            Route("/v2/{rest:path}", _guarded(open_inference.answer, token), methods=["GET", "POST"]),
        ],
        middleware=[
            Middleware(_HostCheck, hosts=predictor.limits.hosts),
            Middleware(_Predictions, handle=_guarded(rest.answer, token)),
        ],
        exception_handlers={HTTPException: _http_error, Exception: _internal_error},
    )


def _guarded(handle: Handler, token: str | None) -> Handler:
    """Returns a handler that asks for the token, answers what is wrong, and gives the request's id back."""

    async def answer(request: Request) -> Response:
        started = time.perf_counter()
        request.state.id = request_id = http.request_id(request.scope)
        request_key.set(http.header(request.scope, KEY_HEADER.encode()))
        try:
            access.check(http.header(request.scope, b"authorization"), token)
            response = await handle(request)
        except ServingError as error:
            response = http.serving_error_response(error)
        except ClientDisconnect:
            response = Response(status_code=_CLIENT_CLOSED)  # nobody reads it
        own = {http.REQUEST_ID: request_id, **http.trace_of(request.scope)}
        response.raw_headers.extend((name.encode(), value.encode()) for name, value in own.items())
        if _log.isEnabledFor(logging.INFO):
            _log_request(request, response.status_code, time.perf_counter() - started)
        return response

    return answer


def _log_request(request: Request, status: int, seconds: float) -> None:
    fields = {
        "method": request.method,
        "path": request.url.path,
        "status": status,
        "ms": round(1000 * seconds, 3),
        "request_id": request.state.id,
        **http.trace_of(request.scope),
    }
    _log.info("request", extra={"fields": fields})


class _HostCheck:
    """Refuses requests under a foreign name: a web page must not reach a local service by DNS rebinding."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it with 400."""
        if scope["type"] == "http" and ANY_HOST not in self._hosts:
            host = http.header(scope, b"host").lower()
            if _PORT.sub("", host) not in self._hosts:
                message = f"the host name {host!r} is not served here; start with --allowed-host to add it"
                await http.error_response(message, 400)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class _Predictions:
    """Hands what is posted below /v1 on itself: finding a route costs as much as decoding a request."""

    def __init__(self, app: ASGIApp, handle: Handler) -> None:
        self._app = app
        self._handle = handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or passes it on."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(_PREDICTIONS):
            response = await self._handle(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _live(request: Request) -> Response:
    return http.json_response({"live": True})


async def _alive(request: Request) -> Response:
    return http.json_response({"alive": True})


def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "error"
    return http.error_response(f"{detail}: {request.method} {request.url.path}", status)


def _internal_error(request: Request, error: Exception) -> Response:
    # The traceback is in the log; a client learns what kind of error it was.
    return http.error_response(f"{type(error).__name__} while answering; see the server's log", 500)
