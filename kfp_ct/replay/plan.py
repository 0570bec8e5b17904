"""What a replay goes through: windows of time, and the strategies that are compared over them."""

import dataclasses
import datetime
import itertools
from typing import Any

from kfp_ct.clock.durations import duration
from kfp_ct.replay.settings import Replay
from kfp_ct.watch.policy import Policy

ONCE, EVERY, POLICY = "trained once", "every window", "policy"


@dataclasses.dataclass(frozen=True)
class Span:
    """A span of time: `start` inclusive, `end` exclusive, both in UTC."""

    start: datetime.datetime
    end: datetime.datetime

    @property
    def texts(self) -> tuple[str, str]:
        """Its bounds as a pipeline's window has them."""
        return text(self.start), text(self.end)


@dataclasses.dataclass(frozen=True)
class Strategy:
    """When a model is trained: once, at every window, or when a policy decides.

    Attributes:
        name: Of the policy's file, or what it does.
        kind: ONCE, EVERY or POLICY.
        policy: The triggers; None where none decide.
    """

    name: str
    kind: str
    policy: Policy | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """Settings of its runs beyond the replay's."""
        return dict(self.policy.parameters) if self.policy else {}


@dataclasses.dataclass(frozen=True)
class Plan:
    """The time that is replayed."""

    replay: Replay

    @property
    def windows(self) -> list[Span]:
        """The windows, in order."""
        found = self.replay.boundaries
        return [Span(start, end) for start, end in itertools.pairwise(found)]

    def known_until(self, now: datetime.datetime) -> datetime.datetime:
        """Returns up to when rows have arrived, with their labels, at a time.

        Rows arrive at the end of their window, labels so long after the row as the settings say, day by day.
        """
        arrived = max(each for each in self.replay.boundaries if each <= now)
        return min(arrived, self.labelled_until(now))

    def labelled_until(self, now: datetime.datetime) -> datetime.datetime:
        """Returns up to when labels are known at a time."""
        return day(now - datetime.timedelta(seconds=duration(self.replay.label_delay)))


def day(moment: datetime.datetime) -> datetime.datetime:
    """Returns the start of a day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def text(moment: datetime.datetime) -> str:
    """Returns an instant in UTC as windows have it, without a zone."""
    return moment.astimezone(datetime.UTC).replace(tzinfo=None).isoformat()
