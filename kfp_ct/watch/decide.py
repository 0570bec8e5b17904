"""Whether a run is to begin: a pure function of what is wanted, what is seen, what was done, and the time."""

import dataclasses
import datetime
from collections.abc import Sequence

from cronsim import CronSim

from kfp_ct.watch import policy as policies
from kfp_ct.watch.policy import Policy, Trigger

RUNNING, SUCCEEDED, FAILED = "RUNNING", "SUCCEEDED", "FAILED"


@dataclasses.dataclass(frozen=True)
class ManualRequest:
    """A person, or a message, asks for a run."""

    id: str
    by: str = ""
    cause: str = ""


@dataclasses.dataclass(frozen=True)
class Tick:
    """A clock elsewhere, such as Cloud Scheduler, fires a job."""

    id: str
    job: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Span:
    """A piece of data, by an id that changes with its content; `rows` is None where counting is not possible.

    `markers` are the names of files beside it that say it is fit to be used, such as _SUCCESS.
    """

    id: str
    arrived: datetime.datetime
    rows: int | None = None
    markers: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Period:
    """What the monitor component said of a period: the live metric with its interval, and features that moved.

    `baseline` is what the evaluation measured; `higher_is_better` is False for losses.
    """

    id: str
    end: datetime.datetime
    metric: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    moved: tuple[str, ...] = ()
    higher_is_better: bool = True


@dataclasses.dataclass(frozen=True)
class Observations:
    """Everything that is seen; each part may be empty."""

    wishes: tuple[ManualRequest, ...] = ()
    spans: tuple[Span, ...] = ()
    periods: tuple[Period, ...] = ()
    ticks: tuple[Tick, ...] = ()


@dataclasses.dataclass(frozen=True)
class Firing:
    """A run that was begun: when, by which triggers, and what it answers, so that nothing is answered twice."""

    at: datetime.datetime
    triggers: tuple[str, ...]
    keys: tuple[str, ...]
    state: str = SUCCEEDED
    run: str = ""

    @property
    def by_itself(self) -> bool:
        """Whether no person asked for it."""
        return not any(key.startswith("wish:") for key in self.keys)


@dataclasses.dataclass(frozen=True)
class Decision:
    """Fire or hold.

    Attributes:
        fire: Whether a run is to begin.
        triggers: Names of the triggers that want it.
        reasons: Why they want it.
        holds: Why it does not begin although they do, or why nobody wants it.
        keys: What the run answers.
        look_again: When the answer may change without anything new; None if only something new changes it.
    """

    fire: bool
    triggers: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    look_again: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True)
class _Fire:
    trigger: str
    reason: str
    keys: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Hold:
    reason: str
    until: datetime.datetime | None = None


def decide(policy: Policy, observations: Observations, history: Sequence[Firing], now: datetime.datetime) -> Decision:
    """Decides whether a run is to begin.

    One run answers everything that is wanted at the time. A person's wish is held back by nothing but a run that
    is going on; what begins by itself also keeps the cooldown, the day's budget and the quiet hours.

    Args:
        policy: What may start a run.
        observations: What is seen.
        history: Runs begun before, in any order.
        now: The time, with a time zone.
    """
    answered = {key for firing in history for key in firing.keys}
    wants: list[_Fire] = []
    waits: list[_Hold] = []
    for trigger in policy.triggers:
        found = _ask(trigger, policy, observations, history, now, answered)
        (wants if isinstance(found, _Fire) else waits).append(found)  # type: ignore[arg-type]
    looks = [wait.until for wait in waits if wait.until]
    if not wants:
        holds = tuple(wait.reason for wait in waits)
        return Decision(False, holds=holds, look_again=min(looks, default=None))
    by_person = any(key.startswith("wish:") for want in wants for key in want.keys)
    held = _held_back(policy, history, now, by_person)
    names, reasons = tuple(want.trigger for want in wants), tuple(want.reason for want in wants)
    keys = tuple(dict.fromkeys(key for want in wants for key in want.keys))
    if held:
        until = [each.until for each in held]
        again = None if None in until else max(each for each in until if each)
        return Decision(False, names, reasons, tuple(each.reason for each in held), keys, again)
    return Decision(True, names, reasons, (), keys)


def _ask(
    trigger: Trigger, policy: Policy, seen: Observations, history: Sequence[Firing], now: datetime.datetime,
    answered: set[str],
) -> _Fire | _Hold:  # fmt: skip
    if trigger.kind == policies.ON_DEMAND:
        return _on_demand(trigger, seen.wishes, answered)
    if trigger.kind == policies.SCHEDULE:
        if trigger.job:
            return _job(trigger, seen.ticks, answered)
        return _schedule(trigger, policy, history, now)
    if trigger.kind == policies.NEW_DATA:
        return _new_data(trigger, seen.spans, answered, now)
    return _monitored(trigger, seen.periods, answered)


def _on_demand(trigger: Trigger, wishes: Sequence[ManualRequest], answered: set[str]) -> _Fire | _Hold:
    fresh = [wish for wish in wishes if f"wish:{wish.id}" not in answered]
    if not fresh:
        return _Hold(f"{trigger.name}: nobody asks")
    people = ", ".join(sorted({wish.by for wish in fresh if wish.by})) or "a person"
    causes = "; ".join(dict.fromkeys(wish.cause for wish in fresh if wish.cause))
    told = f"{people} asked for a run" + (f": {causes}" if causes else "")
    return _Fire(trigger.name, told, tuple(f"wish:{wish.id}" for wish in fresh))


def _schedule(trigger: Trigger, policy: Policy, history: Sequence[Firing], now: datetime.datetime) -> _Fire | _Hold:
    """The last time the clock passed a firing is answered once; times missed before it are not caught up."""
    local = now.astimezone(policy.time_zone)
    upcoming = next(CronSim(trigger.cron, local))
    last = next(CronSim(trigger.cron, local + datetime.timedelta(seconds=1), reverse=True), None)
    keys = {key for firing in history for key in firing.keys}
    begun = [firing.at for firing in history if trigger.name in firing.triggers]
    key = f"schedule:{trigger.name}:{last.astimezone(datetime.UTC):%Y%m%dT%H%M}" if last else ""
    # Before its first firing there is nothing to be late for, but the minute itself counts.
    due = last is not None and key not in keys and (bool(begun) or local - last < datetime.timedelta(minutes=1))
    if not due:
        return _Hold(f"{trigger.name}: next at {upcoming:%Y-%m-%d %H:%M %Z}", upcoming.astimezone(datetime.UTC))
    return _Fire(trigger.name, f"the schedule {trigger.cron} was due at {last:%Y-%m-%d %H:%M %Z}", (key,))


def _job(trigger: Trigger, ticks: Sequence[Tick], answered: set[str]) -> _Fire | _Hold:
    """All firings that nothing has answered yet are answered by one run."""
    fresh = [tick for tick in ticks if tick.job == trigger.job and f"tick:{tick.id}" not in answered]
    if not fresh:
        return _Hold(f"{trigger.name}: the job {trigger.job} has not fired")
    last = max(tick.at for tick in fresh)
    return _Fire(
        trigger.name, f"the job {trigger.job} fired at {last:%Y-%m-%d %H:%M %Z}", tuple(f"tick:{t.id}" for t in fresh)
    )


def _new_data(trigger: Trigger, spans: Sequence[Span], answered: set[str], now: datetime.datetime) -> _Fire | _Hold:
    fresh = [span for span in spans if f"span:{span.id}" not in answered]
    if fresh and trigger.marker:
        unfit, fresh = len(fresh), [span for span in fresh if trigger.marker in span.markers]
        if not fresh:
            return _Hold(f"{trigger.name}: {unfit} new files have no {trigger.marker} beside them")
    if not fresh:
        return _Hold(f"{trigger.name}: no new data")
    newest, oldest = max(span.arrived for span in fresh), min(span.arrived for span in fresh)
    settled = newest + datetime.timedelta(seconds=trigger.settle)
    if now < settled:
        return _Hold(f"{trigger.name}: {len(fresh)} new files are still arriving", settled)
    rows = [span.rows for span in fresh if span.rows is not None]
    known = f"{sum(rows):,} rows" if len(rows) == len(fresh) else "rows not counted"
    told = f"{len(fresh)} new {'file' if len(fresh) == 1 else 'files'}, {known}"
    enough = len(fresh) >= trigger.min_files
    if trigger.min_rows:
        enough = enough and len(rows) == len(fresh) and sum(rows) >= trigger.min_rows
    patience = oldest + datetime.timedelta(seconds=trigger.max_wait) if trigger.max_wait else None
    if not enough and not (patience and now >= patience):
        wanted = f"{trigger.min_files} files" + (f" and {trigger.min_rows:,} rows" if trigger.min_rows else "")
        return _Hold(f"{trigger.name}: {told}; waits for {wanted}", patience)
    late = "" if enough else ", and they have waited long enough"
    return _Fire(trigger.name, f"{told}{late}", tuple(f"span:{span.id}" for span in fresh))


def _monitored(trigger: Trigger, periods: Sequence[Period], answered: set[str]) -> _Fire | _Hold:
    """The newest periods in a row must all say so."""
    latest = sorted(periods, key=lambda period: period.end)[-trigger.periods :]
    if len(latest) < trigger.periods:
        return _Hold(f"{trigger.name}: {len(latest)} of {trigger.periods} monitored periods are there")
    judge = _performance if trigger.kind == policies.PERFORMANCE else _distribution
    found = [judge(trigger, period) for period in latest]
    if not all(found):
        return _Hold(f"{trigger.name}: the newest {_periods(trigger.periods)} gives no reason")
    key = f"{trigger.kind}:{latest[-1].id}"
    if key in answered:
        return _Hold(f"{trigger.name}: the newest period was answered by a run")
    return _Fire(trigger.name, found[-1], (key,))


def _performance(trigger: Trigger, period: Period) -> str:
    """A metric counts as below a bound only if its whole interval is: a small sample alarms nobody."""
    sign = 1.0 if period.higher_is_better else -1.0
    best = period.high if period.higher_is_better else period.low
    best = period.value if best is None else best
    if best is None or period.value is None:
        return ""
    told = f"{period.metric} was {period.value:.4g} up to {period.end:%Y-%m-%d %H:%M}"
    if trigger.min_value is not None and sign * best < sign * trigger.min_value:
        return f"{told}, needed {trigger.min_value:g}"
    if trigger.max_loss is None or period.baseline is None:
        return ""
    if sign * (period.baseline - best) > trigger.max_loss:
        return f"{told}, baseline {period.baseline:.4g}, allowed to lose {trigger.max_loss:g}"
    return ""


def _distribution(trigger: Trigger, period: Period) -> str:
    moved = [name for name in period.moved if not trigger.features or name in trigger.features]
    if len(moved) < trigger.min_features:
        return ""
    return f"{len(moved)} features moved up to {period.end:%Y-%m-%d %H:%M}: {', '.join(moved[:5])}"


def _periods(count: int) -> str:
    return "period" if count == 1 else f"{count} periods"


def _held_back(policy: Policy, history: Sequence[Firing], now: datetime.datetime, by_person: bool) -> list[_Hold]:
    if running := next((firing for firing in history if firing.state == RUNNING), None):
        return [_Hold(f"the run {running.run or 'begun before'} is going on")]
    if by_person:
        return []
    local = now.astimezone(policy.time_zone)
    held = []
    own = [firing for firing in history if firing.by_itself]
    if own:
        free = max(firing.at for firing in own) + datetime.timedelta(seconds=policy.cooldown)
        if now < free:
            held.append(_Hold(f"cooling down until {free.astimezone(policy.time_zone):%Y-%m-%d %H:%M}", free))
    today = [firing for firing in own if firing.at.astimezone(policy.time_zone).date() == local.date()]
    if len(today) >= policy.daily_budget:
        midnight = datetime.datetime.combine(
            local.date() + datetime.timedelta(days=1), datetime.time(), policy.time_zone
        )
        held.append(_Hold(f"runs today: {len(today)}, the budget of the day", midnight.astimezone(datetime.UTC)))
    for start, end in policy.quiet_hours:
        if until := _quiet_until(local, start, end):
            held.append(_Hold(f"quiet hours until {until:%H:%M}", until.astimezone(datetime.UTC)))
    return held


def _quiet_until(local: datetime.datetime, start: datetime.time, end: datetime.time) -> datetime.datetime | None:
    """Returns when the quiet hours end in which a time is; None if it is in none."""
    clock = local.time()
    inside = start <= clock < end if start <= end else (clock >= start or clock < end)
    if not inside:
        return None
    day = local.date() + datetime.timedelta(days=int(start > end and clock >= start))
    return datetime.datetime.combine(day, end, local.tzinfo)
