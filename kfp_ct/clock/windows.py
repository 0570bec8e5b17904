"""Windows of time: instants in ISO 8601, or relative to their end, such as the last 90 days."""

import calendar
import datetime
import re

_RELATIVE = re.compile(r"last ([1-9]\d{0,5}) (hour|day|week|month|year)s?")
_MONTHS = {"month": 1, "year": 12}
INSTANT = "a date or instant in ISO 8601, such as 2013-06-01 or 2013-06-01T12:00:00Z"
START = f"{INSTANT}, or such as last 90 days"


def instant(text: str) -> datetime.datetime | None:
    """Returns an instant without zone, in UTC where one is given; None for an empty text.

    Raises:
        ValueError: It is none.
    """
    if not text.strip():
        return None
    moment = datetime.datetime.fromisoformat(text.strip())
    try:
        return moment.astimezone(datetime.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except OverflowError as error:
        raise ValueError(str(error)) from error


def bounds(start: str, end: str, now: datetime.datetime) -> tuple[datetime.datetime | None, datetime.datetime | None]:
    """Returns the bounds of a window without zone, in UTC; None where it has none.

    Raises:
        ValueError: One of them cannot be read, or they enclose nothing.
    """
    first, last = (instant(text) for text in absolute(start, end, now))
    if first and last and first >= last:
        raise ValueError(f"the window from {first.isoformat()} up to {last.isoformat()} is empty")
    return first, last


def is_relative(start: str) -> bool:
    """Whether a window's start is said relative to its end."""
    return start.strip().startswith("last ")


def absolute(start: str, end: str, now: datetime.datetime) -> tuple[str, str]:
    """Returns the bounds of a window in ISO 8601; those that are not relative as they are.

    Args:
        start: `last N hours`, days, weeks, months or years; or an instant, or empty.
        end: An instant; where it is empty and the start relative, the start of the current hour or UTC day, so that
            what is read are whole hours or days.
        now: The time, with a zone.

    Raises:
        ValueError: One of them cannot be read; says what is expected.
    """
    if not is_relative(start):
        return start, end
    match = _RELATIVE.fullmatch(start.strip())
    if match is None:
        raise ValueError(f"window_start is {start!r}: expected {START}")
    count, unit = int(match[1]), match[2]
    try:
        last = datetime.datetime.fromisoformat(end.strip()) if end.strip() else _whole(now, unit)
        return _earlier(last, count, unit).isoformat(), last.isoformat()
    except (ValueError, OverflowError) as error:
        raise ValueError(f"the window is {start!r} up to {end or 'now'!r}: {error}; expected {START}") from error


def _whole(now: datetime.datetime, unit: str) -> datetime.datetime:
    utc = now.astimezone(datetime.UTC).replace(tzinfo=None, minute=0, second=0, microsecond=0)
    return utc if unit == "hour" else utc.replace(hour=0)


def _earlier(end: datetime.datetime, count: int, unit: str) -> datetime.datetime:
    if unit not in _MONTHS:
        return end - datetime.timedelta(**{f"{unit}s": count})
    year, month = divmod(end.year * 12 + end.month - 1 - count * _MONTHS[unit], 12)
    if year < 1:
        raise ValueError("it begins before the year 1")
    day = min(end.day, calendar.monthrange(year, month + 1)[1])
    return end.replace(year=year, month=month + 1, day=day)
