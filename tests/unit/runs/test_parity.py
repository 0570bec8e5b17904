"""What counts as a difference between two runs, and what does not."""

import dataclasses

import pytest

from kfp_ct.runs import parity, record, run_facts
from kfp_ct.runs.run_facts import RunFacts, StepFacts

HERE = RunFacts(
    "one", "this machine", "SUCCEEDED",
    {
        "hyperparameters": {"epochs": 2}, "serving_root": "/srv", "code_version": "a", "data_version": "d1",
        "sources": {"t": {"uri": "/data/t.csv"}}, "lineage": {"run": "one"},
    },
    {
        "resolve-sources": StepFacts("SUCCEEDED", {"Output": "d1"}),
        "ingest": StepFacts("CACHED", artifacts={"examples": {"fingerprint": "f", "rows": {"train": 10}}}),
        "evaluate": StepFacts(
            "SUCCEEDED", {"Output": True}, {}, {"auc": 0.7, "p99_ms": 3.0, "rows_per_s": 9.0}, {"auc": True}
        ),
        "tune": StepFacts("SKIPPED"),
    },
    {"image": "a"},
)  # fmt: skip
THERE = dataclasses.replace(
    HERE,
    run="two",
    where="Vertex AI",
    parameters={
        "hyperparameters": {"epochs": 2.0}, "serving_root": "gs://b/s", "code_version": "b", "data_version": "d2",
        "sources": {"t": {"uri": "gs://b/t.csv"}}, "lineage": {"run": "two"},
    },
    steps={
        "resolve-sources": StepFacts("SUCCEEDED", {"Output": "d2"}),
        "ingest": StepFacts("SUCCEEDED", artifacts={"examples": {"fingerprint": "f", "rows": {"train": 10.0}}}),
        "evaluate": StepFacts(
            "SUCCEEDED", {"Output": True}, {}, {"auc": 0.7, "p99_ms": 9.0, "rows_per_s": 3.0}, {"auc": True}
        ),
    },
    versions={"image": "b"},
)  # fmt: skip


def changed(step: str, **fields) -> RunFacts:
    return dataclasses.replace(THERE, steps={**THERE.steps, step: dataclasses.replace(THERE.steps[step], **fields)})


def deciding(second: RunFacts, tolerance: float = 0.0) -> dict[str, tuple]:
    found = parity.compare(HERE, second, tolerance)
    assert found.same is not any(each.decides for each in found.differences)
    return {f"{each.section} {each.name}": (each.first, each.second) for each in found.differences if each.decides}


def test_the_same_run_elsewhere_is_the_same_and_says_what_else_it_is():
    found = parity.compare(HERE, THERE)
    assert found.same
    assert {f"{each.section} {each.name}" for each in found.differences} == {
        "places serving_root", "places data_version", "places sources.t.uri", "places resolve-sources Output",
        "versions code_version", "versions lineage.run", "versions image", "states ingest", "machine evaluate p99_ms",
        "machine evaluate rows_per_s",
    }  # fmt: skip
    assert found.compared == 5, "fingerprint, rows, verdict, metric, gate"


@pytest.mark.parametrize(
    ("second", "differs"),
    [
        (dataclasses.replace(THERE, parameters={**THERE.parameters, "hyperparameters": {"epochs": 3}}),
         {"inputs hyperparameters.epochs": (2, 3)}),
        (changed("ingest", artifacts={"examples": {"fingerprint": "g", "rows": {"train": 10}}}),
         {"data ingest examples.fingerprint": ("f", "g")}),
        (changed("evaluate", metrics={"auc": 0.71}), {"metrics evaluate auc": (0.7, 0.71)}),
        (changed("evaluate", metrics={}), {"metrics evaluate auc": (0.7, None)}),
        (changed("evaluate", outputs={"Output": False}), {"outputs evaluate Output": (True, False)}),
        (changed("evaluate", checks={"auc": False}), {"gates evaluate auc": (True, False)}),
        (changed("evaluate", state="FAILED"), {"steps evaluate": ("done", "failed")}),
        (dataclasses.replace(THERE, state="FAILED"), {"steps the run": ("SUCCEEDED", "FAILED")}),
    ],
    ids=["input", "data", "metric", "missing metric", "verdict", "gate", "step", "run"],
)  # fmt: skip
def test_what_a_run_came_to_decides(second, differs):
    assert deciding(second) == differs


def test_numbers_may_be_apart_by_the_tolerance_and_a_verdict_never_is():
    assert deciding(changed("evaluate", metrics={"auc": 0.7004}), tolerance=0.001) == {}
    assert deciding(changed("evaluate", outputs={"Output": False}), tolerance=1.0) != {}
    assert deciding(changed("evaluate", metrics={"auc": float("nan")}), tolerance=1.0) != {}


def test_a_step_of_one_side_only_is_a_difference_with_all_it_made():
    steps = {name: each for name, each in THERE.steps.items() if name != "ingest"}
    found = deciding(dataclasses.replace(THERE, steps=steps))
    assert found["steps ingest"] == ("done", None)
    assert found["data ingest examples.fingerprint"] == ("f", None)


def test_what_a_place_does_not_tell_is_no_difference_but_nothing_compared_is_not_the_same():
    bare = {name: StepFacts("SUCCEEDED") for name in THERE.steps}
    silent = frozenset({"data", "outputs", "metrics", "gates"})
    found = parity.compare(HERE, dataclasses.replace(THERE, steps=bare, partial=silent, not_told=("artifacts",)))
    assert not any(each.decides for each in found.differences)
    assert (found.compared, found.same) == (0, False)
    assert found.not_told == ("Vertex AI two: artifacts",)


def test_a_record_whose_gates_cannot_be_read_says_so():
    task = record.Task("evaluate", "evaluate", [], "SUCCEEDED")
    task.artifacts = {"evaluation": {"uri": "/no/such/folder", "type": "system.Artifact", "metadata": {}}}
    run = record.Run("r", "p", "local", "m", {}, "", "", {}, "", 0, "", state="SUCCEEDED", tasks=[task])
    found = run_facts.of_record(run, "here")
    assert found.not_told == ("the gates' decisions: there is no /no/such/folder/summary.json",)
    assert found.partial == {"gates"}
