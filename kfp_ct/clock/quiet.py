"""Quiet hours: times of day in which nothing begins by itself, and nobody is told."""

import datetime
from collections.abc import Iterable

Hours = tuple[datetime.time, datetime.time]


def parse(texts: Iterable[str]) -> list[Hours]:
    """Returns start and end of each; they may end on the next day.

    Args:
        texts: Such as 22:00-06:00.
    """
    halves = [text.split("-") for text in texts]
    return [(datetime.time.fromisoformat(start), datetime.time.fromisoformat(end)) for start, end in halves]


def until(local: datetime.datetime, hours: Hours) -> datetime.datetime | None:
    """Returns when the quiet hours end that contain a time; None if it is outside them."""
    start, end = hours
    clock = local.time()
    inside = start <= clock < end if start <= end else (clock >= start or clock < end)
    if not inside:
        return None
    day = local.date() + datetime.timedelta(days=int(start > end and clock >= start))
    return datetime.datetime.combine(day, end, local.tzinfo)
