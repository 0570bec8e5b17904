"""No text that a user or the data chose becomes an element of the report: pages differ in their texts alone."""

import copy
import functools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from depth import tries
from kfp_ct.report import page
from kfp_ct.report.content import Content
from kfp_ct.report.decision import decide
from kfp_ct.runs.events import State
from planted_names import HOSTILE, TEXTS, Structure, plant
from reporting import (
    ANOMALIES,
    ANOMALY,
    CLASSES,
    EVALUATION,
    INFRA,
    LABELS,
    MANIFEST,
    SKEW,
    SUMMARIES,
    VALUES,
    Laboratory,
    monitoring_report,
)  # fmt: skip

DRIFT = {
    "of": "train against v1", "not_compared": [], "distances": [
        {"feature": "temp", "value": 0.4, "threshold": 0.2, "exceeded": True, "measure": "l_infinity"}],
}  # fmt: skip
PREDICTIONS = {
    "rows": 3000, "nonfinite": 0, "model_version": "3", "predicted_at": "2026-11-23T10:00:00+00:00", "files": 2,
    "columns": {"id": "", "carrier": ""}, "fingerprint": "abc", "outputs": {
        "late": {"count": 3000, "mean": 0.3, "min": 0.0, "max": 1.0, "histogram": [float(n) for n in range(20)]},
        "value": {"count": 3000, "mean": 3.0, "min": None, "max": 9.0, "histogram": []}},
}  # fmt: skip


def evaluated(task, **curves):
    return EVALUATION | {"task": task, "curves": {"challenger": curves, "champion": curves}}


PARTS = {
    "a whole run": {},
    "classes": {"evaluation": evaluated("multiclass", classes=CLASSES)},
    "labels": {"evaluation": evaluated("multilabel", labels=LABELS)},
    "many classes": {"evaluation": evaluated("multiclass", classes=CLASSES | {"matrix": None})},
    "values": {"evaluation": evaluated("regression", **VALUES)},
    "drift": {"anomalies": ANOMALIES | {"drift": DRIFT, "skew": [DRIFT]}},
    "anomalies": {"anomalies": ANOMALIES | {"anomalies": [ANOMALY]}},
    "warned anomalies": {"anomalies": ANOMALIES | {"anomalies": [ANOMALY | {"severity": "warn"}]}},
    "schema": {
        "schema": {
            "schema_file": "s.pbtxt",
            "features": [{"name": "x"}],
            "difference": [{"feature": "x", "aspect": "type", "curated": "int", "inferred": "float"}],
        }
    },
    "predictions": {"predictions": PREDICTIONS, "evaluation": {}},
    "monitoring": {"monitoring": monitoring_report("RETRAIN", [SKEW], [SKEW])},
}


def content_of(parts, text, failed=False):
    summaries = {artifact: found for (_, artifact, _), found in SUMMARIES.items()}
    found = {
        "manifest": MANIFEST, "statistics": summaries["statistics"], "anomalies": ANOMALIES,
        "tuning": summaries["trials"], "training": summaries["model_run"], "evaluation": EVALUATION, "infra": INFRA,
        "deployment": summaries["deployment"], **parts,
    }  # fmt: skip
    return Content(
        run=run_of(text, failed), folder=Path("/nowhere"), **{name: plant(each, text) for name, each in found.items()}
    )


def run_of(text, failed):
    lab = Laboratory(Path("/nowhere"))
    run = lab.run({}) if not failed else lab.stopped("train", f"no disk{text}\n- point{text}\nfix: it{text}", {})
    run.project, run.user, run.cause, run.image = (
        f"{each}{text}" for each in (run.project, run.user, run.cause, run.image)
    )
    run.id, run.pipeline, run.environment = f"{run.id}{text}", f"{run.pipeline}{text}", f"{run.environment}{text}"
    run.commit, run.versions = (
        f"{text}{run.commit}",
        {f"{name}{text}": f"{each}{text}" for name, each in run.versions.items()},
    )
    run.parameters = plant({"values": copy.deepcopy(run.parameters)}, text)["values"]
    names = {task.name: f"{task.name}{text}" for task in run.tasks}
    for task in run.tasks:
        task.name, task.upstream = names[task.name], [names[each] for each in task.upstream]
        task.summary = task.summary and f"{task.summary}{text}"
        task.artifacts = {f"a{text}": {"uri": f"gs://bucket/{text}", "type": f"system.{text}"}}
    run.tasks[0].state, run.tasks[1].state = State.CACHED, State.RUNNING
    return run


def drawn(parts, text, failed=False):
    content = content_of(parts, text, failed)
    return Structure(page.draw(content, decide(content)))


@functools.cache
def plain(name):
    return drawn(PARTS[name], "x").elements


@pytest.mark.parametrize("name", PARTS)
@given(text=TEXTS)
@settings(deadline=None, max_examples=tries(7, 20), suppress_health_check=[HealthCheck.too_slow])
def test_no_name_becomes_markup(name, text):
    planted = drawn(PARTS[name], f"x{text}")
    assert planted.elements == plain(name)
    assert "could not be drawn" not in planted.texts


@pytest.mark.parametrize("text", HOSTILE)
def test_the_message_of_a_failed_step_is_text(text):
    planted = drawn({}, f"x{text}", failed=True)
    assert planted.elements == drawn({}, "x", failed=True).elements
    assert f"no diskx{text}" in planted.texts


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS.keys())
def test_what_was_planted_is_shown_as_it_is(parts):
    assert drawn(parts, "x{{ 7*7 }}").texts.count("x{{ 7*7 }}") > 50


def test_an_element_that_is_not_text_would_be_found():
    assert Structure("<p>a<h1>x</h1></p>").elements != Structure("<p>a</p>").elements
    assert Structure('<p title="a" onload="x">a</p>').elements != Structure('<p title="a">a</p>').elements
