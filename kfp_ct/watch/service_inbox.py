"""Messages that wait for a run of a service: an object each, beside the firings, until a firing has answered it.

The object's name is made of the message's id, so a message that is delivered again is no other one. One that was
answered and is delivered once more changes nothing, either: its keys stay in the firings.
"""

import dataclasses
import hashlib
import json
from collections.abc import Collection

from kfp_ct.base import redaction
from kfp_ct.base.errors import UsageError
from kfp_ct.storage import locations, storage
from kfp_ct.watch import messages
from kfp_ct.watch.messages import Message, MessageError, Observation
from kfp_ct.watch.observations import Period


def store(folder: str, message: Message) -> None:
    """Stores a message; it is in the store when this returns."""
    name = f"{hashlib.sha256(message.id.encode()).hexdigest()[:32]}.json"
    storage.create(
        locations.join(folder, name), json.dumps(redaction.redact_tree(dataclasses.asdict(message))).encode()
    )


def read(folder: str) -> dict[str, Observation]:
    """Returns what triggers see in the messages, by their objects.

    Raises:
        UsageError: An object is no message.
    """
    found = {}
    for each in storage.list_folder(folder):
        content = storage.read(each.uri)
        if content is None:  # another watch has just removed it
            continue
        try:
            found[each.uri] = messages.to_observation(Message(**json.loads(content.data)))
        except (TypeError, ValueError, MessageError) as error:
            raise UsageError(
                f"{each.uri} is no message of `ct watch`\nexpected: a message, as `ct watch --pubsub` writes it\n"
                "fix: remove it"
            ) from error
    return found


def forget(folder: str, answered: Collection[str]) -> None:
    """Removes the messages that firings have answered; periods stay, which later ones are compared with."""
    for uri, seen in read(folder).items():
        if not isinstance(seen, Period) and not set(seen.keys).difference(answered):
            storage.delete(uri)
