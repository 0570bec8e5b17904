"""`--json`: standard output is one JSON document, whatever the command says beside it."""

import dataclasses
import json

import pytest

from cli_runner import ct
from kfp_ct.cli import commands, reference
from kfp_ct.data import layouts
from kfp_ct.runs import record
from repository import ROOT

TRIGGER = """
name: push-to-main
filename: cloudbuild.yaml
github: {push: {branch: ^main$}}
"""
# They serve, install or write a file, print one value a line, or are a family.
WITHOUT = {
    "init", "new-component", "setup", "up", "serve", "upload", "images", "images sbom", "images scan",
    "images provenance", "images sign", "images attach", "receive", "delivery", "trigger", "trigger git",
    "trigger git install", "schedule",
    "settings", "settings from-terraform", "notices", "release", "features",
}  # fmt: skip


def answer(home, *arguments, code=0):
    done = ct(home, *arguments, "--json")
    assert done.code == code, done.err
    return json.loads(done.out)


def test_commands_with_json():
    lacking = set()
    for entry in commands.ENTRIES.values():
        for path, context in reference.walk(entry):
            if "--json" not in [name for param in context.command.params for name in param.opts]:
                lacking.add(" ".join(path))

    assert lacking == WITHOUT


def test_a_compiled_package_and_its_check(tmp_path):
    package = tmp_path / "package.yaml"

    compiled = answer(tmp_path, "compile", "flights", "--output", str(package))
    checked = answer(tmp_path, "check", str(package))

    assert (compiled["package"], compiled["pipeline"]) == (str(package), "flights-training")
    assert compiled["executors"] == checked["executors"] > 10
    assert compiled["images"] == checked["images"] == ["kfp-ct-components-python:local"]


def test_a_refused_package_is_no_json_and_code_3(tmp_path):
    (tmp_path / "package.yaml").write_text("a: b")

    done = ct(tmp_path, "check", str(tmp_path / "package.yaml"), "--json")

    assert (done.code, done.out) == (3, "")


def test_problems_of_build_configurations(tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("steps: [{name: ubuntu, args: [echo]}]")
    bad.write_text("steps: [{name: ubuntu}]\ntimeout: soon\n")

    first, second = answer(tmp_path, "build", "--check", str(good), "--check", str(bad), code=2)

    assert first == {"file": str(good), "problems": []}
    assert second["file"] == str(bad)
    assert [(each["line"], each["fatal"]) for each in second["problems"]] == [(2, True)]


def test_triggers_and_which_of_them_a_push_starts(tmp_path):
    (tmp_path / "main.yaml").write_text(TRIGGER)

    (named,) = answer(tmp_path, "trigger", "check", str(tmp_path / "main.yaml"))
    (started,) = answer(tmp_path, "trigger", "check", str(tmp_path / "main.yaml"), "--ref", "refs/heads/main")
    (idle,) = answer(tmp_path, "trigger", "check", str(tmp_path / "main.yaml"), "--ref", "refs/heads/other")

    assert (named["name"], named["config"]) == ("push-to-main", "cloudbuild.yaml")
    assert (named["starts"], started["starts"], idle["starts"]) == (None, True, False)


def test_nothing_is_deployed_to_none(tmp_path):
    assert answer(tmp_path, "deploy", "flights", "--target", "none") == {}


def test_why_a_person_started_a_run(tmp_path):
    run = record.Run(
        id="20261128-1", project="flights", environment="local", pipeline="pipelines.training", parameters={},
        cause="June is back", commit="", code_version="", image="", versions={}, user="ada", process=1, started="",
    )  # fmt: skip
    layouts.write_json(tmp_path / "runs" / run.id / record.RECORD, dataclasses.asdict(run))

    explained = answer(tmp_path, "why", run.id)

    assert (explained["run"], explained["by"], explained["at"]) == (run.id, "ada", None)
    assert explained["reasons"] == [{"trigger": "", "text": "June is back"}]
    assert ct(tmp_path, "why", run.id).out == f"{run.id} was started by ada: June is back\n"


def test_the_decision_of_one_look(tmp_path):
    decision = answer(tmp_path, "watch", "flights", "--dry-run")

    assert decision["fire"] in (True, False)
    assert decision["fire"] or decision["holds"]


@pytest.mark.parametrize("arguments", [[], ["--now"]])
def test_a_watch_that_goes_on_has_no_json(tmp_path, arguments):
    done = ct(tmp_path, "watch", "flights", "--json", *arguments)

    assert done.code == 2
    assert "fix: add --once or --dry-run" in done.err


def test_lists_without_entries(tmp_path):
    assert answer(tmp_path, "runs") == answer(tmp_path, "builds") == answer(tmp_path, "models") == []


def test_the_repositorys_own_build_configuration_has_no_problems(tmp_path):
    assert answer(tmp_path, "build", "--check", str(ROOT / "cloudbuild.yaml"))[0]["problems"] == []


def test_settings(tmp_path):
    found = answer(tmp_path, "settings", "show", "flights", "--set", "gates.min_gain=0.5")

    assert found["pipeline"] == "pipelines.training"
    assert found["parameters"]["gates"]["min_gain"] == 0.5
    assert found["parameters"]["sources"]["flights"]["uri"].endswith("flights.csv.zip")
