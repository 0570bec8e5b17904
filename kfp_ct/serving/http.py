"""What the HTTP protocols share: bodies within limits, request ids, answers and errors."""

import json
import random
import re
import uuid
import zlib
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from kfp_ct.serving.errors import (
    BodyTooLargeError,
    EncodingNotKnownError,
    InvalidRequestError,
    OverloadedError,
    ServingError,
    UnauthenticatedError,
)

REQUEST_ID = "x-request-id"
JSON = "application/json"
TRACE = "traceparent"
# What a caller may choose: it stands in headers, in the log and in tables of labels.
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACE_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_GZIP = 16 + zlib.MAX_WBITS
_RETRY_SECONDS = "1"


def header(scope: Scope, name: bytes) -> str:
    """Returns a request's header by its name in lower case, the first of several; empty where there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return ""


def request_id(scope: Scope) -> str:
    """Returns the id that the caller gave, or a new one."""
    return valid_request_id(header(scope, REQUEST_ID.encode()))


def trace_of(scope: Scope) -> dict[str, str]:
    """Returns the trace context that goes back with the answer; none where the caller sent none that is valid."""
    return valid_trace(header(scope, TRACE.encode()))


def valid_request_id(given: str) -> str:
    """Returns an id if it is one that may stand in headers and tables, or a new one."""
    if given and _REQUEST_ID.fullmatch(given):
        return given
    # It has to be its own only: asking the kernel for randomness costs more than anything else here.
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def valid_trace(given: str) -> dict[str, str]:
    """Returns a trace context as a header, if it is one."""
    return {TRACE: given} if given and _TRACE_PARENT.fullmatch(given) else {}


async def body_of(request: Request, limit: int) -> bytes:
    """Returns a request's body, unpacked.

    Raises:
        BodyTooLargeError: It has more bytes than it may.
        EncodingNotKnownError: It is packed in another way than gzip.
        InvalidRequestError: It cannot be unpacked.
    """
    announced = header(request.scope, b"content-length")
    if announced.isdigit() and int(announced) > limit:
        raise BodyTooLargeError(f"the body has {announced} bytes\nexpected: at most {limit}; send fewer rows at a time")
    chunks, size = [], 0
    async for chunk in request.stream():
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise BodyTooLargeError(f"the body has more than {limit} bytes; send fewer rows at a time")
    body = b"".join(chunks)
    encoding = header(request.scope, b"content-encoding").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise EncodingNotKnownError(f"Content-Encoding: {encoding[:40]} is not known here\nexpected: gzip, or none")
    return _unpacked(body, limit)


def _unpacked(packed: bytes, limit: int) -> bytes:
    unpacking = zlib.decompressobj(_GZIP)
    try:
        body = unpacking.decompress(packed, limit + 1)
    except zlib.error as error:
        raise InvalidRequestError(f"the body is not valid gzip: {error}") from None
    if len(body) > limit:
        raise BodyTooLargeError(f"the body has more than {limit} bytes unpacked; send fewer rows at a time")
    if not unpacking.eof or unpacking.unused_data:
        raise InvalidRequestError("the body is not valid gzip: it ends too early, or something follows it")
    return body


def json_response(value: Any, status: int = 200) -> Response:
    """Returns an answer in JSON."""
    return Response(json.dumps(value, indent=1), status, media_type=JSON)


def error_response(message: str, status: int) -> Response:
    """Returns an error as TensorFlow Serving and the Open Inference Protocol have it."""
    return json_response({"error": message}, status)


def serving_error_response(error: ServingError) -> Response:
    """Returns the answer to a request that got none; one that may be sent again says when."""
    response = error_response(str(error), error.status)
    if isinstance(error, OverloadedError):
        response.headers["retry-after"] = _RETRY_SECONDS
    if isinstance(error, UnauthenticatedError):
        response.headers["www-authenticate"] = "Bearer"
    return response
