"""`ct why-not-cached`: its text, its JSON, and what it refuses."""

import json

import pytest

from cli_runner import ct
from kfp_ct.runs import record, task_inputs
from kfp_ct.runs.events import State
from kfp_ct.runs.task_inputs import Lookup, TaskInputs


@pytest.fixture
def home(tmp_path):
    for number, epochs in (("1", 3), ("2", 4)):
        made = record.Run(
            id=f"2026010{number}-000000-aa", project="p", environment="local", pipeline="pipelines.training",
            parameters={}, cause="", commit="", versions={}, user="", process=0, started=record.now(),
            state="SUCCEEDED",
        )  # fmt: skip
        made.tasks = [
            record.Task("ingest", "ingest", [], state=State.CACHED),
            record.Task("train", "train", ["ingest"], state=State.SUCCEEDED),
        ]
        folder = tmp_path / "runs" / made.id
        record.Recorder(made, folder)
        inputs = TaskInputs(Lookup.MISS, key=str(epochs), parameters={"hyperparameters": {"epochs": epochs}})
        task_inputs.write(inputs, folder, "train")
    return tmp_path


def test_every_step_says_why(home):
    done = ct(home, "why-not-cached", "last")
    assert done.code == 0, done.err
    assert done.out == (
        "run 20260102-000000-aa\n"
        "  ingest  served from the cache\n"
        "  train   parameter hyperparameters.epochs: 3 → 4  (compared with 20260101-000000-aa)\n"
    )


def test_one_step_as_json(home):
    done = json.loads(ct(home, "why-not-cached", "20260102", "train", "--json").out)
    assert done["run"] == "20260102-000000-aa"
    (step,) = done["steps"]
    assert step["compared_with"] == "20260101-000000-aa"
    assert step["reasons"] == [
        {
            "kind": "parameter", "name": "hyperparameters.epochs",
            "text": "parameter hyperparameters.epochs: 3 → 4",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "there is no run 'nothing'"),
        (["2026"], "2 runs begin with '2026'"),
        (["last", "tran"], "has no step 'tran'"),
    ],
)
def test_what_is_not_there_is_refused(home, arguments, said):
    done = ct(home, "why-not-cached", *arguments)
    assert done.code == 2
    assert said in done.err
    assert "expected:" in done.err
