"""Releases from the service's log and late labels to their end, in simulated time: worse, equal and better ones."""

import datetime
import json
import types

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_ct.models import release_state, releases
from kfp_ct.models.release_state import RUNNING, State
from kfp_ct.releasing import judge
from kfp_ct.serving.request_files import Answered, Key, Part, RequestFiles
from kfp_ct.serving.routing import CANARY, Routing

START = datetime.datetime(2013, 6, 1, tzinfo=datetime.UTC)
LOOK = datetime.timedelta(minutes=30)
LABEL_DELAY = datetime.timedelta(hours=1)
REQUESTS = 2_000


class World:
    """What clients ask, what both versions answer, and the labels that come an hour later."""

    def __init__(self, folder, noise, steps=(5, 50), shadow=0, **policy):
        self.root, self.log, self.labels = folder / "serving", folder / "log", folder / "labels"
        self.labels.mkdir()
        for name in ("1", "candidate/2"):
            (self.root / "m" / name).mkdir(parents=True)
            (self.root / "m" / name / "saved_model.pb").write_text(name)
        rules = {
            "request_log": str(self.log), "labels": f"{self.labels}/*.parquet", "min_rows": 150, "min_labelled": 150,
            **policy.pop("judge", {}),
        }  # fmt: skip
        split = {"shadow": shadow} if shadow else {"canary": list(steps)}
        settings = {**split, "every": "30m", **policy, "judge": rules}
        at = START.isoformat()
        percent = 0 if shadow else steps[0]
        state = State("2-a", "m", "1", "2", RUNNING, percent, shadow, "", 0, at, at, settings, "", {})
        self.kept = release_state.write(str(self.root), state, None)
        self.done = []
        noted = (lambda state: self.done.append("champion"), lambda state: self.done.append("marked"))
        self.releases = releases.Releases(str(self.root), releases.FolderTraffic(str(self.root)), *noted)
        self.noise = {"1": 1.0, "2": noise}
        self.fails = 0.0
        self.random = np.random.default_rng(7)
        self.waiting, self.asked = [], 0

    def run(self):
        """Asks, labels and looks until the release has ended; returns its state."""
        now = START
        while self.kept.state.unfinished:
            self.ask(self.kept.state, now)
            now += LOOK
            self.bring_labels(now)
            self.releases.apply(self.kept, judge.judge(self.kept.state, now), now)
            self.kept = release_state.read(str(self.root), "m")
            assert now < START + datetime.timedelta(days=3)
        return self.kept.state

    def ask(self, state, now):
        routing = Routing(state.id, 2, state.percent, state.shadow, "")
        ids = [f"r{self.asked + number}" for number in range(REQUESTS)]
        self.asked += REQUESTS
        truth = self.random.normal(0, 1.5, REQUESTS)
        labels = (self.random.random(REQUESTS) < 1 / (1 + np.exp(-truth))).astype(float)
        roles = np.array([routing.role(each.encode()) for each in ids])
        if state.shadow:
            chosen = {"1": roles != "", "2": roles == "shadow"}
        else:
            chosen = {"1": roles != CANARY, "2": roles == CANARY}
        for version, rows in chosen.items():
            role = "live" if version == "1" else "shadow" if state.shadow else "canary"
            logits = truth + self.random.normal(0, self.noise[version], REQUESTS)
            failed = self.random.random(REQUESTS) < (self.fails if version == "2" else 0)
            self.write(Part(role, state.id, state.shadow or state.percent), version, now, [
                (ids[n], logits[n]) for n in np.flatnonzero(rows & ~failed)
            ], int((rows & failed).sum()))  # fmt: skip
        self.waiting.append((now + LABEL_DELAY, pa.table({"request_id": ids, "label": labels})))

    def write(self, part, version, now, answers, failed):
        rows = [
            Answered(name, now.timestamp(), float(self.random.lognormal(1, 0.3)),
                     {"x": np.zeros(1, np.float32)}, {"probability": np.array([1 / (1 + np.exp(-logit))])})
            for name, logit in answers
        ]  # fmt: skip
        counts = {"requests": len(rows) + failed, "sampled": len(rows), "dropped": 0, "lost": 0}
        metadata = {"signature": "serving_default", "written": now.isoformat(), **counts,
                    "errors": {"500": failed} if failed else {}, **part.to_json()}  # fmt: skip
        RequestFiles(self.log, 1 << 40).write(
            Key("m", int(version), "serving_default", part), rows, json.dumps(metadata)
        )

    def bring_labels(self, now):
        for number, (at, table) in enumerate(self.waiting):
            if at <= now:
                pq.write_table(table, self.labels / f"{number}-{at:%H%M}.parquet")
        self.waiting = [each for each in self.waiting if each[0] > now]


def served(world):
    return {path.name for path in (world.root / "m").iterdir() if path.name.isdigit()}


def test_one_that_is_worse_only_on_live_traffic_is_backed_out_at_the_first_share(tmp_path):
    world = World(tmp_path, noise=4.0)
    state = world.run()

    assert (state.state, [step["percent"] for step in state.steps]) == ("backed_out", [5])
    assert state.reason.startswith("quality differ by +")
    quality = state.steps[0]["evidence"]["criteria"][-1]
    assert 0 < quality["low"] < quality["value"]
    assert datetime.datetime.fromisoformat(state.steps[0]["to"]) >= START + LABEL_DELAY
    assert served(world) == {"1"}
    assert not list((world.root / "m" / "candidate").iterdir())
    assert world.done == ["marked"]
    assert release_state.archived(str(world.root), "m") == [state]


def test_a_better_one_gets_all_traffic(tmp_path):
    world = World(tmp_path, noise=0.1, equal="keep")
    state = world.run()

    assert (state.state, [step["percent"] for step in state.steps]) == ("promoted", [5, 50])
    assert state.reason.startswith("better: quality")
    assert served(world) == {"1", "2"}
    assert world.done == ["champion"]


def test_an_equal_one_goes_by_the_policys_word(tmp_path):
    (tmp_path / "promoted").mkdir()
    (tmp_path / "kept").mkdir()
    promoted = World(tmp_path / "promoted", noise=1.0, steps=(50,)).run()
    kept = World(tmp_path / "kept", noise=1.0, steps=(50,), equal="keep", judge={"max_wait": "3h"}).run()

    assert (promoted.state, "equal ones are promoted" in promoted.reason) == ("promoted", True)
    assert (kept.state, "not better after 3h" in kept.reason) == ("backed_out", True)


def test_a_shadow_is_judged_by_the_rows_that_both_answered(tmp_path):
    (tmp_path / "worse").mkdir()
    (tmp_path / "better").mkdir()
    worse = World(tmp_path / "worse", noise=4.0, shadow=20).run()
    better = World(tmp_path / "better", noise=0.1, shadow=20, equal="keep").run()

    assert (worse.state, worse.steps[0]["shadow"], worse.steps[0]["percent"]) == ("backed_out", 20, 0)
    assert better.state == "promoted"
    assert [each["name"] for each in better.steps[0]["evidence"]["criteria"]] == ["errors", "predictions", "quality"]


def test_errors_need_no_labels(tmp_path):
    world = World(tmp_path, noise=1.0, judge={"labels": ""})
    world.fails = 0.3
    state = world.run()

    assert (state.state, len(state.steps)) == ("backed_out", 1)
    assert state.reason.startswith("errors differ by +0.")


def test_answers_that_are_no_numbers_are_errors(tmp_path):
    world = World(tmp_path, noise=1.0, judge={"labels": ""})
    write = world.write

    def broken(self, part, version, now, answers, failed):
        bad = [(name, np.nan if version == "2" and n % 3 == 0 else logit) for n, (name, logit) in enumerate(answers)]
        write(part, version, now, bad, failed)

    world.write = types.MethodType(broken, world)
    state = world.run()
    assert (state.state, state.reason.startswith("errors differ by +0.33")) == ("backed_out", True)


def test_predictions_of_another_kind_are_no_equal(tmp_path):
    world = World(tmp_path, noise=1.0, steps=(50,), judge={"labels": "", "max_prediction_distance": 0.1})
    write = world.write

    def moved(self, part, version, now, answers, failed):
        write(part, version, now, [(name, logit + 3 * (version == "2")) for name, logit in answers], failed)

    world.write = types.MethodType(moved, world)
    state = world.run()
    assert (state.state, state.reason.startswith("predictions differ by")) == ("backed_out", True)


def test_a_candidate_that_nobody_asks_does_not_go_on(tmp_path):
    world = World(tmp_path, noise=1.0, judge={"max_wait": "2h", "min_rows": 100_000})
    state = world.run()
    assert (state.state, "nothing that was not examined goes on" in state.reason) == ("backed_out", True)


def test_the_judge_is_a_program_that_says_what_it_cannot_read(tmp_path, monkeypatch, capsys):
    import dataclasses
    import io

    state = World(tmp_path, noise=1.0).kept.state
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(dataclasses.asdict(state))))
    assert judge.main() == 0
    assert json.loads(capsys.readouterr().out)["error"].startswith("there is no request log at")
    (tmp_path / "log").mkdir()
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(dataclasses.asdict(state))))
    assert judge.main() == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["verdict"]) == (0, "back_out")  # simulated time is long ago


@pytest.mark.parametrize("percent", [[], [10, 1], [1, 1], list(range(1, 12))])
def test_a_policy_has_rising_shares(percent):
    from kfp_ct.models.settings import ReleasePolicy

    with pytest.raises(ValueError, match=r"canary|steps"):
        ReleasePolicy.model_validate({"canary": percent, "judge": {"request_log": "log"}})
