"""The run report: a page for people, JSON for programs, whatever the run came to."""

import copy
import dataclasses
import os
import re

import pytest

from kfp_ct.data import layouts
from kfp_ct.report import page
from kfp_ct.runs import record
from kfp_ct.runs.events import State
from reporting import (
    ANOMALIES,
    ANOMALY,
    EVALUATION,
    INFRA,
    MANIFEST,
    REFUSAL,
    REFUSED,
    SUMMARIES,
    UPSTREAM,
    Laboratory,
    Reader,
    not_drawn,
    with_evaluation,
)


@pytest.fixture
def laboratory(tmp_path):
    return Laboratory(tmp_path)


def test_a_blessed_run_says_what_is_served_and_why(laboratory):
    drawn, report = laboratory.written(laboratory.run())
    text = Reader(drawn).text
    assert "Blessed: version 2 is the champion and is served" in text
    assert "takes over from champion v1" in text
    for check in EVALUATION["checks"]:
        assert check["reason"] in text
    assert report["decision"]["outcome"] == "blessed"
    assert report["decision"]["version"] == "2"
    assert report["checks"] == [*EVALUATION["checks"], *INFRA["checks"]]


def test_every_part_of_a_finished_run_is_drawn_in_order(laboratory):
    drawn, _ = laboratory.written(laboratory.run())
    assert Reader(drawn).headings == [
        name for name in page.SECTIONS if name not in ("Why steps ran", "Predictions", "Monitoring")
    ]
    assert not_drawn(drawn) == []


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("0.7455", id="metric"),
        pytest.param("champion v1: 0.7168", id="champion's metric"),
        pytest.param("+0.0287 (95 % interval +0.0260 to +0.0314)", id="interval"),
        pytest.param("2 trials, 1 failed; best val_auc 0.7123", id="search"),
        pytest.param("val_auc is nan", id="failed trial"),
        pytest.param('model_specs { label_key: "late" }', id="evaluation config"),
        pytest.param("pipelines.flights.judging:make, as its function returned it", id="function of it"),
        pytest.param("160,678", id="rows"),
        pytest.param("12 rejected", id="rejected rows"),
        pytest.param("until 2013-07-01", id="window"),
        pytest.param("last 1 month held out", id="holdout"),
        pytest.param("52 s", id="duration"),
        pytest.param("flights v2", id="served version"),
        pytest.param("/srv/serving/flights", id="place it is served from"),
        pytest.param("carrier=WN", id="slice"),
        pytest.param("8898b75be88f", id="data fingerprint"),
        pytest.param("0123456789abcdef-dirty", id="commit"),
        pytest.param("ct-python:2fe4", id="image"),
        pytest.param("on demand, by ann", id="cause and user"),
        pytest.param("what transform found", id="summary"),
    ],
)
def test_the_page_shows_the_key_facts(laboratory, said):
    drawn, _ = laboratory.written(laboratory.run())
    assert said in Reader(drawn).text


def test_the_json_holds_the_same_numbers(laboratory):
    _, report = laboratory.written(laboratory.run())
    assert report["metrics"] == EVALUATION["metrics"]
    assert report["comparison"]["low"] == 0.026
    assert [entry["slice"] for entry in report["slices"]] == ["origin=EWR", "carrier=WN", "carrier=OO"]
    assert report["data"] == MANIFEST
    assert report["deployment"]["path"] == "/srv/serving/flights"
    assert report["training"]["best_epoch"] == 2
    assert {task["name"] for task in report["run"]["tasks"]} == set(UPSTREAM)


def test_a_refused_model_is_reported_with_the_reason_first_and_the_champion_kept(laboratory):
    later = ("validate-infra", "register", "deploy")
    summaries = {key: value for key, value in with_evaluation(REFUSED).items() if key[0] not in later}
    run = laboratory.run(summaries)
    for name in later:
        task = run.task(name)
        task.state, task.started, task.seconds, task.parameters = State.SKIPPED, "", 0.0, {}
    drawn, report = laboratory.written(run)
    text = Reader(drawn).text
    assert "Not blessed: 1 of 2 gates said no" in text
    assert "Champion v1 stays." in text
    assert text.index(REFUSAL["reason"]) < text.index(EVALUATION["checks"][0]["reason"])
    assert report["decision"]["outcome"] == "refused"


def test_a_first_model_has_no_champion_column(laboratory):
    alone = copy.deepcopy(EVALUATION) | {"compared_with": "", "comparison": None, "slice_comparison": []}
    alone["curves"].pop("champion")
    for of in (alone["metrics"], *alone["slices"]):
        of["champion"] = {}
    drawn, _ = laboratory.written(laboratory.run(with_evaluation(alone)))
    text = Reader(drawn).text
    assert "it is the first champion" in text
    assert "no champion yet" in text
    assert "difference" not in text
    assert not_drawn(drawn) == []


def test_a_failed_run_says_where_why_and_how_to_fix(laboratory):
    error = "the data does not fit the schema\n- carrier: a new value\nexpected: what the schema says\nfix: edit it"
    drawn, report = laboratory.written(laboratory.stopped("validate-data", error))
    text = Reader(drawn).text
    assert "Failed in validate-data: the data does not fit the schema" in text
    assert "carrier: a new value" in text
    assert re.search(r"fix:\s*edit it", text)
    assert "Nothing was deployed" in text
    assert report["decision"]["step"] == "validate-data"
    assert report["decision"]["outcome"] == "failed"


def test_a_crash_shows_its_last_words_as_they_were(laboratory):
    drawn, _ = laboratory.written(
        laboratory.stopped("train", "stopped unexpectedly (killed by signal 9)\n  at work.py")
    )
    assert "Failed in train: stopped unexpectedly (killed by signal 9)" in Reader(drawn).text
    assert "<pre>  at work.py</pre>" in drawn


def test_anomalies_that_stopped_the_run_are_found_though_the_task_has_no_outputs(laboratory):
    run = laboratory.stopped("validate-data", "the data does not fit the schema")
    laboratory.keep("validate-data", "anomalies", layouts.SUMMARY, ANOMALIES | {"anomalies": [ANOMALY]})
    drawn, report = laboratory.written(run)
    assert "23,524 (18 %)" in Reader(drawn).text
    assert report["anomalies"]["anomalies"] == [ANOMALY]


def test_a_warned_anomaly_and_the_schemas_difference_are_in_the_report(laboratory):
    warned = ANOMALIES | {"anomalies": [ANOMALY | {"severity": "warn"}]}
    drawn, report = laboratory.written(
        laboratory.run({**SUMMARIES, ("validate-data", "anomalies", layouts.SUMMARY): warned})
    )
    text = Reader(drawn).text
    assert "1 found among 21 features in 1 split, let through with a warning, as the settings say." in text
    assert "a person has to look" not in text
    assert "The curated schema pipelines/flights/schema.pbtxt beside what the data itself says" in text
    assert "at least 100 % of the rows" in text
    assert report["schema"]["difference"][0]["feature"] == "gust"


def test_anomalies_of_an_earlier_run_are_not_taken_for_this_ones(laboratory):
    run = laboratory.stopped("validate-data", "no statistics")
    root = laboratory.keep("validate-data", "anomalies", layouts.SUMMARY, ANOMALIES | {"anomalies": [ANOMALY]})
    os.utime(root, (0, 0))
    _, report = laboratory.written(run)
    assert report["anomalies"] == {}


@pytest.mark.parametrize(
    ("error", "said"),
    [pytest.param("interrupted", "Interrupted in train", id="in a step")],
)
def test_an_interrupted_run_says_so(laboratory, error, said):
    drawn, report = laboratory.written(laboratory.stopped("train", error, state=record.INTERRUPTED))
    assert said in Reader(drawn).text
    assert report["decision"]["outcome"] == "interrupted"


def test_a_run_interrupted_between_steps_names_the_next_one(laboratory):
    run = laboratory.stopped("train", "interrupted", state=record.INTERRUPTED)
    run.task("train").state, run.task("train").error = State.SKIPPED, ""
    assert "Interrupted before train" in Reader(laboratory.written(run)[0]).text


def test_a_failed_deployment_says_that_the_model_is_only_registered(laboratory):
    run = laboratory.stopped("deploy", "the serving folder cannot be written\nfix: free the disk")
    run.task("register").parameters = {"version": "2"}
    drawn, report = laboratory.written(run)
    assert "Version 2 is registered but was not deployed." in Reader(drawn).text
    assert report["checks"] == [*EVALUATION["checks"], *INFRA["checks"]]


@pytest.mark.parametrize("at", list(UPSTREAM))
def test_a_run_that_stopped_anywhere_has_a_whole_report(laboratory, at):
    drawn, _ = laboratory.written(laboratory.stopped(at, "no disk\nfix: free some"))
    assert f"Failed in {at}: no disk" in Reader(drawn).text
    assert not_drawn(drawn) == []


def test_a_run_without_any_task_has_a_report(laboratory):
    run = dataclasses.replace(laboratory.run({}, record.FAILED), tasks=[])
    assert "Failed before its end" in Reader(laboratory.written(run)[0]).text


def test_numbers_that_json_does_not_know_become_null(laboratory):
    run = laboratory.run()
    run.parameters["rate"] = float("nan")
    _, report = laboratory.written(run)
    assert report["run"]["parameters"]["rate"] is None


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"checks": [], "blessed": True, "rows": 1, "metrics": {}, "slices": [{"slice": 1}]}, id="partial"),
        pytest.param(EVALUATION | {"curves": {"challenger": {}}}, id="curves without points"),
        pytest.param(EVALUATION | {"slices": [{"auc": 0.7}], "comparison": {"gain": 0.1}}, id="another version's"),
    ],
)
def test_a_summary_of_another_shape_does_not_cost_the_report(laboratory, broken):
    drawn, report = laboratory.written(laboratory.run(with_evaluation(broken)))
    assert "Blessed" in Reader(drawn).text
    assert report["run"]["state"] == "SUCCEEDED"


def test_a_summary_that_is_not_json_is_as_absent(laboratory):
    run = laboratory.run()
    (laboratory.home / "artifacts/flights-training-1/train/model_run/summary.json").write_text("{")
    drawn, report = laboratory.written(run)
    assert "Training" not in Reader(drawn).headings
    assert report["training"] == {}


def test_the_page_stays_small(laboratory):
    many = EVALUATION | {"slices": EVALUATION["slices"] * 100}
    drawn, _ = laboratory.written(laboratory.run(with_evaluation(many)))
    assert len(drawn.encode()) < 500_000


def test_nothing_half_written_is_left(laboratory):
    laboratory.written(laboratory.run())
    names = sorted(path.name for path in laboratory.folder.iterdir())
    assert names == ["model_card.html", "report.html", "report.json"]


def test_the_report_leads_to_the_model_card_with_the_words_that_the_gate_has_read(laboratory):
    words = with_evaluation(EVALUATION | {"statement": {"overview": "Who comes late."}})
    drawn, _ = laboratory.written(laboratory.run(words))
    assert '<a href="model_card.html">model card</a>' in drawn
    assert "Who comes late." in (laboratory.folder / "model_card.html").read_text()
    (laboratory.folder / "model_card.html").unlink()
    drawn, _ = laboratory.written(laboratory.run(with_evaluation({})))
    assert "model card" not in drawn
    assert not (laboratory.folder / "model_card.html").exists()
