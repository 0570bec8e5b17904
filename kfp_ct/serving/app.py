"""TensorFlow Serving's REST API over HTTP: https://www.tensorflow.org/tfx/serving/api_rest."""

import asyncio
import concurrent.futures
import dataclasses
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kfp_ct.serving.errors import (
    BodyTooLargeError,
    InvalidRequestError,
    NotImplementedHereError,
    OverloadedError,
    ServingError,
)
from kfp_ct.serving.request_files import Answered, Key
from kfp_ct.serving.request_log import RequestLog
from kfp_ct.serving.versions import Versions

REQUEST_ID = "x-request-id"
# What a caller may choose: it stands in headers, in the log and in tables of labels.
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
ANY_HOST = "*"
_SPEC = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_STATUS = re.compile(rf"(?i){_SPEC}(?P<metadata>/metadata)?")
_PREDICTION = re.compile(rf"(?i){_SPEC}:(?P<method>predict|classify|regress)")
_INT64_MAX = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class Limits:
    """What the server takes on.

    Attributes:
        body_bytes: Largest request body.
        pending: Predictions that may wait or run at a time.
        threads: Predictions that run at a time.
        hosts: Names a request's Host header may have; "*" takes any.
    """

    body_bytes: int
    pending: int
    threads: int
    hosts: tuple[str, ...]


def create_app(versions: Versions, limits: Limits, request_log: RequestLog | None = None) -> Starlette:
    """Returns the ASGI application that answers from these models, and logs requests if there is a log."""
    handlers = _Api(versions, limits, request_log)
    return Starlette(
        routes=[
            Route("/healthz", _alive, methods=["GET"]),
            Route("/readyz", handlers.ready, methods=["GET"]),
            # TensorFlow Serving's addresses are not case-sensitive; "/v1" is the only part that is matched here.
            *(Route(f"/{api}/{{rest:path}}", handlers.answer, methods=["GET", "POST"]) for api in ("v1", "V1")),
        ],
        middleware=[Middleware(_HostCheck, hosts=limits.hosts)],
        exception_handlers={HTTPException: _http_error, Exception: _internal_error},
    )


class _Api:
    def __init__(self, versions: Versions, limits: Limits, request_log: RequestLog | None) -> None:
        self._versions = versions
        self._limits = limits
        self._log = request_log
        self._pending = 0
        # Inference is kept off the event loop, which goes on accepting and answering.
        self._workers = concurrent.futures.ThreadPoolExecutor(limits.threads, "predict")

    async def ready(self, request: Request) -> Response:
        """Says whether every model below the root has a version that answers, and there is one."""
        serving, waiting = self._versions.serving(), self._versions.waiting()
        return _json({"serving": serving, "waiting": waiting}, 200 if serving and not waiting else 503)

    async def answer(self, request: Request) -> Response:
        """Answers the model APIs; the request's id goes back with the answer."""
        handle: Callable[[Request], Awaitable[Response]] = self._post if request.method == "POST" else self._get
        request.state.id = _request_id(request)
        try:
            response = await handle(request)
        except ServingError as error:
            response = _error(str(error), error.status)
        except ClientDisconnect:
            response = Response(status_code=499)  # nobody reads it
        response.headers[REQUEST_ID] = request.state.id
        return response

    async def _get(self, request: Request) -> Response:
        path = request.url.path
        if re.fullmatch("(?i)/v1/models/?", path):
            raise InvalidRequestError("Missing model name in request.")
        match = _STATUS.fullmatch(path)
        if match is None:
            raise InvalidRequestError(f"Malformed request: {request.method} {path}")
        name, number = match["name"], _number(match)
        if not match["metadata"]:
            return _json({"model_version_status": self._versions.status(name, number)})
        with self._versions.leased(name, number) as (model, number):
            spec = {"name": name, "signature_name": "", "version": str(number)}
            metadata = {"signature_def": {"signature_def": model.metadata()}}
        return _json({"model_spec": spec, "metadata": metadata})

    async def _post(self, request: Request) -> Response:
        match = _PREDICTION.fullmatch(request.url.path)
        if match is None:
            raise InvalidRequestError(f"Malformed request: {request.method} {request.url.path}")
        name, number = match["name"], _number(match)
        if match["method"].lower() != "predict":
            raise NotImplementedHereError(f"{match['method']} is not served here\nexpected: predict")
        try:
            answer = await self._queued(request, name, number)
        except ServingError as error:
            self._count(name, error.status)
            raise
        except ClientDisconnect:
            raise
        except Exception:
            self._count(name, 500)
            raise
        return Response(answer, media_type="application/json")

    async def _queued(self, request: Request, name: str, number: int | None) -> bytes:
        if self._pending >= self._limits.pending:
            raise OverloadedError(f"{self._pending} requests are waiting already; try again in a moment")
        self._pending += 1
        try:
            body = await _body(request, self._limits.body_bytes)
            asked = _Asked(name, number, body, request.state.id, time.perf_counter())
            return await asyncio.get_running_loop().run_in_executor(self._workers, self._predict, asked)
        finally:
            self._pending -= 1

    def _predict(self, asked: "_Asked") -> bytes:
        with self._versions.leased(asked.name, asked.number) as (model, version):
            prediction = model.predict(asked.body)
        if self._log is not None:
            taken = 1000 * (time.perf_counter() - asked.received)
            answered = Answered(asked.request_id, time.time(), taken, prediction.inputs, prediction.outputs)
            self._log.answered(Key(asked.name, version, prediction.signature), answered)
        return prediction.body

    def _count(self, name: str, status: int) -> None:
        """Counts an error on the version that answers; a model that is not there has no log."""
        version = self._versions.serving().get(name)
        if self._log is not None and version is not None:
            self._log.refused(name, version, status)


@dataclasses.dataclass(frozen=True)
class _Asked:
    """A predict request; `received` is when its body was there."""

    name: str
    number: int | None
    body: bytes
    request_id: str
    received: float


class _HostCheck:
    """Refuses requests under a foreign name: a web page must not reach a local service by DNS rebinding."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it with 400."""
        if scope["type"] == "http" and ANY_HOST not in self._hosts:
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
            if re.sub(r":\d+$", "", host) not in self._hosts:
                refusal = _error(f"the host name {host!r} is not served here; start with --allowed-host to add it", 400)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _request_id(request: Request) -> str:
    given = request.headers.get(REQUEST_ID, "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


def _number(match: re.Match[str]) -> int | None:
    if match["label"]:
        raise InvalidRequestError(f"Unrecognized servable version label: {match['label']}")
    if match["version"] is None:
        return None
    number = int(match["version"])
    if number > _INT64_MAX:
        raise InvalidRequestError(f"Failed to convert version: {match['version']} to numeric.")
    return number


async def _body(request: Request, limit: int) -> bytes:
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise BodyTooLargeError(f"the body has {announced} bytes\nexpected: at most {limit}; send fewer rows at a time")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLargeError(f"the body has more than {limit} bytes; send fewer rows at a time")
    return bytes(body)


async def _alive(request: Request) -> Response:
    return _json({"alive": True})


def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "error"
    return _error(f"{detail}: {request.method} {request.url.path}", status)


def _internal_error(request: Request, error: Exception) -> Response:
    # The traceback is in the log; a client learns what kind of error it was.
    return _error(f"{type(error).__name__} while answering; see the server's log", 500)


def _error(message: str, status: int) -> Response:
    return _json({"error": message}, status)


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value, indent=1), status, media_type="application/json")
