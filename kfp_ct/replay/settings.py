"""How a project's data is replayed: its replay.yaml."""

import calendar
import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from kfp_ct.base.errors import UsageError
from kfp_ct.base.settings import Settings, Text, expected, matching, misfit
from kfp_ct.clock import windows
from kfp_ct.clock.duration_settings import Duration
from kfp_ct.project import yaml_file

FILE = "replay.yaml"
_EVERY = re.compile(r"([1-9]\d{0,2}) (day|week|month)s?")
Every = Annotated[str, matching(f"^{_EVERY.pattern}$", "such as 1 month, 2 weeks or 10 days")]


def _instant(text: str) -> str:
    try:
        moment(text)
    except ValueError:
        raise misfit(f"expected {windows.INSTANT}") from None
    return text


Instant = Annotated[str, AfterValidator(_instant), expected(windows.INSTANT)]


class Replay(Settings):
    """Which time is replayed, how data and labels arrive in it, and what its runs are set to."""

    start: Instant = Field(description="When the first model is trained and begins to serve (ISO 8601, UTC).")
    end: Instant = Field(description="When the replay ends, exclusive.")
    every: Every = Field("1 month", description="Length of a window: so often data arrives and is monitored.")
    label_delay: Duration = Field("0s", description="So long after a row its label is known; kept to the day.")
    settings: Text = Field("local", description="Settings of the training runs.")
    parameters: dict[str, Any] = Field({}, description="Settings of the runs beyond those of the file.")
    monitoring: str = Field(
        "", description="Settings whose rules monitoring goes by, such as monitoring-local; empty: the usual rules."
    )
    compare: Annotated[tuple[Text, ...], Field(strict=False)] = Field(
        (), description="Further policies, files like triggers.yaml beside this one, that are replayed each time."
    )

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that the time is empty, or that its parts are not whole days."""
        start, end = moment(self.start), moment(self.end)
        if start >= end:
            yield "end", "expected an instant after start"
        if start.time() != datetime.time():
            yield "start", "expected the start of a day"

    @property
    def boundaries(self) -> tuple[datetime.datetime, ...]:
        """The instants at which windows begin, and the end of the last."""
        match = _EVERY.fullmatch(self.every)
        assert match is not None  # noqa: S101 - checked when it was read
        found, last = [moment(self.start)], moment(self.end)
        while found[-1] < last:
            found.append(min(_later(found[0], len(found) * int(match[1]), match[2]), last))
        return tuple(found)


def moment(text: str) -> datetime.datetime:
    """Returns an instant of the settings, in UTC."""
    found = windows.instant(text)
    if found is None:
        raise ValueError("it is empty")
    return found.replace(tzinfo=datetime.UTC)


def load(path: Path, given: dict[str, Any]) -> Replay:
    """Reads a project's replay.yaml; what is given stands over what it says.

    Raises:
        UsageError: There is none and not enough is given, or it lists everything that does not fit.
    """
    document = yaml_file.read(path) if path.is_file() else {}
    if not path.is_file() and not {"start", "end"} <= given.keys():
        raise UsageError(
            f"there is no {path}\nexpected: which time is replayed\n"
            "fix: write one with start and end, such as 2013-03-01 and 2014-01-01, or pass --start and --end"
        )
    merged = {**document, **given} if isinstance(document, dict) else document
    replay: Replay = yaml_file.described(merged, Replay, path)
    return replay


def _later(start: datetime.datetime, count: int, unit: str) -> datetime.datetime:
    if unit != "month":
        return start + datetime.timedelta(**{f"{unit}s": count})
    year, month = divmod(start.year * 12 + start.month - 1 + count, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return start.replace(year=year, month=month + 1, day=min(start.day, last))
