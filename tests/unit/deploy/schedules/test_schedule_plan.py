"""Plans are right for every state a service can be in, and carrying them out neither misses nor doubles a firing."""

import contextlib
import dataclasses
import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kfp_ct.base.errors import UsageError
from kfp_ct.clock import cron
from kfp_ct.deploy.schedules import apply, definition, plan
from kfp_ct.deploy.schedules.kfp_schedules import expression
from kfp_ct.deploy.schedules.plan import Actual, Desired
from simulated_schedules import Crash, Service

START = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
WANT = Desired("nightly", "flights", "flights-training", "p", "v1", "a" * 40, {"n": 1}, cron="0 * * * * *")
NEXT = dataclasses.replace(WANT, version_id="v2", version="b" * 40)


def there(want=WANT, enabled=True, made="1", identity="r1"):
    return Actual(identity, want.name, want.hash, enabled, made, START, want.pipeline, want.version, want.cron)


OLD_OFF, NEW_OFF = there(enabled=False), there(NEXT, False, "2", "r2")


@pytest.mark.parametrize(
    ("want", "found", "kind"),
    [
        pytest.param([WANT], [], plan.CREATE, id="absent"),
        pytest.param([WANT], [there()], plan.LEAVE, id="right"),
        pytest.param([NEXT], [there()], plan.REPLACE, id="another-version"),
        pytest.param([WANT], [there(enabled=False)], plan.ENABLE, id="disabled-by-hand"),
        pytest.param([NEXT], [there(enabled=False)], plan.ENABLE, id="disabled-by-hand-and-changed"),
        pytest.param([dataclasses.replace(WANT, enabled=False)], [there()], plan.DISABLE, id="to-be-disabled"),
        pytest.param([dataclasses.replace(NEXT, enabled=False)], [OLD_OFF], plan.LEAVE, id="stays-disabled"),
        pytest.param([], [there()], plan.DELETE, id="no-longer-wanted"),
        pytest.param([NEXT], [there(), NEW_OFF], plan.REPLACE, id="interrupted-after-create"),
        pytest.param([NEXT], [OLD_OFF, NEW_OFF], plan.RESUME, id="interrupted-after-disable"),
        pytest.param([NEXT], [OLD_OFF, there(NEXT, True, "2", "r2")], plan.RESUME, id="interrupted-after-enable"),
        pytest.param([WANT], [there(), there(made="2", identity="r2")], plan.REPLACE, id="two-that-fire"),
    ],
)  # fmt: skip
def test_a_plan_says_what_to_do(want, found, kind):
    actions = plan.plan(want, found)
    assert [each.kind for each in actions] == [kind]
    assert plan.drifted(actions) == (kind != plan.LEAVE)


def reconcile(service, want):
    apply.apply(service, plan.plan(want, service.actual()), lambda line: None, service.pass_time)


@pytest.mark.parametrize("want", [WANT, dataclasses.replace(WANT, cron="", interval=60)], ids=["cron", "interval"])
def test_after_a_plan_is_carried_out_nothing_is_left_to_do(want):
    service = Service(START)
    for step in ([want], [dataclasses.replace(want, version="c" * 40)], [dataclasses.replace(want, enabled=False)], []):
        reconcile(service, step)
        assert not plan.drifted(plan.plan(step, service.actual()))
        assert len(service.kept) == len(step)


def test_enabling_does_not_run_what_was_due_while_it_was_disabled():
    service = Service(START)
    reconcile(service, [WANT])
    service.pass_time(30)
    reconcile(service, [dataclasses.replace(WANT, enabled=False)])
    service.pass_time(3600)
    reconcile(service, [WANT])
    enabled_at = service.time
    service.pass_time(130)
    assert [due for _, due, _ in service.runs if due < enabled_at] == []
    assert len(service.runs) == 2


@hypothesis_settings(max_examples=150, deadline=None)
@given(
    offset=st.floats(0, 60),
    crashes=st.lists(st.tuples(st.integers(0, 14), st.floats(0, 150)), max_size=3),
    call_takes=st.floats(0, 4),
    lag=st.floats(0, 2),
    delay=st.floats(0, 2),
    interval=st.booleans(),
    catch_up=st.booleans(),
)
def test_no_firing_is_missed_or_doubled(offset, crashes, call_takes, lag, delay, interval, catch_up):
    """Replaced at any moment, killed between any two calls, healed at any time later."""
    service = Service(START, lag, delay)
    first = dataclasses.replace(WANT, catch_up=catch_up, **({"cron": "", "interval": 60} if interval else {}))
    reconcile(service, [first])
    base = service.kept["r1"].actual.start
    service.pass_time(offset + 120)
    service.call_takes = call_takes
    want = [dataclasses.replace(first, version="b" * 40)]
    for after, wait in crashes:
        service.calls_left = after
        try:
            reconcile(service, want)
        except Crash:
            service.pass_time(wait)
    service.calls_left = None
    reconcile(service, want)
    service.pass_time(180)
    assert [each.hash for each in service.actual()] == [want[0].hash]
    fired = [due for _, due, _ in service.runs]
    minutes = int((service.time - base).total_seconds()) // 60
    due = [base + datetime.timedelta(minutes=1 + n) for n in range(minutes)]
    due = [when for when in due if when + datetime.timedelta(seconds=lag) <= service.time]
    assert len(fired) == len(set(fired)), "a firing was doubled"
    assert set(fired) <= set(due)
    if catch_up:
        assert sorted(fired) == due, "a firing was missed"
    else:  # of several that were missed while it was interrupted, the latest counts
        assert fired[-1] == due[-1]
        assert len(due) - len(fired) <= sum(wait for _, wait in crashes) / 60 + len(crashes) + call_takes


@pytest.mark.parametrize(
    ("written", "six"),
    [
        ("0 7 * * 1", "0 0 7 * * 1"),
        ("*/30 * * * * *", "*/30 * * * * *"),
        ("0 0 * * 7", "0 0 0 * * 0"),
        ("0 0 ? * MON-FRI", "0 0 0 ? * MON-FRI"),
    ],
)
def test_five_fields_and_six_are_read(written, six):
    assert cron.six_fields(written) == six


@pytest.mark.parametrize("written", ["", "* * *", "0 25 * * *", "@daily", "0 0 L * *", "TZ=UTC 0 0 * * *"])
def test_what_is_no_cron_expression_is_refused(written):
    with pytest.raises(UsageError, match="is no cron expression"):
        cron.six_fields(written)


@given(st.text(alphabet="0123456789*,/-? LW#MON", max_size=20))
def test_anything_written_as_cron_is_read_or_refused(text):
    with contextlib.suppress(UsageError):
        assert len(cron.six_fields(text).split()) == 6


def parse(text):
    return definition.parse(text, Path("schedules.yaml"))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        pytest.param("{name: a}", r"schedules\[0\]\.cron: expected either it or interval", id="never"),
        pytest.param("{name: a, cron: 0 0 * * *, interval: 1h}", "expected either it or interval", id="both"),
        pytest.param("{name: A b, interval: 1h}", 'name is "A b": expected at most 50 lower-case letters', id="name"),
        pytest.param("{name: a, interval: 0s}", "one second at least", id="no-interval"),
        pytest.param("{name: a, interval: 1 h}", 'interval is "1 h": expected a duration such as 90s', id="interval"),
        pytest.param(
            "{name: a, interval: 99999999d}", 'is "99999999d": expected a duration .*, at most 36500d', id="for-ever"
        ),
        pytest.param(
            "{name: a, interval: 1h, window: last 99999 years}",
            r"window is .*it begins before the year 1",
            id="long-ago",
        ),
        pytest.param("{name: a, cron: 0 0 L * *}", 'cron is "0 0 L .*": it is no cron expression', id="cron"),
        pytest.param(
            "{name: a, interval: 1h, max_concurrency: 11}", "is 11: expected a whole number from 1 to 10", id="at-once"
        ),
        pytest.param("{name: a, interval: 1h, window: a while}", "expected such as last 90 days", id="window"),
        pytest.param("{name: a, interval: 1h, window: last 2 days, catch_up: true}", "exclude each other", id="caught"),
        pytest.param(
            "{name: a, cron: 0 0 * * *, time_zone: Mars}",
            'time_zone is "Mars": expected a time zone such as',
            id="zone",
        ),
        pytest.param("{name: a, interval: 1h}, {name: a, interval: 2h}", "two have the name 'a'", id="twice"),
        pytest.param(
            "{name: a, interval: 1h, enable: false}", "enable is not a setting: did you mean enabled", id="no"
        ),
    ],
)
def test_what_cannot_be_scheduled_is_refused(entry, said):
    with pytest.raises(UsageError, match=said):
        parse(f"schedules: [{entry}]")


def test_all_mistakes_of_schedules_are_said_at_once():
    with pytest.raises(UsageError) as refused:
        parse("schedules: [{name: a, interval: 1h, window: x, when: now}, {cron: 0 0 * * *, catch_up: 1}]")
    assert sorted(line.split(" is ")[0] for line in str(refused.value).splitlines()) == [
        "- schedules[0].when", "- schedules[0].window", "- schedules[1].catch_up", "- schedules[1].name",
        "fix: edit schedules.yaml", "schedules.yaml does not fit",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "[]", "3", "schedules: 3", "schedules: [3]", "a: {}"])
def test_no_schedules_at_all_are_one_message(text):
    with pytest.raises(UsageError, match=r"fix: edit schedules\.yaml"):
        parse(text)


def test_a_window_is_left_to_the_run():
    schedule = parse("schedules: [{name: a, interval: 7d, window: last 90 days}]")[0]
    assert schedule.seconds == 7 * 86400
    assert schedule.overrides == {"window_start": "last 90 days", "window_end": ""}


def test_a_zone_that_a_service_cannot_read_is_refused():
    assert expression("0 0 7 * * *", "UTC", "UTC", False) == ("0 0 7 * * *", "UTC")
    assert expression("0 0 7 * * *", "Europe/Berlin", "UTC", True)[0] == "TZ=Europe/Berlin 0 0 7 * * *"
    with pytest.raises(UsageError, match="reads every expression in its own zone, UTC"):
        expression("0 0 7 * * *", "Europe/Berlin", "UTC", False)
