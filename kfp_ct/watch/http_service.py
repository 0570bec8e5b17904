"""The trigger service: a container for Cloud Run that takes events by HTTP and starts a service's runs.

POST /      an event: a push of Pub/Sub, a CloudEvent of Cloud Storage, a job of Cloud Scheduler, {"cause": …}
POST /look  a look without an event; Cloud Scheduler calls it every few minutes for what was held back
GET /livez  whether it runs
"""

import json
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from kfp_ct.base import redaction
from kfp_ct.base.errors import CtError
from kfp_ct.watch import service_receive
from kfp_ct.watch.oidc import UnauthenticatedError, Verifier
from kfp_ct.watch.service_receive import Answer
from kfp_ct.watch.service_watch import ServiceWatch

# Pub/Sub pushes 10 MB at most, in base64.
LARGEST_BODY = 14 << 20
_TOO_LARGE, _UNAUTHENTICATED = 413, 401


def application(watched: ServiceWatch, verifier: Verifier) -> Starlette:
    """Returns the service of a project."""

    async def answered(request: Request, act: Any) -> JSONResponse:
        try:
            sender = await run_in_threadpool(verifier.verify, request.headers.get("authorization", ""))
        except UnauthenticatedError as error:
            return JSONResponse({"error": str(error)}, _UNAUTHENTICATED, {"WWW-Authenticate": "Bearer"})
        except CtError as error:
            return JSONResponse({"error": str(error)}, service_receive.UNAVAILABLE)
        body = await _body(request)
        if body is None:
            return JSONResponse({"error": f"more than {LARGEST_BODY >> 20} MiB"}, _TOO_LARGE)
        status, said = await run_in_threadpool(act, body, dict(request.headers))
        line = {"severity": _severity(status), "message": said, "status": status, "sender": sender}
        print(json.dumps(redaction.redact_tree(line)), flush=True)
        return JSONResponse(said, status)

    async def event(request: Request) -> JSONResponse:
        return await answered(request, lambda body, headers: service_receive.handle(watched, body, headers))

    async def look(request: Request) -> JSONResponse:
        return await answered(request, lambda body, headers: _looked(watched))

    async def alive(request: Request) -> JSONResponse:
        return JSONResponse({"project": watched.watch.project})

    return Starlette(
        routes=[
            Route("/", event, methods=["POST"]),
            Route("/look", look, methods=["POST"]),
            Route("/livez", alive, methods=["GET"]),
        ]
    )


def _looked(watched: ServiceWatch) -> Answer:
    return service_receive.look(watched)


async def _body(request: Request) -> bytes | None:
    """Reads a request's body; None if it is longer than allowed, or its sender has gone."""
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > LARGEST_BODY:
                return None
            chunks.append(chunk)
    except ClientDisconnect:
        return None
    return b"".join(chunks)


def _severity(status: int) -> str:
    if status < service_receive.BAD_REQUEST:
        return "INFO"
    return "WARNING" if status < service_receive.UNAVAILABLE else "ERROR"  # an alert is made of errors
