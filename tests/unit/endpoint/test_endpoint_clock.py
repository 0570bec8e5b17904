"""When recurring runs fire, and what their parameters say then."""

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_ct.endpoint.store import clock
from kfp_ct.endpoint.store.faults import Fault
from kfp_ct.endpoint.store.macros import Macros


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
        ({"periodic_schedule": {"interval_second": 1.5}}, "1 or more"),
        ({"periodic_schedule": {"interval_second": True}}, "1 or more"),
        ({"periodic_schedule": {"interval_second": "1e3"}}, "1 or more"),
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
    found = Macros("r1", at("05-06T07:08:10"), at("05-06T07:08:09"), 3).fill(
        {"end": "[[ScheduledTime.2006-01-02]]", "deep": [{"n": "[[Index]]/[[RunUUID]]"}],
         "t": "[[CurrentTime]]", "k": 5},
    )  # fmt: skip
    assert found == {"end": "2026-05-06", "deep": [{"n": "3/r1"}], "t": "20260506070810", "k": 5}
    untouched = "[[ScheduledTime.2006"
    assert Macros("r", NOON, NOON, 1).fill(untouched) == untouched


def test_a_run_that_no_schedule_started_knows_its_id_and_the_time():
    text = "[[RunUUID]] [[CurrentTime.2006-01-02]] [[ScheduledTime]] [[Index]] {{$.scheduledTime.strftime('%Y')}}"
    found = Macros("r1", at("05-06T07:08:10")).fill(text)
    assert found == "r1 2026-05-06 [[ScheduledTime]] [[Index]] {{$.scheduledTime.strftime('%Y')}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [  # those of KFP's own test of its formatter, and Go's further notations
        ("FOO [[ScheduledTime.15-04-05]] FOO", "FOO 00-00-25 FOO"),
        ("FOO [[CurrentTime.15-04-05]] FOO", "FOO 00-00-26 FOO"),
        ("[[ScheduledTime]] [[RunUUID]] [[ScheduledTime]] [[Index]]", "19700101000025 some-run-uuid 19700101000025 27"),
        ("FOO {{$.scheduledTime.strftime('%Y-%m-%d %H:%M:%S')}} FOO", "FOO 1970-01-01 00:00:25 FOO"),
        ("FOO {{$.currentTime.strftime('%Y-%m-%d %H:%M:%S')}} FOO", "FOO 1970-01-01 00:00:26 FOO"),
        ("{{$.currentTime.strftime('%s %%')}}", "26 %"),
        ("{{$.currentTime.strftime('%Q')}}", "{{$.currentTime.strftime('%Q')}}"),
        ("{{$.inputs.parameters['x']}} {{$}} [[Other]]", "{{$.inputs.parameters['x']}} {{$}} [[Other]]"),
        ("[[CurrentTime.Monday, 2 January 06 3:04PM MST]]", "Thursday, 1 January 70 12:00AM UTC"),
        ("[[CurrentTime.2006-01-02T15:04:05Z07:00]]", "1970-01-01T00:00:26Z"),
        ("", ""),
    ],
)
def test_macros_are_those_of_kfp(text, expected):
    begin = datetime.datetime.fromtimestamp(25, datetime.UTC)
    assert Macros("some-run-uuid", begin + datetime.timedelta(seconds=1), begin, 27).fill(text) == expected


def test_without_a_schedule_it_fires_once_at_once():
    clock.check({})
    assert clock.upcoming({}, None, NOON) == NOON
    assert clock.due({}, None, NOON, NOON, catch_up=False) == NOON
    assert clock.upcoming({}, NOON, NOON) is None
