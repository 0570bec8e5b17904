"""What is to be told and what was: a database beside the runs, in which nothing is lost and nothing is noted twice.

An event is noted once, with a delivery for each channel that is to have it. A delivery is taken for a while, sent,
then settled. One whose sender was killed in between is sent again after that while, under the same id: receivers that
heed ids (a webhook's Idempotency-Key, a mail's Message-ID) have it once.
"""

import contextlib
import dataclasses
import datetime
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kfp_ct.base import atomic_files, redaction
from kfp_ct.clock.durations import duration
from kfp_ct.notices.events import Event
from kfp_ct.notices.settings import Notices

WAITING, SENT, REPEATED, GIVEN_UP = "waiting", "sent", "repeated", "given up"
_LEASE = datetime.timedelta(minutes=2)
_FIRST, _LONGEST = 15.0, 3600.0  # seconds between tries
_PATIENCE = datetime.timedelta(days=1)
# Runs that ended shortly before notices were first looked for are told of, too.
_BEFORE = datetime.timedelta(hours=1)
_TABLES = """
create table if not exists since (at text not null);
create table if not exists events (key text primary key, body text not null);
create table if not exists deliveries (
    key text not null references events, channel text not null, state text not null, kind text not null,
    subject text not null, noted text not null, due text not null, attempts integer not null default 0,
    settled text not null default '', error text not null default '', primary key (key, channel));
create index if not exists waiting on deliveries (state, due);
"""


@dataclasses.dataclass(frozen=True)
class Delivery:
    """An event for a channel."""

    event: Event
    channel: str
    state: str
    noted: str
    due: str
    attempts: int
    settled: str
    error: str

    @property
    def id(self) -> str:
        """The same at every try."""
        return f"{self.event.key}/{self.channel}"


class Outbox:
    """The database of a project."""

    def __init__(self, file: Path, now: datetime.datetime) -> None:
        with atomic_files.writing_to("the notices", file):
            file.parent.mkdir(parents=True, exist_ok=True)
            self._file = file
            with self._writing() as connection:
                # Several statements at once would end the transaction.
                for statement in filter(str.strip, _TABLES.split(";")):
                    connection.execute(statement)
                if connection.execute("select at from since").fetchone() is None:
                    connection.execute("insert into since values (?)", (_text(now - _BEFORE),))

    @property
    def since(self) -> datetime.datetime:
        """Events from before that time are not told."""
        with self._writing() as connection:
            return datetime.datetime.fromisoformat(connection.execute("select at from since").fetchone()[0])

    def note(self, event: Event, notices: Notices, now: datetime.datetime) -> bool:
        """Notes an event, with a delivery for each channel that a rule names; False if it was noted before."""
        with self._writing() as connection:
            body = json.dumps(redaction.redact_tree(dataclasses.asdict(event)))
            new = connection.execute("insert or ignore into events values (?, ?)", (event.key, body)).rowcount == 1
            for rule in notices.rules if new else ():
                for channel in rule.to if event.kind in rule.on else ():
                    told = now - datetime.timedelta(seconds=duration(rule.again_after))
                    state = REPEATED if _told_since(connection, event, channel, told) else WAITING
                    due = _text(notices.quiet_until(rule, now))
                    connection.execute(
                        "insert or ignore into deliveries (key, channel, state, kind, subject, noted, due) "
                        "values (?, ?, ?, ?, ?, ?, ?)",
                        (event.key, channel, state, event.kind, event.subject, _text(now), due),
                    )
            return new

    def take(self, now: datetime.datetime) -> Delivery | None:
        """Takes a delivery that is due; for a while nobody else has it."""
        with self._writing() as connection:
            row = connection.execute(
                f"{_SELECT} where state = ? and due <= ? order by due limit 1", (WAITING, _text(now))
            ).fetchone()
            if row is None:
                return None
            found = _delivery(row)
            connection.execute(
                "update deliveries set due = ?, attempts = attempts + 1 where key = ? and channel = ?",
                (_text(now + _LEASE), found.event.key, found.channel),
            )
            return dataclasses.replace(found, attempts=found.attempts + 1)

    def settle(self, delivery: Delivery, error: str, now: datetime.datetime) -> None:
        """Says how sending went: without an error it is sent, else it is tried again later, for a day."""
        noted = datetime.datetime.fromisoformat(delivery.noted)
        pause = min(_FIRST * 2 ** (delivery.attempts - 1), _LONGEST)
        late = now - noted > _PATIENCE
        state = SENT if not error else GIVEN_UP if late else WAITING
        with self._writing() as connection:
            connection.execute(
                "update deliveries set state = ?, due = ?, settled = ?, error = ? where key = ? and channel = ?",
                (state, _text(now + datetime.timedelta(seconds=pause)), _text(now), redaction.redact(error),
                 delivery.event.key, delivery.channel),
            )  # fmt: skip

    def next_due(self) -> datetime.datetime | None:
        """When the next delivery is due; None if nothing waits."""
        with self._writing() as connection:
            (due,) = connection.execute("select min(due) from deliveries where state = ?", (WAITING,)).fetchone()
        return datetime.datetime.fromisoformat(due) if due else None

    def deliveries(self) -> Sequence[Delivery]:
        """All, newest first."""
        with self._writing() as connection:
            return [_delivery(row) for row in connection.execute(f"{_SELECT} order by noted desc, key, channel")]

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._file, timeout=30, isolation_level=None)
        try:
            connection.execute("begin immediate")
            yield connection
            connection.execute("commit")
        except BaseException:
            if connection.in_transaction:
                connection.execute("rollback")
            raise
        finally:
            connection.close()


_SELECT = "select body, channel, state, noted, due, attempts, settled, error from deliveries join events using (key)"


def file_of(home: Path, project: str) -> Path:
    """Where a project's outbox is."""
    return home / "notices" / f"{project}.db"


def _delivery(row: Sequence[Any]) -> Delivery:
    fields = json.loads(row[0])
    return Delivery(Event(**{**fields, "details": tuple(fields["details"])}), *row[1:])


def _told_since(connection: sqlite3.Connection, event: Event, channel: str, since: datetime.datetime) -> bool:
    found = connection.execute(
        "select 1 from deliveries where channel = ? and kind = ? and subject = ? and noted > ? and state in (?, ?)",
        (channel, event.kind, event.subject, _text(since), WAITING, SENT),
    ).fetchone()
    return found is not None


def _text(time: datetime.datetime) -> str:
    return time.astimezone(datetime.UTC).isoformat(timespec="milliseconds")
