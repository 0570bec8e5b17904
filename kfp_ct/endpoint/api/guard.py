"""Keeps out who has no business here: other hosts' names, other sites' pages, callers without the token, floods."""

import asyncio
import hmac
import json
import time
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kfp_ct.endpoint.store import faults, packages
from kfp_ct.endpoint.store.faults import Fault

COOKIE = "ct_token"
# Where callers, and `ct up`, find the token.
TOKEN_VARIABLE = "CT_TOKEN"  # noqa: S105 - its name
# A package, and what a form adds to it.
LARGEST_BODY = packages.LARGEST + (1 << 20)
# A package of the largest size over a slow line.
BODY_SECONDS = 120.0
_SAFE = ("GET", "HEAD", "OPTIONS")
_OPEN = ("/login", "/static/", "/apis/v2beta1/healthz")


class Guard:
    """Looks at every request before the application does."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str], token: str = "") -> None:
        """Stands before an application.

        Args:
            app: The application.
            hosts: Names under which this endpoint may be asked for; a page elsewhere that points a name of its own at
                this address (DNS rebinding) sends another one.
            token: What callers have to know; empty if everybody on this machine may call.
        """
        self._app = app
        self._hosts = {host.lower() for host in hosts}
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or has the application answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            self._look(scope, headers)
        except Fault as fault:
            if fault.code == faults.UNAUTHENTICATED and "text/html" in headers.get("accept", ""):
                await _answer(send, 303, b"", [(b"location", b"/login")])
            else:
                await _answer(send, fault.status, json.dumps(fault.body).encode(), _JSON)
            return
        await self._app(scope, _bounded(receive), send)

    def _look(self, scope: Scope, headers: dict[str, str]) -> None:
        host = headers.get("host", "").lower()
        if _name(host) not in self._hosts:
            raise Fault(faults.DENIED, f"this endpoint does not answer to the name {_name(host)!r}: see ct up --help")
        if scope["method"] not in _SAFE:
            origin = headers.get("origin", "")
            foreign = bool(origin) and urlsplit(origin).netloc.lower() != host
            if foreign or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                raise Fault(faults.DENIED, f"a page of {origin or 'another site'} may change nothing here")
        if int(headers.get("content-length", "0") or 0) > LARGEST_BODY:
            raise Fault(faults.INVALID, f"the request has more than {LARGEST_BODY >> 20} MiB")
        if self._token and not scope["path"].startswith(_OPEN) and not self._known(headers):
            raise Fault(faults.UNAUTHENTICATED, "expected the header Authorization: Bearer <token of this endpoint>")

    def _known(self, headers: dict[str, str]) -> bool:
        given = headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not given:
            try:
                morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
            except CookieError:
                morsel = None
            given = morsel.value if morsel else ""
        return hmac.compare_digest(given.encode(), self._token.encode())


_JSON = [(b"content-type", b"application/json")]


def _name(host: str) -> str:
    """Returns a Host header without its port."""
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]


def _bounded(receive: Receive) -> Receive:
    """Ends a body that turns out longer than allowed, in bytes or in time."""
    seen, whole, until = 0, False, time.monotonic() + BODY_SECONDS

    async def counted() -> Message:
        nonlocal seen, whole
        try:
            # Once the body is there, what is waited for is that the caller leaves.
            message = await asyncio.wait_for(receive(), None if whole else max(until - time.monotonic(), 0.01))
        except TimeoutError:
            return {"type": "http.disconnect"}
        seen += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        return {"type": "http.disconnect"} if seen > LARGEST_BODY else message

    return counted


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
