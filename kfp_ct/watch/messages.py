"""Reads messages that may start a run: object notifications, manual requests, scheduler jobs, monitored periods."""

import base64
import binascii
import dataclasses
import datetime
import json
import secrets
from collections.abc import Mapping
from typing import Any

from kfp_ct.watch import observe
from kfp_ct.watch.observations import JobFiring, ManualRequest, Period, Span

FINALIZED = "OBJECT_FINALIZE"
_CLOUD_STORAGE_EVENT = "google.cloud.storage.object.v1.finalized"
_PUBSUB_EVENT = "google.cloud.pubsub.topic.v1.messagePublished"
Observation = ManualRequest | Span | JobFiring | Period
_EXPECTED = 'expected: {"cause": "…"}, {"job": "…"}, {"period": {…}} or a notification of Cloud Storage'


class MessageError(ValueError):
    """A message holds nothing that can start a run; delivering it again would not help."""


@dataclasses.dataclass(frozen=True)
class Message:
    """A message as it was received.

    Attributes:
        id: The sender's; a message that is delivered again has the same id.
        via: How it arrived: Pub/Sub, HTTP, Cloud Scheduler, Eventarc.
        at: When it was sent or received, ISO 8601.
        data: Its JSON; None if it has none.
        attributes: Its attributes.
        insistent: Whether its sender delivers it again until it is acknowledged.
    """

    id: str
    via: str
    at: str
    data: Any = None
    attributes: dict[str, str] = dataclasses.field(default_factory=dict)
    insistent: bool = False


def from_pubsub(number: str, data: bytes, attributes: Mapping[str, str], published: str = "") -> Message:
    """Reads a message of Pub/Sub, pulled or pushed."""
    return Message(f"pubsub/{number}", "Pub/Sub", published or _now(), _json(data), dict(attributes), insistent=True)


def from_http(body: bytes, headers: Mapping[str, str]) -> Message:
    """Reads an HTTP request: a push of Pub/Sub, a CloudEvent, a job of Cloud Scheduler, or plain JSON.

    Raises:
        MessageError: The body is not JSON, or its envelope is incomplete.
    """
    given = {name.lower(): value for name, value in headers.items()}
    tree = _json(body)
    if body.strip() and tree is None:
        raise MessageError(f"the body is not JSON\n{_EXPECTED}")
    if isinstance(tree, dict) and isinstance(tree.get("message"), dict) and "messageId" in tree["message"]:
        return _pushed(tree["message"])
    if "ce-id" in given:
        event = {name.removeprefix("ce-"): value for name, value in given.items() if name.startswith("ce-")}
        return _event(event, tree)
    if isinstance(tree, dict) and "specversion" in tree and "id" in tree:
        return _event(tree, tree.get("data"))
    if "x-cloudscheduler-jobname" in given:
        job, time = given["x-cloudscheduler-jobname"], given.get("x-cloudscheduler-scheduletime", _now())
        return Message(f"scheduler/{job}@{time}", "Cloud Scheduler", time, tree, {"job": job})
    key = given.get("idempotency-key", "") or secrets.token_hex(8)
    return Message(f"http/{key}", "HTTP", _now(), tree)


def to_observation(message: Message) -> Observation:
    """Returns the observation that a message holds for the triggers.

    Raises:
        MessageError: It holds none.
    """
    attributes, data = message.attributes, message.data
    try:
        if attributes.get("eventType", FINALIZED) != FINALIZED:
            raise MessageError(f"the event {attributes['eventType']} of an object starts no run\nexpected: {FINALIZED}")
        if "objectId" in attributes or (isinstance(data, dict) and {"bucket", "name"} <= data.keys()):
            return _object(attributes, data if isinstance(data, dict) else {})
        if "job" in attributes:
            return JobFiring(message.id, str(attributes["job"]), _time(message.at))
        if isinstance(data, dict) and data.get("job"):
            return JobFiring(message.id, str(data["job"]), _time(message.at))
        if isinstance(data, dict) and data.get("cause"):
            return ManualRequest(message.id, str(data.get("by") or message.via), str(data["cause"]))
        if isinstance(data, dict) and isinstance(data.get("period"), dict):
            return observe.period(data["period"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise error if isinstance(error, MessageError) else MessageError(f"{error!r}\n{_EXPECTED}") from error
    raise MessageError(f"the message holds nothing that starts a run\n{_EXPECTED}")


def bucket_and_name(message: Message) -> tuple[str, str]:
    """Returns the object that a notification is about."""
    data = message.data if isinstance(message.data, dict) else {}
    attributes = message.attributes
    bucket, name = attributes.get("bucketId") or data.get("bucket"), attributes.get("objectId") or data.get("name")
    return str(bucket), str(name)


def _object(attributes: Mapping[str, str], data: Mapping[str, Any]) -> Span:
    bucket, name = attributes.get("bucketId") or data["bucket"], attributes.get("objectId") or data["name"]
    generation = int(attributes.get("objectGeneration") or data["generation"])
    # The same as in a listing of Cloud Storage; without a payload the generation tells contents apart.
    content = data.get("md5Hash") or data.get("crc32c") or str(generation)
    return observe.object_span(f"gs://{bucket}/{name}", str(content), generation, frozenset())


def _pushed(message: Mapping[str, Any]) -> Message:
    try:
        data = base64.b64decode(message.get("data") or "", validate=True)
        attributes = {str(name): str(value) for name, value in (message.get("attributes") or {}).items()}
    except (binascii.Error, TypeError, ValueError, AttributeError) as error:
        raise MessageError(f"the message's data or attributes cannot be read: {error}") from error
    return from_pubsub(str(message["messageId"]), data, attributes, str(message.get("publishTime", "")))


def _event(event: Mapping[str, Any], data: Any) -> Message:
    kind = str(event.get("type", ""))
    if kind == _PUBSUB_EVENT and isinstance(data, dict) and isinstance(data.get("message"), dict):
        return _pushed({"messageId": event["id"], **data["message"]})
    number, time = f"event/{event.get('source', '')}/{event['id']}", str(event.get("time") or _now())
    if kind.startswith("google.cloud.storage.object."):
        attributes = {"eventType": FINALIZED if kind == _CLOUD_STORAGE_EVENT else kind}
        return Message(number, "Eventarc", time, data, attributes, insistent=True)
    return Message(number, "Eventarc", time, data, insistent=True)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data) if data.strip() else None
    except (ValueError, RecursionError):
        return None


def _time(text: str) -> datetime.datetime:
    found = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()
