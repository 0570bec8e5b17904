"""Sends an event by a channel. What settings refer to by ${NAME} is looked up here, when it is used."""

import dataclasses
import hashlib
import json
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from kfp_ct.base import secrets
from kfp_ct.base.errors import CtError
from kfp_ct.notices.events import Event
from kfp_ct.notices.settings import Log, Mail, PubSub, Slack, Webhook

TIMEOUT = 10.0  # seconds, of each connection and answer
_LONGEST = 3000  # characters of a text for Slack, whose limit is 4,000
AnyChannel = Log | Webhook | Slack | Mail | PubSub


class SendError(CtError):
    """A channel did not take a notice; another try may succeed."""

    exit_code = 7


def send(channel: AnyChannel, event: Event, id_: str, log: Path) -> None:
    """Sends an event.

    Args:
        channel: By what.
        event: What.
        id_: Names the delivery, the same at every try.
        log: File of the channel `log`.

    Raises:
        SendError: It was not taken.
    """
    try:
        match channel:
            case Log():
                _append(log, {"id": id_, **dataclasses.asdict(event)})
            case Webhook():
                _post(channel.url, channel.headers, id_, {"id": id_, **dataclasses.asdict(event), "text": event.text})
            case Slack():
                _post(channel.url, {}, id_, {"text": event.text[:_LONGEST]})
            case Mail():
                _mail(channel, _message(channel, event, id_))
            case PubSub():
                _publish(channel.topic, event, id_)
    except CtError as error:
        raise SendError(str(error)) from error
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise SendError(f"{type(error).__name__}: {error}") from error


def _append(log: Path, line: Mapping[str, Any]) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _post(url: str, headers: Mapping[str, str], id_: str, body: Mapping[str, Any]) -> None:
    given = {"Content-Type": "application/json", "Idempotency-Key": id_, **secrets.resolve(dict(headers))}
    address = secrets.resolve(url)
    if not address.startswith(("https://", "http://")):
        raise SendError("the address is none of http or https")
    request = urllib.request.Request(address, json.dumps(body).encode(), given, method="POST")  # noqa: S310
    try:
        with _OPENER.open(request, timeout=TIMEOUT) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        raise SendError(f"{error.code} {error.reason}") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET without its body, taken for a success; and headers would go elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def _message(channel: Mail, event: Event, id_: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = f"[{event.project}] {event.headline}".replace("\n", " ")[:200]
    message["From"] = channel.sender
    message["To"] = ", ".join(channel.to)
    message["Message-ID"] = f"<{hashlib.sha256(id_.encode()).hexdigest()[:32]}@kfp-ct.invalid>"
    message.set_content(event.text)
    return message


def _mail(channel: Mail, message: EmailMessage) -> None:
    context = ssl.create_default_context()
    if channel.tls == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(channel.host, channel.port, timeout=TIMEOUT, context=context)
    else:
        server = smtplib.SMTP(channel.host, channel.port, timeout=TIMEOUT)
    with server:
        if channel.tls == "starttls":
            server.starttls(context=context)
        if channel.user:
            server.login(channel.user, secrets.resolve(channel.password))
        if refused := server.send_message(message):
            raise SendError(f"{', '.join(refused)}: refused")


def _publish(topic: str, event: Event, id_: str) -> None:
    from google.api_core.exceptions import GoogleAPIError
    from google.cloud import pubsub_v1

    data = json.dumps({"id": id_, **dataclasses.asdict(event)}).encode()
    try:
        with pubsub_v1.PublisherClient() as client:
            client.publish(topic, data, id=id_, kind=event.kind, timeout=TIMEOUT).result(TIMEOUT)
    except (GoogleAPIError, TimeoutError) as error:
        raise SendError(f"{type(error).__name__}: {error}") from error
