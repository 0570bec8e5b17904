"""Why a step ran: what differs from the last run of the pipeline whose result the cache has kept."""

import dataclasses

import pytest

from kfp_ct.runs import record, task_inputs
from kfp_ct.runs.cache_misses import explain, summary
from kfp_ct.runs.events import State
from kfp_ct.runs.task_inputs import Lookup, TaskInputs

FIRST = TaskInputs(
    lookup=Lookup.MISS,
    key="a" * 64,
    interface="i1",
    parameters={"module": "pipelines.p.model", "hyperparameters": {"epochs": 3.0, "rate": 0.1}},
    artifacts={
        "examples": {"uri": "/a/examples", "metadata": {"fingerprint": "f1"}},
        "champion": {"uri": "/m/1", "metadata": {"version": "1"}},
        "schema": {"uri": "/a/schema", "metadata": {}},
    },
    version={
        "code": {"components/train/work.py": "1" * 32},
        "module": {"pipelines/p/model.py": "1" * 32},
        "file": {"pipelines/p/classes.txt": "1" * 32},
        "environment": {"components-current.txt": "1" * 16, "Python": "3.12"},
    },
)


@pytest.fixture
def write(tmp_path):
    """Writes a run of one step, and returns its record."""

    def _write(number, inputs, state=State.SUCCEEDED, component="train", project="p"):
        made = record.Run(
            id=f"2026010{number}-000000-aa", project=project, environment="local", pipeline="pipelines.training",
            parameters={}, cause="", commit="", versions={}, user="", process=0, started=record.now(),
            state="SUCCEEDED",
        )  # fmt: skip
        examples = record.Task("ingest", "ingest", [], state=State.SUCCEEDED)
        examples.artifacts = {"examples": {"uri": inputs.artifacts["examples"]["uri"]}}
        made.tasks = [examples, record.Task("train", component, [], state=state)]
        record.Recorder(made, tmp_path / made.id)
        task_inputs.write(inputs, tmp_path / made.id, "train")
        return made

    return _write


def changed(**fields):
    return dataclasses.replace(FIRST, key="b" * 64, **fields)


def version(kind, **names):
    return {**FIRST.version, kind: {**FIRST.version[kind], **names}}


def artifact(name, **fields):
    return {**FIRST.artifacts, name: {**FIRST.artifacts[name], **fields}}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(changed(version=version("module", **{"pipelines/p/model.py": "2" * 32})),
                     ["module pipelines/p/model.py changed"], id="module"),
        pytest.param(changed(version=version("module", **{"pipelines/p/layers.py": "2" * 32})),
                     ["module pipelines/p/layers.py is new"], id="further module"),
        pytest.param(changed(version={**FIRST.version, "file": {}}),
                     ["file pipelines/p/classes.txt is gone"], id="file"),
        pytest.param(changed(version=version("code", **{"components/train/work.py": "2" * 32})),
                     ["code components/train/work.py changed"], id="code"),
        pytest.param(changed(version=version("environment", **{"components-current.txt": "2" * 16})),
                     ["environment: components-current.txt changed"], id="lock"),
        pytest.param(changed(version=version("environment", Python="3.13")),
                     ["environment: Python 3.12 → 3.13"], id="Python"),
        pytest.param(changed(version=version("environment", **{"package keras": "3.9.0"})),
                     ["environment: package keras is new: 3.9.0"], id="package"),
        pytest.param(changed(interface="i2"), ["the component's interface changed (component.py)"], id="interface"),
        pytest.param(changed(parameters={**FIRST.parameters, "hyperparameters": {"epochs": 4, "rate": 0.1}}),
                     ["parameter hyperparameters.epochs: 3 → 4"], id="parameter"),
        pytest.param(changed(parameters={**FIRST.parameters, "hyperparameters": {"epochs": 3}}),
                     ["parameter hyperparameters.rate: 0.1 → (not set)"], id="parameter taken away"),
        pytest.param(changed(parameters={**FIRST.parameters, "data_version": "x"}),
                     ["the data of the sources changed"], id="data"),
        pytest.param(changed(artifacts=artifact("examples", uri="/b/examples", metadata={"fingerprint": "f2"})),
                     ["input examples: other content (ingest ran again)"], id="content"),
        pytest.param(changed(artifacts=artifact("examples", uri="/b/examples")),
                     ["input examples: the same content, written again (ingest ran again)"], id="same content"),
        pytest.param(changed(artifacts=artifact("champion", uri="/m/2", metadata={"version": "2"})),
                     ["input champion: version 1 → 2"], id="champion"),
        pytest.param(changed(artifacts=artifact("schema", uri="/b/schema")),
                     ["input schema: another artifact"], id="artifact"),
        pytest.param(dataclasses.replace(FIRST, lookup=Lookup.DELETED, deleted="/a/model"),
                     ["the cached artifact was deleted: /a/model"], id="deleted"),
        pytest.param(FIRST, [f"its inputs are the same, but the cache had no entry {'a' * 12} any more"], id="cleared"),
        pytest.param(dataclasses.replace(FIRST, lookup=Lookup.OFF), ["caching is off (--no-cache)"], id="off"),
    ],
)  # fmt: skip
def test_the_difference_is_named(tmp_path, write, now, expected):
    write(1, FIRST)
    account = explain(write(2, now), tmp_path)[1]
    assert [reason.text for reason in account.reasons] == expected
    assert account.ran


def test_several_differences_are_all_named(tmp_path, write):
    write(1, FIRST)
    now = changed(interface="i2", parameters={**FIRST.parameters, "module": "m"})
    assert [reason.kind for reason in explain(write(2, now), tmp_path)[1].reasons] == ["interface", "parameter"]


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ("resolve_champion", "never cached: asks the registry"),
        ("register", "never cached: writes to the registry"),
        ("mine", "never cached: the pipeline says so: set_caching_options(False)"),
    ],
)
def test_what_is_never_cached_says_why(tmp_path, write, component, expected):
    now = dataclasses.replace(FIRST, lookup=Lookup.NEVER, key="")
    assert [each.text for each in explain(write(1, now, component=component), tmp_path)[1].reasons] == [expected]


def test_a_hit_has_no_reasons(tmp_path, write):
    account = explain(write(1, FIRST, State.CACHED), tmp_path)[1]
    assert (account.ran, account.reasons) == (False, ())
    assert summary([account]) == {}


def test_the_newest_run_that_the_cache_has_kept_is_compared_with(tmp_path, write):
    kept = write(1, changed(interface="i0"))
    write(2, changed(interface="i5"), State.FAILED)  # nothing of it was kept
    write(3, dataclasses.replace(FIRST, lookup=Lookup.OFF, key=""))  # nor of this
    write(4, FIRST, project="another")
    write(6, FIRST)  # later
    account = explain(write(5, FIRST), tmp_path)[1]
    assert account.compared_with == kept.id
    assert [reason.kind for reason in account.reasons] == ["interface"]


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.RUNNING])
def test_the_first_run_of_a_step(tmp_path, write, state):
    assert [each.text for each in explain(write(1, FIRST, state), tmp_path)[1].reasons] == ["first run of this step"]


def test_a_run_of_another_age_is_passed_over(tmp_path, write):
    (tmp_path / "20250101-000000-aa").mkdir()
    (tmp_path / "20250101-000000-aa" / "run.json").write_text("{}")
    account = explain(write(1, FIRST), tmp_path)
    assert account[0].reasons[0].text == "this run kept no inputs of its steps"
    assert account[1].reasons[0].kind == "first_run"
