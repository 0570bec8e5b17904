"""`ct compare` of runs on this machine: its table, its JSON, its exit code, and what it refuses."""

import json

import pytest

from cli_runner import ct
from kfp_ct.runs import record
from kfp_ct.runs.events import State


@pytest.fixture
def home(tmp_path):
    for number, epochs, auc in (("1", 2, 0.7), ("2", 3, 0.7002), ("3", 2, 0.7)):
        made = record.Run(
            id=f"2026010{number}-000000-aa", project="p", environment="local", pipeline="pipelines.training",
            parameters={"hyperparameters": {"epochs": epochs}}, cause="", commit="", versions={}, user="", process=0,
            started=record.now(), state="SUCCEEDED",
        )  # fmt: skip
        summary = tmp_path / "artifacts" / number / "summary.json"
        summary.parent.mkdir(parents=True)
        checks = [{"gate": "auc", "passed": auc == 0.7, "reason": ""}]
        summary.write_text(json.dumps({"checks": checks}))
        evaluated = record.Task("evaluate", "evaluate", [], state=State.SUCCEEDED, parameters={"Output": True})
        evaluated.artifacts = {
            "metrics": {"uri": "m", "type": "system.Metrics", "metadata": {"auc": auc}},
            "evaluation": {"uri": str(summary.parent), "type": "system.Artifact", "metadata": {}},
        }
        made.tasks = [evaluated]
        record.Recorder(made, tmp_path / "runs" / made.id)
    return tmp_path


def test_runs_that_differ_in_a_setting_exit_with_1_and_say_in_what(home):
    done = ct(home, "compare", "20260101", "20260102")
    assert done.code == 1, done.err
    lines = [line.split() for line in done.out.splitlines()]
    assert ["inputs", "hyperparameters.epochs", "2", "3"] in lines
    assert ["metrics", "evaluate", "auc", "0.7", "0.7002"] in lines
    assert ["gates", "evaluate", "auc", "true", "false"] in lines
    assert done.out.splitlines()[-1] == "different: 3 results of both runs were compared"


def test_runs_that_are_the_same_exit_with_0(home):
    done = ct(home, "compare", "20260101-000000-aa", "last")
    assert (done.code, done.out) == (0, "the same: 3 results of both runs were compared\n")


def test_the_tolerance_is_for_numbers(home):
    done = ct(home, "compare", "20260101", "20260102", "--tolerance", "0.001", "--json")
    found = json.loads(done.out)
    assert (done.code, found["same"], found["compared"]) == (1, False, 3)
    assert {each["name"] for each in found["differences"] if each["decides"]} == {
        "hyperparameters.epochs", "evaluate auc",
    }  # fmt: skip
    assert {each["section"] for each in found["differences"] if each["decides"]} == {"inputs", "gates"}
    assert [each["run"] for each in found["runs"]] == ["20260101-000000-aa", "20260102-000000-aa"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["2026", "last"], "3 runs begin with '2026'"),
        (["last", "s3:abc"], "s3:abc is no address of a run"),
        (["last", "kfp:"], "kfp: is no address of a run"),
        (["last", "last", "--tolerance", "inf"], "--tolerance inf"),
        (["last", "vertex@local:1"], "does not say where vertex is"),
    ],
)
def test_what_is_no_run_is_refused(home, arguments, said):
    done = ct(home, "compare", *arguments, "--project", "flights")
    assert done.code == 2
    assert said in done.err
    assert "expected:" in done.err or "fix:" in done.err
