"""When recurring runs fire: a pure function of their trigger, of what was fired, and of the time.

The rules are those of KFP's controller (kubeflow/pipelines, backend/src/crd/controller/scheduledworkflow/util): the
first firing is after the start, a catch-up fires every time that was missed, without one only the latest counts.
"""

import datetime
import re
from collections.abc import Mapping
from typing import Any

from cronsim import CronSim, CronSimError

from kfp_ct.base.errors import UsageError
from kfp_ct.clock import cron
from kfp_ct.endpoint.store.faults import invalid

_NAMED = {
    "@yearly": "0 0 0 1 1 *", "@annually": "0 0 0 1 1 *", "@monthly": "0 0 0 1 * *", "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *", "@midnight": "0 0 0 * * *", "@hourly": "0 0 * * * *",
}  # fmt: skip
_LONGEST = 10 * 366 * 86400
_GO_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")
_GO_UNITS = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def check(trigger: Mapping[str, Any]) -> None:
    """Refuses a trigger that never fires or that cannot be read; without a schedule it fires once, at once.

    Raises:
        Fault: Says what is expected.
    """
    kinds = [kind for kind in ("cron_schedule", "periodic_schedule") if trigger.get(kind)]
    if not kinds:
        return
    if len(kinds) > 1:
        raise invalid("trigger: expected one of cron_schedule and periodic_schedule")
    schedule = trigger[kinds[0]]
    start, end = _time(schedule, "start_time"), _time(schedule, "end_time")
    if start and end and end <= start:
        raise invalid(f"trigger: end_time {schedule['end_time']} is not after start_time {schedule['start_time']}")
    if "cron_schedule" in kinds and _period(trigger) is None:
        _cron(schedule.get("cron") or "", datetime.datetime.now(datetime.UTC))
    else:
        _period(trigger)


def is_recurring(trigger: Mapping[str, Any]) -> bool:
    """Whether a trigger has a schedule."""
    return bool(trigger.get("cron_schedule") or trigger.get("periodic_schedule"))


def upcoming(
    trigger: Mapping[str, Any], last: datetime.datetime | None, created: datetime.datetime
) -> datetime.datetime | None:
    """Returns when it fires next after the last firing, whether that has passed or not; None if never again."""
    if not is_recurring(trigger):
        return None if last else created
    schedule = trigger.get("cron_schedule") or trigger["periodic_schedule"]
    start, end = _time(schedule, "start_time"), _time(schedule, "end_time")
    base = last or start or created
    if start and base < start:
        base = start
    seconds = _period(trigger)
    found: datetime.datetime | None = base + datetime.timedelta(seconds=seconds or 0)
    if seconds is None:
        found = next(_cron(schedule["cron"], base), None)
    if found is None or (end and found > end):
        return None
    return found.astimezone(datetime.UTC)


def due(
    trigger: Mapping[str, Any],
    last: datetime.datetime | None,
    created: datetime.datetime,
    now: datetime.datetime,
    catch_up: bool,
) -> datetime.datetime | None:
    """Returns the firing that is due; None if there is none yet.

    Args:
        trigger: KFP's V2beta1Trigger.
        last: The firing before; None before the first.
        created: When the recurring run was created.
        now: The time.
        catch_up: Whether every missed firing counts, the oldest first, or only the latest.
    """
    found = upcoming(trigger, last, created)
    if found is None or found > now:
        return None
    if catch_up or not is_recurring(trigger):
        return found
    seconds = _period(trigger)
    if seconds is not None:
        end = _time(trigger.get("cron_schedule") or trigger["periodic_schedule"], "end_time")
        reach = min(now, end) if end else now
        return found + datetime.timedelta(seconds=int((reach - found).total_seconds() // seconds) * seconds)
    return _latest(trigger, found, created, now)


def _latest(
    trigger: Mapping[str, Any], found: datetime.datetime, created: datetime.datetime, now: datetime.datetime
) -> datetime.datetime:
    """Returns the last firing of a cron expression that has passed."""
    end = _time(trigger["cron_schedule"], "end_time")
    reach = min(now, end) if end else now
    backwards = _cron(trigger["cron_schedule"]["cron"], reach + datetime.timedelta(seconds=1), reverse=True)
    latest = next(backwards, found)
    return max(found, latest.astimezone(datetime.UTC))


def whole(value: Any) -> int:
    """Returns an int64 as JSON has it, a number or its text; 0 for what is none, such as 1.5 and true."""
    if isinstance(value, bool) or not re.fullmatch(r"[+-]?\d{1,19}(\.0{0,9})?", str(value)):
        return 0
    return int(float(value)) if isinstance(value, float) else int(str(value).partition(".")[0])


def _interval(schedule: Mapping[str, Any]) -> int:
    seconds = whole(schedule.get("interval_second"))
    if not 1 <= seconds <= _LONGEST:
        raise invalid(
            f"trigger: interval_second is {schedule.get('interval_second')!r}: expected 1 or more, in seconds"
        )
    return seconds


def _cron(expression: str, base: datetime.datetime, reverse: bool = False) -> CronSim:
    """Yields the firings of a cron expression as KFP reads it: by robfig/cron v1.

    Six fields, seconds first; of five the weekday is the one left out, so `5 0 * * *` fires every hour at :00:05.
    A `TZ=` before them names a zone, else it is UTC. `@daily` and its like are names of expressions.
    """
    zone: datetime.tzinfo = datetime.UTC
    fields = expression.split()
    if fields and fields[0].startswith("TZ="):
        try:
            zone = cron.zone(fields[0].partition("=")[2], f"cron {expression!r}")
        except UsageError as error:
            raise invalid(str(error)) from error
        fields = fields[1:]
    text = _NAMED.get(" ".join(fields), " ".join(fields))
    if len(text.split()) == 5:
        text = f"{text} *"
    try:
        return cron.simulated(cron.require_fields(text), base.astimezone(zone), reverse)
    except CronSimError as error:
        raise invalid(
            f"cron {expression!r}: {error}: expected six fields, seconds first, such as 0 30 4 * * * for half past four"
        ) from error


def _every(expression: str) -> int | None:
    """Returns the seconds between two firings of `@every 1h30m`; None of another expression."""
    name, _, duration = expression.strip().partition(" ")
    if name != "@every":
        return None
    parts = _GO_DURATION.findall(duration.strip())
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != duration.strip():
        raise invalid(f"cron {expression!r}: expected a duration such as @every 1h30m")
    # Whole seconds, one at least, as robfig's ConstantDelaySchedule has it.
    seconds = max(1, int(sum(float(number) * _GO_UNITS[unit] for number, unit in parts)))
    if seconds > _LONGEST:
        raise invalid(f"cron {expression!r}: expected at most ten years")
    return seconds


def _period(trigger: Mapping[str, Any]) -> int | None:
    """Returns the seconds between two firings of what fires at an interval; None of a cron expression."""
    if trigger.get("cron_schedule"):
        return _every(trigger["cron_schedule"].get("cron") or "")
    return _interval(trigger["periodic_schedule"])


def _time(schedule: Mapping[str, Any], name: str) -> datetime.datetime | None:
    return read_time(schedule[name], f"trigger: {name}") if schedule.get(name) else None


def read_time(text: str, where: str = "time") -> datetime.datetime:
    """Reads an RFC 3339 time.

    Raises:
        Fault: It is none, or has no time zone.
    """
    try:
        found = datetime.datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise invalid(f"{where} is {text!r}: expected such as 2026-01-31T04:30:00Z") from error
    if found.tzinfo is None:
        raise invalid(f"{where} is {text!r}, which has no time zone: expected such as 2026-01-31T04:30:00Z")
    return found
