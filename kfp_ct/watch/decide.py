"""Decides whether a run begins: a pure function of the policy, the observations, the history and the time."""

import dataclasses
import datetime
from collections.abc import Sequence

from cronsim import CronSim

from kfp_ct.clock import quiet
from kfp_ct.clock.durations import duration
from kfp_ct.watch import policy as policies
from kfp_ct.watch.observations import (
    RUNNING,
    Firing,
    JobFiring,
    ManualRequest,
    Observations,
    Period,
    Span,
    is_manual,
)
from kfp_ct.watch.policy import Distribution, NewData, OnDemand, Performance, Policy, Scheduled, Trigger


@dataclasses.dataclass(frozen=True)
class Decision:
    """Fire or hold.

    Attributes:
        fire: Whether a run begins.
        triggers: Names of the triggers that fire.
        reasons: Why they fire.
        holds: Why no run begins: what holds it back, or why no trigger fires.
        keys: What the run answers.
        recheck_at: When the decision may change without a new observation; None if only a new one can change it.
    """

    fire: bool
    triggers: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    recheck_at: datetime.datetime | None = None


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
    """Decides whether a run begins.

    One run answers every trigger that fires at the time. A manual request is held back only by a run in progress;
    an automatic run also keeps the cooldown, the daily budget and the quiet hours.

    Args:
        policy: What may start a run.
        observations: What triggers look at.
        history: Earlier firings, in any order.
        now: The time, with a time zone.
    """
    answered = {key for firing in history for key in firing.keys}
    fires: list[_Fire] = []
    idle: list[_Hold] = []
    for trigger in policy.triggers:
        found = _evaluate(trigger, policy, observations, history, now, answered)
        (fires if isinstance(found, _Fire) else idle).append(found)  # type: ignore[arg-type]
    rechecks = [hold.until for hold in idle if hold.until]
    if not fires:
        holds = tuple(hold.reason for hold in idle)
        return Decision(False, holds=holds, recheck_at=min(rechecks, default=None))
    by_person = any(is_manual(key) for fire in fires for key in fire.keys)
    held = _holds(policy, history, now, by_person)
    names, reasons = tuple(fire.trigger for fire in fires), tuple(fire.reason for fire in fires)
    keys = tuple(dict.fromkeys(key for fire in fires for key in fire.keys))
    if held:
        until = [each.until for each in held]
        again = None if None in until else max(each for each in until if each)
        return Decision(False, names, reasons, tuple(each.reason for each in held), keys, again)
    return Decision(True, names, reasons, (), keys)


def _evaluate(
    trigger: Trigger, policy: Policy, seen: Observations, history: Sequence[Firing], now: datetime.datetime,
    answered: set[str],
) -> _Fire | _Hold:  # fmt: skip
    match trigger:
        case policies.OnDemand():
            return _manual(trigger, seen.manual_requests, answered)
        case policies.Scheduled() if trigger.job:
            return _job(trigger, seen.job_firings, answered)
        case policies.Scheduled():
            return _schedule(trigger, policy, history, now)
        case policies.NewData():
            return _new_data(trigger, seen.spans, answered, now)
        case policies.Performance() | policies.Distribution():
            return _monitored(trigger, seen.periods, answered)


def _manual(trigger: OnDemand, manual_requests: Sequence[ManualRequest], answered: set[str]) -> _Fire | _Hold:
    fresh = [request for request in manual_requests if answered.isdisjoint(request.keys)]
    if not fresh:
        return _Hold(f"{trigger.name}: no request")
    people = ", ".join(sorted({request.by for request in fresh if request.by})) or "a person"
    causes = "; ".join(dict.fromkeys(request.cause for request in fresh if request.cause))
    text = f"{people} asked for a run" + (f": {causes}" if causes else "")
    return _Fire(trigger.name, text, _keys(fresh))


def _schedule(trigger: Scheduled, policy: Policy, history: Sequence[Firing], now: datetime.datetime) -> _Fire | _Hold:
    """Fires once for the latest time that is due; earlier missed times are not caught up."""
    local = now.astimezone(policy.zone)
    upcoming = next(CronSim(trigger.cron, local))
    last = next(CronSim(trigger.cron, local + datetime.timedelta(seconds=1), reverse=True), None)
    keys = {key for firing in history for key in firing.keys}
    earlier = [firing for firing in history if trigger.name in firing.triggers]
    key = f"schedule:{trigger.name}:{last.astimezone(datetime.UTC):%Y%m%dT%H%M}" if last else ""
    # Before its first firing there is nothing to be late for, but the minute itself counts.
    due = last is not None and key not in keys and (bool(earlier) or local - last < datetime.timedelta(minutes=1))
    if not due:
        return _Hold(f"{trigger.name}: next at {upcoming:%Y-%m-%d %H:%M %Z}", upcoming.astimezone(datetime.UTC))
    return _Fire(trigger.name, f"the schedule {trigger.cron} was due at {last:%Y-%m-%d %H:%M %Z}", (key,))


def _job(trigger: Scheduled, job_firings: Sequence[JobFiring], answered: set[str]) -> _Fire | _Hold:
    """One run answers all firings of the job that no run has answered yet."""
    fresh = [each for each in job_firings if each.job == trigger.job and answered.isdisjoint(each.keys)]
    if not fresh:
        return _Hold(f"{trigger.name}: the job {trigger.job} has not fired")
    last = max(each.at for each in fresh)
    return _Fire(trigger.name, f"the job {trigger.job} fired at {last:%Y-%m-%d %H:%M %Z}", _keys(fresh))


def _new_data(trigger: NewData, spans: Sequence[Span], answered: set[str], now: datetime.datetime) -> _Fire | _Hold:
    fresh = [span for span in spans if answered.isdisjoint(span.keys)]
    if fresh and trigger.marker:
        unmarked, fresh = len(fresh), [span for span in fresh if trigger.marker in span.markers]
        if not fresh:
            return _Hold(f"{trigger.name}: {unmarked} new files have no {trigger.marker} beside them")
    if not fresh:
        return _Hold(f"{trigger.name}: no new data")
    newest, oldest = max(span.arrived for span in fresh), min(span.arrived for span in fresh)
    settled = newest + datetime.timedelta(seconds=duration(trigger.settle))
    if now < settled:
        return _Hold(f"{trigger.name}: {len(fresh)} new files are still arriving", settled)
    rows = [span.rows for span in fresh if span.rows is not None]
    known = f"{sum(rows):,} rows" if len(rows) == len(fresh) else "rows not counted"
    text = f"{len(fresh)} new {'file' if len(fresh) == 1 else 'files'}, {known}"
    enough = len(fresh) >= trigger.min_files
    if trigger.min_rows:
        enough = enough and len(rows) == len(fresh) and sum(rows) >= trigger.min_rows
    patience = duration(trigger.max_wait)
    deadline = oldest + datetime.timedelta(seconds=patience) if patience else None
    if not enough and not (deadline and now >= deadline):
        wanted = f"{trigger.min_files} files" + (f" and {trigger.min_rows:,} rows" if trigger.min_rows else "")
        return _Hold(f"{trigger.name}: {text}; waiting for {wanted}", deadline)
    late = "" if enough else ", and they have waited long enough"
    return _Fire(trigger.name, f"{text}{late}", _keys(fresh))


def _monitored(trigger: Performance | Distribution, periods: Sequence[Period], answered: set[str]) -> _Fire | _Hold:
    """Fires if each of the newest periods, as many as the trigger names, gives a reason."""
    latest = sorted(periods, key=lambda period: period.end)[-trigger.periods :]
    if len(latest) < trigger.periods:
        return _Hold(f"{trigger.name}: only {len(latest)} of {trigger.periods} periods were monitored")
    found = [
        _performance(trigger, period) if isinstance(trigger, Performance) else _distribution(trigger, period)
        for period in latest
    ]
    if not all(found):
        return _Hold(f"{trigger.name}: no reason in the newest {_periods(trigger.periods)}")
    key = f"{trigger.kind}:{latest[-1].id}"
    if key in answered:
        return _Hold(f"{trigger.name}: a run has answered the newest period")
    return _Fire(trigger.name, found[-1], (key,))


def _performance(trigger: Performance, period: Period) -> str:
    """A metric is below a bound only if its whole interval is, so that a small sample raises no alarm."""
    sign = 1.0 if period.higher_is_better else -1.0
    best = period.high if period.higher_is_better else period.low
    best = period.value if best is None else best
    if best is None or period.value is None:
        return ""
    text = f"{period.metric} was {period.value:.4g} up to {period.end:%Y-%m-%d %H:%M}"
    if trigger.min_value is not None and sign * best < sign * trigger.min_value:
        return f"{text}, needed {trigger.min_value:g}"
    if trigger.max_loss is None or period.baseline is None:
        return ""
    if sign * (period.baseline - best) > trigger.max_loss:
        return f"{text}, baseline {period.baseline:.4g}, allowed to lose {trigger.max_loss:g}"
    return ""


def _distribution(trigger: Distribution, period: Period) -> str:
    drifted = [name for name in period.drifted if not trigger.features or name in trigger.features]
    if len(drifted) < trigger.min_features:
        return ""
    return f"{len(drifted)} features drifted up to {period.end:%Y-%m-%d %H:%M}: {', '.join(drifted[:5])}"


def _keys(observations: Sequence[ManualRequest | JobFiring | Span]) -> tuple[str, ...]:
    return tuple(key for each in observations for key in each.keys)


def _periods(count: int) -> str:
    return "period" if count == 1 else f"{count} periods"


def _holds(policy: Policy, history: Sequence[Firing], now: datetime.datetime, by_person: bool) -> list[_Hold]:
    if running := next((firing for firing in history if firing.state == RUNNING), None):
        return [_Hold(f"the run {running.run or 'started earlier'} is in progress")]
    if by_person:
        return []
    local = now.astimezone(policy.zone)
    held = []
    own = [firing for firing in history if firing.automatic]
    if own:
        free = max(firing.at for firing in own) + datetime.timedelta(seconds=duration(policy.cooldown))
        if now < free:
            held.append(_Hold(f"cooling down until {free.astimezone(policy.zone):%Y-%m-%d %H:%M}", free))
    today = [firing for firing in own if firing.at.astimezone(policy.zone).date() == local.date()]
    if len(today) >= policy.daily_budget:
        midnight = datetime.datetime.combine(local.date() + datetime.timedelta(days=1), datetime.time(), policy.zone)
        held.append(
            _Hold(f"{len(today)} automatic runs today, which is the daily budget", midnight.astimezone(datetime.UTC))
        )
    for hours in policy.quiet_times:
        if until := quiet.until(local, hours):
            held.append(_Hold(f"quiet hours until {until:%H:%M}", until.astimezone(datetime.UTC)))
    return held
