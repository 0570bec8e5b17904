"""The report says why steps ran, as `ct why-not-cached` does."""

import dataclasses

import pytest

from kfp_ct.runs import record, task_inputs
from kfp_ct.runs.events import State
from kfp_ct.runs.task_inputs import Lookup, TaskInputs
from reporting import Laboratory

BEFORE = TaskInputs(Lookup.MISS, key="a", version={"module": {"pipelines/flights/<model>.py": "1"}})


@pytest.fixture
def laboratory(tmp_path):
    return Laboratory(tmp_path)


def written(laboratory, now):
    run = laboratory.run()
    run.task("ingest").state = State.CACHED
    earlier = dataclasses.replace(run, id="20261122-100000-abcd")
    record.Recorder(earlier, laboratory.folder.with_name(earlier.id))
    task_inputs.write(BEFORE, laboratory.folder.with_name(earlier.id), "train")
    task_inputs.write(now, laboratory.folder, "train")
    return laboratory.written(run)


def test_what_differs_is_on_the_page_and_in_the_json(laboratory):
    now = dataclasses.replace(BEFORE, key="b", version={"module": {"pipelines/flights/<model>.py": "2"}})
    page, account = written(laboratory, now)
    assert "Why steps ran" in page
    assert "module pipelines/flights/&lt;model&gt;.py changed" in page
    assert account["cache"]["train"] == {
        "compared_with": "20261122-100000-abcd",
        "reasons": [
            {
                "kind": "module", "name": "pipelines/flights/<model>.py",
                "text": "module pipelines/flights/<model>.py changed",
            }
        ],
    }  # fmt: skip
    assert "ingest" not in account["cache"]


def test_where_nothing_could_have_been_cached_there_is_nothing_to_say(laboratory):
    page, account = laboratory.written(laboratory.run())
    assert "Why steps ran" not in page
    assert account["cache"]["train"]["reasons"][0]["kind"] == "no_inputs"
