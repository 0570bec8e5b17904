"""Cron expressions as people write them, and as Kubeflow Pipelines wants them: six fields, seconds first."""

import datetime
import re
import zoneinfo

from cronsim import CronSim, CronSimError

from kfp_ct.base.errors import UsageError

_NAMES = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC|SUN|MON|TUE|WED|THU|FRI|SAT"
_FIELD = re.compile(rf"([0-9*,/?-]|{_NAMES})+", re.IGNORECASE)  # what every service's parser takes
SOME_DAY = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)  # expressions are tried on it
_SUNDAY = re.compile(r"(?<![0-9/])7(?![0-9])")  # Go's parser knows Sunday as 0 only


def six_fields(expression: str, where: str = "cron") -> str:
    """Returns an expression with seconds; one of five fields fires at second 0.

    Raises:
        UsageError: It is none, or says something that not every service understands.
    """
    fields = expression.split()
    if len(fields) == 5:
        fields = ["0", *fields]
    written = all(_FIELD.fullmatch(field) for field in fields) and len(fields) == 6
    if written and "-" not in fields[5]:
        fields[5] = _SUNDAY.sub("0", fields[5])
    text = " ".join(fields)
    try:
        if not written:
            raise CronSimError("not the fields of one")
        simulated(text, SOME_DAY)
    except CronSimError as error:
        raise UsageError(
            f"{where}: {expression!r} is no cron expression ({error})\n"
            "expected: minute hour day month weekday, such as 0 6 * * 1, or six fields with seconds first"
        ) from error
    return text


def require_fields(expression: str) -> str:
    """Returns an expression of six fields that Go's parser (robfig/cron v1) takes.

    Raises:
        CronSimError: It has another number of fields, or says something that only other parsers know.
    """
    fields = expression.split()
    if len(fields) != 6:
        raise CronSimError(f"it has {len(fields)} fields")
    if strange := [field for field in fields if not _FIELD.fullmatch(field)]:
        raise CronSimError(f"{strange[0]} cannot be read by every service")
    if _SUNDAY.search(fields[5]):
        raise CronSimError("Sunday is 0")
    return expression


def zone(name: str, where: str = "time_zone") -> zoneinfo.ZoneInfo:
    """Returns a time zone.

    Raises:
        UsageError: There is none of that name.
    """
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise UsageError(f"{where}: there is no time zone {name!r}\nexpected: such as UTC or Europe/Berlin") from error


def latest(expression: str, time_zone: str, now: datetime.datetime) -> datetime.datetime | None:
    """Returns the last time an expression of six fields was due, up to now."""
    local = (now + datetime.timedelta(seconds=1)).astimezone(zone(time_zone))
    found = next(simulated(expression, local, reverse=True), None)
    return found and found.astimezone(datetime.UTC)


def upcoming(expression: str, time_zone: str, after: datetime.datetime) -> datetime.datetime | None:
    """Returns the first time an expression of six fields is due after a time."""
    found = next(simulated(expression, after.astimezone(zone(time_zone))), None)
    return found and found.astimezone(datetime.UTC)


def simulated(expression: str, base: datetime.datetime, reverse: bool = False) -> CronSim:
    """Returns the times after a time, or before it, at which an expression of six fields is due.

    Raises:
        CronSimError: It is none.
    """
    fields = [field for field in expression.split() if not field.startswith("TZ=")]
    return CronSim(" ".join(fields).replace("?", "*").upper(), base, reverse=reverse)
