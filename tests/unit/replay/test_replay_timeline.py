"""Strategies through a small world's time: decisions, nothing of the future, kills and resumption."""

import dataclasses
import datetime
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from kfp_ct.base.errors import CtError
from kfp_ct.replay.plan import EVERY, ONCE, POLICY, Plan, Strategy
from kfp_ct.replay.results import Store
from kfp_ct.replay.settings import Replay, moment
from kfp_ct.replay.timeline import Timeline
from kfp_ct.watch.policy import Policy
from replayed_world import Killed, World

ONE, ALL = Strategy(ONCE, ONCE), Strategy(EVERY, EVERY)
WORSE = {"name": "worse", "kind": "performance", "max_loss": 0.02}
DATA = {"name": "data", "kind": "new_data", "min_files": 2}


def plan(**fields):
    return Plan(Replay(**{"start": "2013-03-01", "end": "2013-09-01", **fields}))


def by(*triggers, **fields):
    return Strategy("policy", POLICY, Policy(triggers=triggers, **fields))


def replayed(folder, strategy, time=None, world=None):
    return Timeline(time or plan(), strategy, world or World(), Store(folder, "key")).run()


def fired(results):
    return [(each.at[:16], each.triggers, each.run.data_until[:10])
            for result in results for each in result.decisions if each.fire]  # fmt: skip


def test_a_model_that_is_trained_once_gets_worse_and_one_trained_at_every_window_does_not(tmp_path):
    once, every = replayed(tmp_path / "1", ONE), replayed(tmp_path / "2", ALL)
    assert [len(each.runs) for each in once] == [1, 0, 0, 0, 0, 0]
    assert [len(each.runs) for each in every] == [1] * 6
    assert once[-1].quality.value < 0.65 < 0.8 < every[-1].quality.value
    assert once[0].quality == every[0].quality
    assert every[3].previous.value < every[3].quality.value
    assert once[3].previous is None


def test_decisions_of_a_policy_are_those_of_the_triggers_at_their_time(tmp_path):
    results = replayed(tmp_path, by(WORSE, DATA, cooldown="20d"))
    assert fired(results) == [
        ("2013-03-01T00:00", ("replay",), "2013-03-01"),
        ("2013-04-01T00:00", ("worse",), "2013-04-01"),
        ("2013-05-01T00:00", ("worse", "data"), "2013-05-01"),
        ("2013-06-01T00:00", ("worse",), "2013-06-01"),
        ("2013-07-01T00:00", ("data",), "2013-07-01"),
    ]
    last = results[-1].decisions
    assert [(each.fire, each.holds) for each in last] == [
        (False, ("worse: no reason in the newest period", "data: 1 new file, 620 rows; waiting for 2 files"))
    ]
    assert results[2].decisions[0].reasons[1] == "2 new files, 1,220 rows"


def test_a_cooldown_and_a_schedule_are_kept_within_a_window(tmp_path):
    mondays = {"name": "mondays", "kind": "schedule", "cron": "0 7 * * 1"}
    results = replayed(tmp_path, by(mondays), plan(end="2013-05-01"))
    assert [at for at, *_ in fired(results)][1:4] == ["2013-04-01T07:00", "2013-04-08T07:00", "2013-04-15T07:00"]
    # Nothing was new on the later Mondays: no model was trained again.
    assert [run.run != "" for run in results[1].runs] == [True, False, False, False, False]
    assert [each.version for each in results[1].answered] == ["2"]


def test_a_model_answers_from_the_day_on_that_it_was_trained(tmp_path):
    policy = by({"name": "data", "kind": "new_data", "settle": "10d"})
    results = replayed(tmp_path, policy, plan(end="2013-05-01"))
    assert [(each.start[:10], each.end[:10], each.version) for each in results[1].answered] == [
        ("2013-04-01", "2013-04-11", "1"), ("2013-04-11", "2013-05-01", "2"),
    ]  # fmt: skip


def test_labels_come_late_to_training_and_to_monitoring(tmp_path):
    results = replayed(tmp_path, ALL, plan(label_delay="10d"))
    assert [each.runs[0].data_until[:10] for each in results[:3]] == ["2013-02-19", "2013-03-22", "2013-04-21"]
    assert [(each.start[:10], each.end[:10]) for each in results[0].answered] == [
        ("2013-03-01", "2013-03-22"), ("2013-03-22", "2013-04-01"),
    ]  # fmt: skip
    late = replayed(tmp_path / "late", ALL, plan(label_delay="45d"))
    assert "value" not in late[0].monitored
    assert late[0].runs[0].data_until[:10] == "2013-01-15"


triggers = st.sampled_from([
    WORSE, DATA, {"name": "any", "kind": "new_data", "settle": "3d"},
    {"name": "weekly", "kind": "schedule", "cron": "30 5 * * 3"},
])  # fmt: skip


@given(
    st.lists(triggers, min_size=1, max_size=3, unique_by=lambda each: each["name"]),
    st.sampled_from(["0s", "1d", "12d", "40d"]),
    st.sampled_from(["1 month", "2 weeks", "9 days"]),
    st.sampled_from(["0s", "17d"]),
)
@examples(max_examples=6, deadline=None)
def test_nothing_of_the_future_is_known(tmp_path_factory, chosen, delay, every, cooldown):
    time, world = plan(label_delay=delay, every=every, end="2013-06-01"), World()
    results = replayed(tmp_path_factory.mktemp("replay"), by(*chosen, cooldown=cooldown), time, world)
    late = datetime.timedelta(days=int(delay[:-1])) if delay != "0s" else datetime.timedelta()
    for at, read_until in world.read:
        now = datetime.datetime.fromisoformat(at)
        assert read_until <= now - late
        assert read_until <= max(each for each in time.replay.boundaries if each <= now)
    for result in results:
        assert all(each.trained_until <= each.start for each in result.answered)
        spans = [(each.start, each.end) for each in result.answered]
        assert [spans[0][0], spans[-1][1]] == [result.start, result.end]
        assert all(left[1] == right[0] for left, right in itertools.pairwise(spans))
    assert [result.start for result in results] == [window.texts[0] for window in time.windows]


def test_a_model_that_has_seen_what_it_is_asked_stops_the_replay(tmp_path):
    class Cheat(World):
        def answer(self, span):
            return dataclasses.replace(super().answer(span), trained_until="2013-04-02T00:00:00")

    with pytest.raises(CtError, match="has not seen what it is asked"):
        replayed(tmp_path, ONE, world=Cheat())


def test_a_first_model_that_is_refused_stops_the_replay(tmp_path):
    class Strict(World):
        def train(self, data, decided):
            return dataclasses.replace(super().train(data, decided), version="", reason="AUC 0.5 is not 0.65")

    with pytest.raises(CtError, match=r"is not served: AUC 0.5 is not 0.65"):
        replayed(tmp_path, ONE, world=Strict())


def test_killed_at_any_call_it_comes_to_the_same(tmp_path):
    strategy, time = by(WORSE, DATA), plan(end="2013-07-01", label_delay="3d")
    whole = replayed(tmp_path / "whole", strategy, time)
    for calls in range(1, 40):
        world = World(calls_left=calls)
        try:
            found = replayed(tmp_path / str(calls), strategy, time, world)
        except Killed:
            world.calls_left = 10**9
            found = replayed(tmp_path / str(calls), strategy, time, world)
        else:
            assert calls > 15
            break
        assert found == whole, calls
    else:
        raise AssertionError("it never came to its end without a kill")


def test_results_are_read_again_only_if_they_follow_from_the_same(tmp_path):
    results = replayed(tmp_path, ALL)
    assert Store(tmp_path, "key").read() == results
    assert Store(tmp_path, "other").read() == []
    kept = json.loads((tmp_path / "0002.json").read_text())
    kept["result"]["rows"] += 1
    (tmp_path / "0002.json").write_text(json.dumps(kept))
    assert len(Store(tmp_path, "key").read()) == 3  # what followed from it does not any more
    (tmp_path / "0001.json").write_text("{")
    assert len(Store(tmp_path, "key").read()) == 1


def test_windows_of_months_are_calendar_months():
    found = Replay(start="2013-01-31", end="2013-05-10", every="1 month").boundaries
    assert [f"{each:%m-%d}" for each in found] == ["01-31", "02-28", "03-31", "04-30", "05-10"]
    assert Replay(start="2013-12-01", end="2014-02-01").boundaries[1] == moment("2014-01-01")
