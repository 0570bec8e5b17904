"""The ML Test Score by evidence: what is there earns points, what is taken away costs them, nothing is claimed."""

import dataclasses
import json

import pytest

from cli_runner import ct
from kfp_ct.base.errors import UsageError
from kfp_ct.cards.statement import Risk, Statement
from kfp_ct.models.champion_history import REGISTER, ROLLBACK, Move
from kfp_ct.report.content import Content
from kfp_ct.runs.record import Run, Task
from kfp_ct.scorecard import card, evidence, notes, page, project_tests
from kfp_ct.scorecard.evidence import Evidence
from kfp_ct.scorecard.notes import Note
from kfp_ct.scorecard.project_tests import OwnTests
from kfp_ct.watch.policy import Policy
from repository import ROOT

COMPONENTS = ("ingest", "validate_data", "train", "evaluate", "validate_infra", "register", "deploy")
REPORT = {
    "traffic": {"rows": 900}, "skew": [{"feature": "x"}], "staleness": {"age_days": 3.0},
    "quality": {"value": 0.7, "baseline": 0.71},
}  # fmt: skip


def trained(folder, auc=0.7):
    """A run that blessed a model, as its record and its components have it."""
    tasks = [Task(name.replace("_", "-"), name, [], "SUCCEEDED") for name in COMPONENTS]
    about = {"commit": "a" * 40, "versions": {}, "user": "ada", "process": 1, "started": "2013-06-01T00:00:00+00:00"}
    run = Run("r", "flights", "local", "pipelines.training", {"seed": 1}, "on demand", tasks=tasks, **about)
    evaluation = {
        "blessed": True, "checks": [{"gate": "slices", "reason": "carrier", "passed": True}],
        "baseline": {"gain": 0.2}, "metrics": {"challenger": {"auc": auc}},
    }  # fmt: skip
    return Content(
        run, folder, {"fingerprint": "f"}, {}, {}, {"trials": [{}, {}]}, {}, evaluation,
        {"blessed": True, "checks": [{"gate": "answers", "passed": True}]}, {},
    )  # fmt: skip


@pytest.fixture
def full(tmp_path):
    """Everything that earns a point, in one place."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "train.log").touch()
    (tmp_path / "report.html").touch()
    run = trained(tmp_path)
    triggers = ({"name": "a", "kind": "performance", "max_loss": 0.1}, {"name": "b", "kind": "schedule", "job": "j"})
    tests = (
        "test_every_row_has_its_features",
        "test_training_learns",
        "test_finite",
        "test_a_simpler_model_is_not_better",
    )
    return Evidence(
        parameters={
            "schema_file": "schema.pbtxt", "deny": ["late"], "infra": {"p99_ms": 5},
            "gates": {"slices": ["carrier"], "max_slice_gap": 0.1}, "serving": {"release": {"canary": [10]}},
        },
        rules={"max_age_days": 30, "max_p99_ms": 50},
        trained=run,
        trainings=(run, trained(tmp_path)),
        importance={"metric": "auc", "features": [{"feature": "x", "loss": 0.2, "low": 0.1, "high": 0.3}]},
        monitored=(REPORT,) * 3,
        policy=Policy(triggers=triggers),
        statement=Statement(risks=(Risk(name="unfair"),)),
        tests=OwnTests(tests, (), "now"),
        replayed={"strategies": [{"name": "once", "windows": [1] * 3}, {"name": "every", "windows": [1] * 3}]},
        moves=(Move("1", REGISTER, "", "1"), Move("2", REGISTER, "1", "2"), Move("3", ROLLBACK, "2", "1")),
        build="make test\nmake run-small\nct images scan\nct model-card p --importance",
        notified=True,
        locked=True,
    )  # fmt: skip


def points(found):
    return {line.name: line.finding.points for lines in card.of("p", found).sections.values() for line in lines}


def test_there_are_four_sections_of_seven_tests():
    assert [len(checks) for checks in card.SECTIONS.values()] == [7, 7, 7, 7]
    assert len({check.title for checks in card.SECTIONS.values() for check in checks}) == 28


def test_nothing_earns_nothing_and_says_what_would_earn_more():
    found = card.of("bare", Evidence())
    assert found.score == 0
    assert found.sums == {"data": 0, "model": 0, "infrastructure": 0, "monitoring": 0}
    assert found.meaning.startswith("more of a research project")
    assert all(line.finding.raises for lines in found.sections.values() for line in lines)


def test_the_score_is_the_least_of_the_sections(full):
    found = card.of("full", full)
    assert found.sums == {"data": 5.5, "model": 7.0, "infrastructure": 6.5, "monitoring": 7.0}
    assert found.score == 5.5
    without = dataclasses.replace(full, monitored=(), rules=None)
    assert card.of("full", without).score == card.of("full", without).sums["monitoring"] < 5.5


@pytest.mark.parametrize(
    ("taken", "less"),
    [
        ({"tests": None}, {"data 7", "model 5", "infrastructure 2", "monitoring 5"}),
        ({"importance": {}}, {"data 2"}),
        ({"importance": {"features": [{"feature": "x", "low": -0.1}, {"feature": "y", "low": None}]}}, {"data 2"}),
        ({"tests": OwnTests((), ("test_every_row_has_its_features", "test_training_learns", "test_finite"), "now")},
         {"data 7", "model 5", "infrastructure 2", "monitoring 5"}),
        ({"monitored": ()},
         {"model 2", "monitoring 2", "monitoring 3", "monitoring 4", "monitoring 6", "monitoring 7"}),
        ({"replayed": {}}, {"model 4"}),
        ({"moves": ()}, {"infrastructure 7"}),
        ({"build": ""},
         {"data 2", "data 7", "model 1", "model 5", "infrastructure 2", "infrastructure 3", "monitoring 1"}),
        ({"notified": False}, {"monitoring 1"}),
        ({"policy": None}, {"monitoring 7"}),
        ({"rules": None}, {"monitoring 4", "monitoring 6"}),
        ({"trainings": ()}, {"infrastructure 1"}),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, dict) else "",
)  # fmt: skip
def test_evidence_that_is_taken_away_costs_its_points(full, taken, less):
    before, after = points(full), points(dataclasses.replace(full, **taken))
    assert {name for name in before if after[name] < before[name]} == less
    assert not [name for name in before if after[name] > before[name]]


def test_settings_earn_nothing_that_no_run_has_shown(full):
    after = points(
        dataclasses.replace(full, trained=None, trainings=(), monitored=(), moves=(), tests=None, importance={})
    )
    earned = {name for name, each in after.items() if each}
    assert earned == {"data 1", "model 2", "model 4", "model 7", "monitoring 1", "monitoring 4"}
    assert all(after[name] == 0.5 for name in earned - {"model 4", "monitoring 1"})


def test_a_training_that_came_to_another_metric_is_not_reproducible(full, tmp_path):
    other = dataclasses.replace(full, trainings=(trained(tmp_path), trained(tmp_path, auc=0.71)))
    line = card.of("p", other).sections["infrastructure"][0]
    assert line.finding.points == 0
    assert "1 repeated trainings came to other metrics" in line.finding.evidence


def test_inputs_that_cost_nothing_to_lose_are_named_and_cost_half_a_point(full):
    features = [{"feature": "x", "low": 0.1}, {"feature": "wind", "low": -0.1}, {"feature": "gust", "low": None}]
    found = card.of("p", dataclasses.replace(full, importance={"metric": "auc", "features": features}))
    line = found.sections["data"][1].finding
    assert line.points == 0.5
    assert "wind, gust cost no auc beyond doubt" in line.evidence


def test_a_search_that_the_newest_run_did_not_repeat_earns_half(full):
    newest = dataclasses.replace(full.trained, tuning={})
    line = card.of("p", dataclasses.replace(full, trained=newest)).sections["model"][2].finding
    assert (line.points, "a run tried 2 sets" in line.evidence) == (0.5, True)


def test_work_by_hand_earns_half_a_point_where_nothing_else_does(full):
    by_hand = {name: Note(test=name, document="d.md", date="2013-06-01", by="ada") for name in ("data 6", "data 1")}
    before, after = points(full), points(dataclasses.replace(full, notes=by_hand))
    assert (before["data 6"], after["data 6"]) == (0, 0.5)
    assert (before["data 1"], after["data 1"]) == (1, 1)


def test_a_note_without_its_document_is_refused(tmp_path):
    folder = tmp_path / "pipelines" / "p"
    folder.mkdir(parents=True)
    assert notes.load(folder) == []
    (folder / "scorecard.yaml").write_text("notes: [{test: data 2, document: a.md, date: '2013-06-01', by: ada}]")
    with pytest.raises(UsageError, match=r"data 2: there is no document a.md"):
        notes.load(folder)
    (tmp_path / "a.md").write_text("We left one out after the other.")
    assert [each.test for each in notes.load(folder)] == ["data 2"]
    (folder / "scorecard.yaml").write_text("notes: [{test: data 8, document: a.md, date: '2013-06-01', by: ada}]")
    with pytest.raises(UsageError, match="a section and a number"):
        notes.load(folder)


def test_results_of_tests_count_only_for_the_sources_they_ran_on(tmp_path):
    from kfp_ct.project.workspace import Workspace

    workspace = Workspace(tmp_path, tmp_path / "home")
    source = tmp_path / "pipelines" / "p" / "model.py"
    source.parent.mkdir(parents=True)
    source.write_text("a = 1")
    kept = {"passed": ["test_a"], "failed": [], "at": "now", "sources": project_tests._sources(workspace, "p")}
    (tmp_path / "home" / "scorecards" / "p").mkdir(parents=True)
    (tmp_path / "home" / "scorecards" / "p" / "tests.json").write_text(json.dumps(kept))
    assert project_tests.last(workspace, "p") == OwnTests(("test_a",), (), "now")
    source.write_text("a = 2")
    assert project_tests.last(workspace, "p") is None


def test_tests_are_told_apart_by_what_they_came_to(tmp_path):
    (tmp_path / "r.xml").write_text(
        '<testsuites><testsuite><testcase name="a"/><testcase name="b"><failure/></testcase>'
        '<testcase name="c"><skipped/></testcase><testcase name="d"><error/></testcase></testsuite></testsuites>'
    )
    assert project_tests.read(tmp_path / "r.xml") == (("a",), ("b", "d"))


def test_flights_without_a_run_scores_low_and_the_page_says_why(tmp_path):
    done = ct(tmp_path, "scorecard", "flights", "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["score"] < 1
    assert len(said["tests"]) == 28
    html = (tmp_path / "scorecards" / "flights" / "scorecard.html").read_text()
    assert "What would" not in html
    assert "ct replay PROJECT" in html
    assert "a < b" not in html


def test_the_page_escapes_what_evidence_says(full):
    html = str(page.draw(card.of("<p>", dataclasses.replace(full, parameters={**full.parameters, "deny": ["<x>"]}))))
    assert "<x>" not in html
    assert "&lt;x&gt;" in html
    assert "Score 5.5" in page.draw(card.of("p", full))
    assert "data: 5.5 of 7" in page.text(card.of("p", full))


def test_the_build_of_this_repository_is_read():
    steps = evidence._steps(ROOT / "cloudbuild.yaml")
    assert "make test" in steps
    assert "run-small" in steps
    assert "scan" in steps.split()
