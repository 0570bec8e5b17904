"""When recurring runs fire, and what their parameters say then."""

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_ct.endpoint.store import clock
from kfp_ct.endpoint.store.faults import Fault


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(f"2026-{text}+00:00")


def cron(expression: str, **more) -> dict:
    return {"cron_schedule": {"cron": expression, **more}}


def every(seconds: int, **more) -> dict:
    return {"periodic_schedule": {"interval_second": str(seconds), **more}}


NOON = at("01-01T12:00:00")


@pytest.mark.parametrize(
    ("trigger", "last", "expected"),
    [
        (cron("0 30 4 * * *"), None, at("01-02T04:30:00")),
        (cron("0 0 9 ? * MON-FRI"), at("01-02T09:00:00"), at("01-05T09:00:00")),
        (cron("*/20 * * * * *"), at("01-01T12:00:05"), at("01-01T12:00:20")),
        (cron("5 0 * * *"), None, at("01-01T12:00:05")),  # five fields: the weekday is left out
        (cron("30 4 9 * *"), at("01-02T09:04:30"), at("01-03T09:04:30")),
        (cron("0 0 4 */2 * 1"), at("01-05T04:00:00"), at("01-19T04:00:00")),  # odd days that are Mondays
        (cron("@every 1h"), None, at("01-01T13:00:00")),
        (cron("@every 1h30m10s"), at("01-01T13:00:00"), at("01-01T14:30:10")),
        (cron("@every 5ms"), None, at("01-01T12:00:01")),
        (cron("@every 1h", end_time="2026-01-01T12:30:00Z"), None, None),
        (cron("@daily"), None, at("01-02T00:00:00")),
        (cron("TZ=America/New_York 0 0 9 * * *"), None, at("01-01T14:00:00")),
        (cron("0 0 * * * *", start_time="2026-03-01T00:30:00Z"), None, at("03-01T01:00:00")),
        (cron("0 0 * * * *", end_time="2026-01-01T12:30:00Z"), None, None),
        (every(60), None, at("01-01T12:01:00")),
        (every(60), at("01-01T13:00:00"), at("01-01T13:01:00")),
        (every(60, start_time="2026-01-01T11:00:00Z"), None, at("01-01T11:01:00")),
        (every(60, end_time="2026-01-01T12:00:30Z"), None, None),
    ],
)
def test_when_it_fires_next(trigger, last, expected):
    clock.check(trigger)
    assert clock.upcoming(trigger, last, NOON) == expected


def test_a_catch_up_takes_every_missed_firing_in_turn_and_none_takes_the_latest():
    now, last = at("01-01T12:03:30"), NOON
    for trigger in (every(60), cron("0 * * * * *"), cron("@every 1m")):
        fired = []
        while when := clock.due(trigger, fired[-1] if fired else last, NOON, now, catch_up=True):
            fired.append(when)
        assert fired == [at(f"01-01T12:0{minute}:00") for minute in (1, 2, 3)]
        assert clock.due(trigger, last, NOON, now, catch_up=False) == at("01-01T12:03:00")
        assert clock.due(trigger, at("01-01T12:03:00"), NOON, now, catch_up=False) is None


@settings(deadline=None)
@given(
    seconds=st.integers(1, 4000),
    gaps=st.lists(st.integers(0, 10_000), min_size=1, max_size=12),
    catch_up=st.booleans(),
)
def test_no_firing_is_doubled_none_is_early_and_a_catch_up_misses_none(seconds, gaps, catch_up):
    now, last, fired = NOON, None, []
    for gap in gaps:
        now += datetime.timedelta(seconds=gap)
        while when := clock.due(every(seconds), last, NOON, now, catch_up):
            fired.append(when)
            last = when
    assert fired == sorted(set(fired))
    assert all(when <= now for when in fired)
    passed = sum(gaps) // seconds
    assert {(when - NOON).total_seconds() % seconds for when in fired} <= {0.0}
    assert len(fired) == passed if catch_up else len(fired) <= passed
    assert bool(fired) == bool(passed)


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        ({}, "expected one of cron_schedule"),
        ({**cron("@daily"), **every(5)}, "expected one of"),
        (cron("every day"), "six fields"),
        (cron("61 0 0 * * *"), "second"),
        (cron("TZ=Mars/Olympus 0 0 0 * * *"), "no time zone"),
        (cron("0 0 0 * * 7"), "Sunday is 0"),
        (cron("0 0 0 L * *"), "read by every service"),
        (cron("0 0 0 * *  * 2026"), "7 fields"),
        (cron("CRON_TZ=UTC 0 0 0 * * *"), "7 fields"),
        (cron("@every"), "duration such as"),
        (cron("@every day"), "duration such as"),
        (cron("@every -1h"), "duration such as"),
        (cron("@every 999999h"), "at most ten years"),
        (every(0), "1 or more"),
        (every(60, start_time="yesterday"), "start_time"),
        (every(60, start_time="2026-01-01T00:00:00"), "time zone"),
        (every(60, start_time="2026-01-02T00:00:00Z", end_time="2026-01-01T00:00:00Z"), "not after"),
    ],
)
def test_a_trigger_that_cannot_fire_is_refused(trigger, said):
    with pytest.raises(Fault, match=said):
        clock.check(trigger)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_cron_expression_or_is_refused(text):
    try:
        clock.check(cron(text))
    except Fault:
        return
    clock.upcoming(cron(text), None, NOON)


def test_parameters_say_when_it_was_due():
    found = clock.substitute(
        {"end": "[[ScheduledTime.2006-01-02]]", "deep": [{"n": "[[Index]]/[[RunUUID]]"}],
         "t": "[[CurrentTime]]", "k": 5},
        "r1", at("05-06T07:08:09"), at("05-06T07:08:10"), 3,
    )  # fmt: skip
    assert found == {"end": "2026-05-06", "deep": [{"n": "3/r1"}], "t": "20260506070810", "k": 5}
    untouched = "[[ScheduledTime.2006"
    assert clock.substitute(untouched, "r", NOON, NOON, 1) == untouched
