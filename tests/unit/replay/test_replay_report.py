"""What strategies came to, in figures, in words and as a page; what replay.yaml may say."""

import dataclasses
import json

import pytest

from kfp_ct.base.errors import UsageError
from kfp_ct.project.workspace import Workspace
from kfp_ct.replay import page, replay, settings, summary
from kfp_ct.replay.plan import EVERY, ONCE, POLICY, Plan, Strategy
from kfp_ct.replay.results import Store
from kfp_ct.replay.summary import Outcome
from kfp_ct.replay.timeline import Timeline
from kfp_ct.watch.policy import Policy
from replayed_world import World
from repository import ROOT

POLICY_OF_TWO = Policy(triggers=({"name": "<two>", "kind": "new_data", "min_files": 2},))
STRATEGIES = (Strategy(ONCE, ONCE), Strategy(EVERY, EVERY), Strategy("two & more", POLICY, POLICY_OF_TWO))


def outcomes(folder, turn=0.012, end="2013-09-01"):
    plan = Plan(settings.Replay(start="2013-03-01", end=end))
    found = []
    for each in STRATEGIES:
        windows = Timeline(plan, each, World(turn=turn), Store(folder / each.name, "key")).run()
        found.append(Outcome(each.name, each.kind, tuple(windows)))
    return found


def report(found):
    return summary.report("flights", {"every": "1 month", "label_delay": "0s"}, found)


def test_where_meaning_turns_training_pays(tmp_path):
    once, every, two = found = outcomes(tmp_path)
    said = report(found)
    assert (once.retrains, every.retrains, two.retrains) == (0, 5, 2)
    assert (once.runs, once.train_seconds, every.train_seconds) == (1, 1.0, 6.0)
    assert every.rows_read == 6 * 60 * 20 - 20 * 1  # January and February have 59 days
    assert once.mean < two.mean < every.mean
    assert set(said.frontier) == {ONCE, EVERY, "two & more"}
    assert said.recommended == EVERY
    assert "beyond doubt" in said.recommendation
    assert every.worse == ()


def test_where_nothing_changes_training_once_is_enough(tmp_path):
    said = report(outcomes(tmp_path, turn=0.0))
    assert said.recommended == ONCE
    assert said.recommendation.startswith("Train once: no strategy is better beyond doubt")


def test_a_new_model_that_is_worse_than_the_one_before_is_counted(tmp_path):
    every = outcomes(tmp_path)[1]
    first, second, *rest = every.windows
    worse = dataclasses.replace(second, previous=dataclasses.replace(second.quality, value=0.99))
    assert Outcome(EVERY, EVERY, (first, worse, *rest)).worse == (worse,)


def test_the_page_shows_every_window_and_decision_and_escapes_names(tmp_path):
    found = outcomes(tmp_path)
    html = str(page.draw(report(found)))
    assert "two &amp; more" in html
    assert "&lt;two&gt;: 2 new files" in html
    assert "<two>" not in html
    for outcome in found:
        assert all(f"{each.quality.value:.4f}" in html for each in outcome.windows)
    assert html.count("2013-08-01") >= 2
    assert "waiting for 2 files" in html


def test_the_figures_are_json(tmp_path):
    found = json.loads(json.dumps(summary.machine(report(outcomes(tmp_path, end="2013-05-01")))))
    every = found["strategies"][1]
    assert every["windows"][1]["decisions"][0]["run"]["data_until"] == "2013-04-01T00:00:00"
    assert every["windows"][1]["previous"]["value"] < 1
    assert found["recommended"] in {each["name"] for each in found["strategies"]}


def test_policies_are_told_apart_by_their_files(tmp_path):
    workspace = Workspace(ROOT, tmp_path)
    _, strategies = replay.read(workspace, replay.Request("flights"))
    assert [each.name for each in strategies] == [ONCE, EVERY, "triggers", "frugal"]
    other = tmp_path / "triggers.yaml"
    other.write_text("triggers: [{name: a, kind: on_demand}]")
    with pytest.raises(UsageError, match="two policies are named triggers"):
        replay.read(workspace, replay.Request("flights", compare=[other]))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{start: 2013-03-01, end: '2013-02-01'}", "start"),
        ("{start: '2013-03-01', end: '2013-02-01'}", "expected an instant after start"),
        ("{start: '2013-03-01T12:00:00', end: '2014-02-01'}", "expected the start of a day"),
        ("{start: '2013-03-01', end: '2014-01-01', every: monthly}", "such as 1 month"),
        ("{end: '2014-01-01'}", "start"),
    ],
)
def test_what_does_not_fit_in_replay_yaml_is_said(tmp_path, text, says):
    (tmp_path / "replay.yaml").write_text(text)
    with pytest.raises(UsageError, match=says):
        settings.load(tmp_path / "replay.yaml", {})


def test_a_replay_without_a_time_says_what_to_write(tmp_path):
    with pytest.raises(UsageError, match="--start and --end"):
        settings.load(tmp_path / "replay.yaml", {"start": "2013-03-01"})
    found = settings.load(tmp_path / "replay.yaml", {"start": "2013-03-01", "end": "2013-05-01"})
    assert len(found.boundaries) == 3
