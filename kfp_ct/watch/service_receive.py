"""Events for a service's runs over HTTP: stored, decided on as `ct watch` decides, answered so that none is lost.

A message is in the store before it is acknowledged. Whatever fails after that is answered by 503: the sender delivers
again, the message is the same one there, and the look that follows goes on where the one before was stopped.
"""

import datetime
import threading
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from kfp_ct.base.errors import CtError
from kfp_ct.watch import messages, service_watch
from kfp_ct.watch.decide import Decision
from kfp_ct.watch.messages import MessageError
from kfp_ct.watch.service_watch import ServiceWatch

Answer = tuple[int, dict[str, Any]]
OK, ACCEPTED, BAD_REQUEST, UNAVAILABLE = 200, 202, 400, 503
# Requests of one instance look in turn; instances agree by the conditional writes of the history.
_ONE_AT_A_TIME = threading.Lock()


def handle(
    watched: ServiceWatch, body: bytes, headers: Mapping[str, str], now: datetime.datetime | None = None
) -> Answer:
    """Answers an event: what Pub/Sub pushes, Eventarc or Cloud Scheduler send, or a person's JSON.

    Returns:
        HTTP status and JSON: 202 a run was started, 200 none is to start now, 400 the event starts no run (200 to
        senders that would only repeat it), 503 try again.
    """
    try:
        message = messages.from_http(body, headers)
    except MessageError as error:
        return BAD_REQUEST, {"error": str(error)}
    try:
        with _ONE_AT_A_TIME:
            refused = service_watch.take(watched, [message])
            if message.id in refused:
                status = OK if message.insistent else BAD_REQUEST
                return status, {"message": message.id, "decision": "refused", "error": refused[message.id]}
            decision = service_watch.step(watched, _console(), now)
    except CtError as error:
        return UNAVAILABLE, {"message": message.id, "error": str(error)}
    status, said = _said(decision)
    return status, {"message": message.id, **said}


def look(watched: ServiceWatch, now: datetime.datetime | None = None) -> Answer:
    """Looks without an event: for what was held back, for clocks, for runs that ended."""
    try:
        with _ONE_AT_A_TIME:
            return _said(service_watch.step(watched, _console(), now))
    except CtError as error:
        return UNAVAILABLE, {"error": str(error)}


def _said(decision: Decision) -> Answer:
    if decision.fire:
        return ACCEPTED, {"decision": "fire", "triggers": decision.triggers, "reasons": decision.reasons}
    return OK, {"decision": "hold", "holds": decision.holds}


def _console() -> Console:
    return Console(highlight=False)  # standard output is the service's log
