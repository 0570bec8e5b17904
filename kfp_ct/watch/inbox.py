"""Received messages and their answers: `.ct/triggers/<project>.inbox/messages.jsonl`, one line per event."""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

from kfp_ct.watch import journal, messages
from kfp_ct.watch.messages import Message

FIRE, HOLD, REFUSED = "fire", "hold", "refused"


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer to a message; a message that is delivered again gets the same answer."""

    decision: str
    reasons: tuple[str, ...] = ()
    run: str = ""

    @property
    def body(self) -> dict[str, Any]:
        """The answer as JSON."""
        return {"decision": self.decision, "reasons": list(self.reasons), **({"run": self.run} if self.run else {})}


@dataclasses.dataclass(frozen=True)
class StoredMessage:
    """A message with its answer; None before it is answered."""

    message: Message
    answer: Answer | None = None

    @property
    def counts(self) -> bool:
        """Whether triggers consider it."""
        return self.answer is None or self.answer.decision != REFUSED


def path_of(home: Path, project: str) -> Path:
    """Returns a project's file."""
    return home / "triggers" / f"{project}.inbox" / "messages.jsonl"


def store(path: Path, message: Message) -> None:
    """Stores a message; it is on disk when this returns."""
    journal.append(path, {"message": dataclasses.asdict(message)})


def answer(path: Path, number: str, given: Answer) -> None:
    """Stores the answer to a message."""
    journal.append(path, {"id": number, "answer": given.body})


def read(path: Path) -> dict[str, StoredMessage]:
    """Returns all messages by id, oldest first."""
    found: dict[str, StoredMessage] = {}
    for event in journal.read(path):
        if "message" in event:
            message = Message(**event["message"])
            found.setdefault(message.id, StoredMessage(message))
        elif event.get("id") in found:
            fields = event["answer"]
            given = Answer(fields["decision"], tuple(fields["reasons"]), fields.get("run", ""))
            found[event["id"]] = dataclasses.replace(found[event["id"]], answer=given)
    return found


def observations(kept: dict[str, StoredMessage]) -> dict[str, messages.Observation]:
    """Returns the observations of the messages that triggers consider, by message id."""
    found = {}
    for number, each in kept.items():
        if each.counts:
            with contextlib.suppress(messages.MessageError):  # it will be refused
                found[number] = messages.to_observation(each.message)
    return found


def messages_behind(kept: dict[str, StoredMessage], keys: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the messages whose observations a decision answers."""
    found = [number for number, each in observations(kept).items() if not set(keys).isdisjoint(each.keys)]
    return tuple(f"{kept[number].message.via} {number}" for number in found)
