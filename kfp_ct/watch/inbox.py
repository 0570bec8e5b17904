"""Messages that came and what was answered: `.ct/triggers/<project>.inbox/messages.jsonl`, a line an event."""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

from kfp_ct.watch import journal, messages
from kfp_ct.watch.messages import Message

FIRE, HOLD, REFUSED = "fire", "hold", "refused"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a message came to; one that is delivered again gets it again."""

    decision: str
    reasons: tuple[str, ...] = ()
    run: str = ""

    @property
    def body(self) -> dict[str, Any]:
        """The answer as JSON."""
        return {"decision": self.decision, "reasons": list(self.reasons), **({"run": self.run} if self.run else {})}


@dataclasses.dataclass(frozen=True)
class Kept:
    """A message and its answer; None while there is none."""

    message: Message
    answer: Answer | None = None

    @property
    def counts(self) -> bool:
        """Whether triggers look at it."""
        return self.answer is None or self.answer.decision != REFUSED


def path_of(home: Path, project: str) -> Path:
    """Returns a project's file."""
    return home / "triggers" / f"{project}.inbox" / "messages.jsonl"


def keep(path: Path, message: Message) -> None:
    """Keeps a message; it is on the disk when this returns."""
    journal.append(path, {"message": dataclasses.asdict(message)})


def answer(path: Path, number: str, given: Answer) -> None:
    """Keeps what a message came to."""
    journal.append(path, {"id": number, "answer": given.body})


def read(path: Path) -> dict[str, Kept]:
    """Returns all messages by id, oldest first."""
    found: dict[str, Kept] = {}
    for event in journal.read(path):
        if "message" in event:
            message = Message(**event["message"])
            found.setdefault(message.id, Kept(message))
        elif event.get("id") in found:
            given = event["answer"]
            told = Answer(given["decision"], tuple(given["reasons"]), given.get("run", ""))
            found[event["id"]] = dataclasses.replace(found[event["id"]], answer=told)
    return found


def told(kept: dict[str, Kept]) -> dict[str, messages.Seen]:
    """Returns what the messages say that triggers look at, by message."""
    found = {}
    for number, each in kept.items():
        if each.counts:
            with contextlib.suppress(messages.MessageError):  # it is about to be refused
                found[number] = messages.observed(each.message)
    return found


def telling(kept: dict[str, Kept], keys: tuple[str, ...]) -> tuple[str, ...]:
    """Returns which messages told what a decision answers."""
    found = {number: seen for number, seen in told(kept).items() if not set(keys).isdisjoint(messages.keys(seen))}
    return tuple(f"{kept[number].message.via} {number}" for number in found)
