"""A service with schedules that obeys the rules of KFP's controller, on its own clock; calls take time, or fail."""

import dataclasses
import datetime

from kfp_ct.clock import cron
from kfp_ct.deploy.schedules.plan import Actual, Desired


class Crash(BaseException):
    """The process that asks is killed."""


@dataclasses.dataclass
class Kept:
    actual: Actual
    catch_up: bool
    enabled: bool
    last: datetime.datetime | None = None


class Service:
    """Fires `lag` seconds after a firing is due, and shows the run `delay` seconds after that."""

    def __init__(self, start: datetime.datetime, lag: float = 1.0, delay: float = 1.0, settle: float = 5.0) -> None:
        self.time = start
        self.lag, self.delay, self.settle = lag, delay, settle
        self.kept: dict[str, Kept] = {}
        self.runs: list[tuple[str, datetime.datetime, datetime.datetime]] = []  # schedule, due, seen from
        self.serial = 0
        self.calls_left: int | None = None
        self.call_takes = 0.7

    def pass_time(self, seconds: float) -> None:
        end = self.time + datetime.timedelta(seconds=seconds)
        while True:
            events = [when for kept in self.kept.values() if (when := self._next(kept)) and when <= end]
            if not events:
                break
            self.time = max(self.time, min(events))
            for identity, kept in self.kept.items():
                if (when := self._next(kept)) and when <= self.time:
                    self._fire(identity, kept)
        self.time = end

    def _due(self, kept: Kept) -> datetime.datetime:
        base = max(kept.last or kept.actual.start, kept.actual.start)
        if kept.actual.interval:
            return base + datetime.timedelta(seconds=kept.actual.interval)
        return cron.upcoming(kept.actual.cron, "UTC", base)

    def _next(self, kept: Kept) -> datetime.datetime | None:
        return self._due(kept) + datetime.timedelta(seconds=self.lag) if kept.enabled else None

    def _fire(self, identity: str, kept: Kept) -> None:
        kept.last = due = self._due(kept)
        while not kept.catch_up and self._due(kept) <= self.time:
            kept.last = due = self._due(kept)
        self.runs.append((identity, due, self.time + datetime.timedelta(seconds=self.delay)))

    def _call(self) -> None:
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left < 0:
                raise Crash
        self.pass_time(self.call_takes)

    def actual(self) -> list[Actual]:
        return [dataclasses.replace(kept.actual, enabled=kept.enabled) for kept in self.kept.values()]

    def create(self, wanted: Desired, start: datetime.datetime, enabled: bool) -> Actual:
        self._call()
        self.serial += 1
        made = Actual(
            f"r{self.serial}", wanted.name, wanted.hash, enabled, f"{self.serial:04}", start.replace(microsecond=0),
            wanted.pipeline, wanted.version, wanted.cron, wanted.interval,
        )  # fmt: skip
        self.kept[made.id] = Kept(made, wanted.catch_up, enabled)
        return made

    def enable(self, actual: Actual, enabled: bool) -> None:
        self._call()
        self.kept[actual.id].enabled = enabled

    def delete(self, actual: Actual) -> None:
        self._call()
        self.kept.pop(actual.id, None)

    def last_firing(self, actual: Actual) -> datetime.datetime | None:
        self._call()
        return max((due for name, due, seen in self.runs if name == actual.id and seen <= self.time), default=None)

    def now(self) -> datetime.datetime:
        return self.time
