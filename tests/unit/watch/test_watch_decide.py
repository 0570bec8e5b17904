"""Fire or hold: every kind of trigger, and everything that holds one back, as a pure function."""

import dataclasses
import datetime
import itertools
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_ct.watch import decide as module
from kfp_ct.watch.decide import decide
from kfp_ct.watch.observations import Firing, ManualRequest, Observations, Period, Span
from kfp_ct.watch.policy import Policy

NOW = datetime.datetime(2026, 11, 25, 12, 0, tzinfo=datetime.UTC)


def trigger(name, kind, **fields):
    """A trigger as triggers.yaml has it."""
    return policy({"name": name, "kind": kind, **fields}).triggers[0]


def policy(*triggers, **fields):
    return Policy(triggers=triggers, **fields)


ASK = trigger("ask", "on_demand")
DATA = trigger("data", "new_data")
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def ago(**passed):
    return NOW - datetime.timedelta(**passed)


def data(*names, rows=100, arrived=None):
    return Observations(spans=tuple(Span(name, arrived or ago(hours=2), rows) for name in names))


def after(decision, **fields):
    """The firing that a decision leads to."""
    return Firing(NOW, decision.triggers, decision.keys, **fields)


def test_nothing_seen_holds_and_says_what_it_waits_for():
    triggers = (ASK, DATA, trigger("worse", "performance", min_value=0.7), trigger("other", "distribution"))
    decision = decide(policy(*triggers), Observations(), [], NOW)
    assert not decision.fire
    assert decision.holds == (
        "ask: no request",
        "data: no new data",
        "worse: only 0 of 1 periods were monitored",
        "other: only 0 of 1 periods were monitored",
    )
    assert decision.recheck_at is None


def test_three_new_files_are_one_run_and_none_after_it():
    seen = data("a", "b", "c")
    decision = decide(policy(DATA), seen, [], NOW)
    assert decision.fire
    assert decision.reasons == ("3 new files, 300 rows",)
    assert not decide(policy(DATA), seen, [after(decision)], NOW).fire
    more = Observations(spans=(*seen.spans, Span("d", ago(minutes=1), 5)))
    assert decide(policy(DATA), more, [after(decision)], NOW).keys == ("span:d",)


def test_data_that_still_arrives_is_waited_for():
    settling = trigger("data", "new_data", settle="5m")
    decision = decide(policy(settling), data("a", arrived=ago(minutes=2)), [], NOW)
    assert (decision.fire, decision.recheck_at) == (False, NOW + datetime.timedelta(minutes=3))
    assert decide(policy(settling), data("a", arrived=ago(minutes=5)), [], NOW).fire


@pytest.mark.parametrize(
    ("trigger", "seen", "fires"),
    [
        (trigger("data", "new_data", min_files=2), data("a"), False),
        (trigger("data", "new_data", min_files=2), data("a", "b"), True),
        (trigger("data", "new_data", min_rows=150), data("a"), False),
        (trigger("data", "new_data", min_rows=150), data("a", "b"), True),
        (trigger("data", "new_data", min_rows=150), data("a", "b", rows=None), False),
        (trigger("data", "new_data", min_rows=150, max_wait="1h"), data("a"), True),
        (trigger("data", "new_data", min_rows=150, max_wait="3h"), data("a"), False),
    ],
)
def test_too_little_data_waits_but_not_for_ever(trigger, seen, fires):
    assert decide(policy(trigger), seen, [], NOW).fire is fires


def test_a_wish_is_answered_once_and_by_name():
    seen = Observations(manual_requests=(ManualRequest("1", "ada"),))
    decision = decide(policy(ASK), seen, [], NOW)
    assert (decision.fire, decision.reasons) == (True, ("ada asked for a run",))
    assert not decide(policy(ASK), seen, [after(decision)], NOW).fire


def test_a_schedule_fires_once_for_each_time_it_is_due():
    daily = policy(trigger("daily", "schedule", cron="0 6 * * *"), time_zone="Europe/Berlin")
    morning = datetime.datetime(2026, 11, 25, 6, 0, 30, tzinfo=BERLIN)
    first = decide(daily, Observations(), [], morning)
    assert first.fire
    history = [Firing(morning, first.triggers, first.keys)]
    assert not decide(daily, Observations(), history, morning).fire
    assert decide(daily, Observations(), history, morning + datetime.timedelta(days=1)).fire
    # Down for three days: one run, not three.
    late = morning + datetime.timedelta(days=3, hours=2)
    caught_up = decide(daily, Observations(), history, late)
    assert caught_up.fire
    assert not decide(daily, Observations(), [*history, Firing(late, caught_up.triggers, caught_up.keys)], late).fire


def test_a_schedule_that_never_fired_waits_for_its_time():
    daily = policy(trigger("daily", "schedule", cron="0 6 * * *"))
    decision = decide(daily, Observations(), [], NOW)
    assert not decision.fire
    assert decision.recheck_at == datetime.datetime(2026, 11, 26, 6, 0, tzinfo=datetime.UTC)


def period(number=1, **fields):
    base = {"metric": "auc", "value": 0.70, "low": 0.68, "high": 0.72, "baseline": 0.76}
    return Period(f"p{number}", ago(days=5 - number), **{**base, **fields})


@pytest.mark.parametrize(
    ("fields", "seen", "fires"),
    [
        ({"max_loss": 0.03}, {}, True),
        ({"max_loss": 0.05}, {}, False),
        ({"max_loss": 0.03}, {"high": 0.74}, False),  # the sample is too small to say
        ({"max_loss": 0.03}, {"baseline": None}, False),
        ({"max_loss": 0.03}, {"value": None, "low": None, "high": None}, False),
        ({"min_value": 0.73}, {}, True),
        ({"min_value": 0.71}, {}, False),
        (
            {"max_loss": 0.03},
            {"metric": "rmse", "value": 9, "low": 8.5, "high": 9.5, "baseline": 8, "higher_is_better": False},
            True,
        ),
        (
            {"min_value": 8.7},
            {"metric": "rmse", "value": 9, "low": 8.5, "high": 9.5, "higher_is_better": False},
            False,
        ),
    ],
)
def test_a_worse_metric_fires_only_if_its_whole_interval_is_worse(fields, seen, fires):
    decision = decide(
        policy(trigger("worse", "performance", **fields)), Observations(periods=(period(**seen),)), [], NOW
    )
    assert decision.fire is fires


def test_a_bad_period_is_answered_once_and_the_next_bad_one_again():
    worse = policy(trigger("worse", "performance", max_loss=0.03))
    first = decide(worse, Observations(periods=(period(1),)), [], NOW)
    assert first.reasons[0] == "auc was 0.7 up to 2026-11-21 12:00, baseline 0.76, allowed to lose 0.03"
    assert not decide(worse, Observations(periods=(period(1),)), [after(first)], NOW).fire
    assert decide(worse, Observations(periods=(period(1), period(2))), [after(first)], NOW).fire
    assert not decide(worse, Observations(periods=(period(1), period(2, high=0.8))), [after(first)], NOW).fire


def test_features_must_move_as_many_and_as_long_as_asked():
    other = trigger("other", "distribution", features=("a", "b"), min_features=2, periods=2)
    both = (period(1, drifted=("a", "b", "c")), period(2, drifted=("b", "a")))
    assert decide(policy(other), Observations(periods=both), [], NOW).fire
    for seen in [both[:1], (both[0], period(2, drifted=("a", "c"))), (period(1, drifted=()), both[1])]:
        assert not decide(policy(other), Observations(periods=seen), [], NOW).fire


@pytest.mark.parametrize(
    ("fields", "history", "hold"),
    [
        ({"cooldown": "1h"}, [Firing(ago(minutes=30), ("x",), ("span:x",))], "cooling down until 2026-11-25 12:30"),
        (
            {"daily_budget": 1},
            [Firing(ago(hours=11), ("x",), ("span:x",))],
            "1 automatic runs today, which is the daily budget",
        ),
        ({"quiet_hours": ("11:00-13:00",)}, [], "quiet hours until 13:00"),
        ({"quiet_hours": ("22:00-12:30",)}, [], "quiet hours until 12:30"),
        ({}, [Firing(ago(days=9), ("x",), ("span:x",), module.RUNNING, "run-1")], "the run run-1 is in progress"),
    ],
)
def test_what_holds_a_run_back_is_said_and_a_person_is_held_by_a_run_only(fields, history, hold):
    held = decide(policy(DATA, **fields), data("a"), history, NOW)
    assert (held.fire, held.holds) == (False, (hold,))
    assert held.triggers == ("data",)
    asked = dataclasses.replace(data("a"), manual_requests=(ManualRequest("1"),))
    running = any(firing.state == module.RUNNING for firing in history)
    assert decide(policy(ASK, DATA, **fields), asked, history, NOW).fire is not running


def test_what_is_over_holds_nothing_back():
    history = [Firing(ago(hours=13), ("x",), ("span:x",)), Firing(ago(minutes=1), ("ask",), ("manual:9",))]
    fields = {"cooldown": "1h", "daily_budget": 1, "quiet_hours": ("09:00-12:00",)}
    assert decide(policy(DATA, **fields), data("a"), history, NOW).fire


def test_everything_wanted_at_a_time_is_one_run():
    seen = dataclasses.replace(data("a"), manual_requests=(ManualRequest("1"),), periods=(period(),))
    worse = trigger("worse", "performance", max_loss=0.03)
    decision = decide(policy(ASK, DATA, worse), seen, [], NOW)
    assert decision.triggers == ("ask", "data", "worse")
    assert decision.keys == ("manual:1", "span:a", "performance:p1")


MOMENTS = st.integers(0, 96).map(lambda hours: NOW + datetime.timedelta(hours=hours))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(MOMENTS, st.sets(st.sampled_from("abcdefgh"), max_size=3), st.booleans()), max_size=12),
    st.integers(1, 3),
    st.integers(0, 6),
)
def test_in_any_life_nothing_is_answered_twice_and_the_bounds_are_kept(moments, budget, cooldown):
    rules = policy(ASK, DATA, daily_budget=budget, cooldown=f"{cooldown}h")
    history, spans, manual_requests = [], {}, []
    for number, (moment, names, asked) in enumerate(sorted(moments, key=lambda each: each[0])):
        for name in names:
            spans.setdefault(name, Span(name, moment, 1))
        if asked:
            manual_requests.append(ManualRequest(str(number)))
        seen = Observations(tuple(manual_requests), tuple(spans.values()))
        decision = decide(rules, seen, history, moment)
        assert decision == decide(rules, seen, list(reversed(history)), moment), "the order of history is nothing"
        if decision.fire:
            history.append(Firing(moment, decision.triggers, decision.keys))
    keys = [key for firing in history for key in firing.keys]
    assert len(keys) == len(set(keys))
    own = sorted(firing.at for firing in history if firing.automatic)
    assert all(later - earlier >= datetime.timedelta(hours=cooldown) for earlier, later in itertools.pairwise(own))
    for day in {at.date() for at in own}:
        assert sum(at.date() == day for at in own) <= budget
