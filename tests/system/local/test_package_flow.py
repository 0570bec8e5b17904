"""`ct run FILE`: what runs, what is skipped and what comes out, as KFP defines it and plain kfp.local does it."""

# ruff: noqa: B006, UP006, UP014, UP035 - kfp reads these annotations and defaults itself
import json
from typing import List, NamedTuple

import pytest
from kfp import dsl

import any_packages
from any_packages import component, states

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@component
def say(text: str) -> str:
    return text


@component
def fail_if(text: str, bad: str) -> str:
    if text == bad:
        raise ValueError(f"{text} is bad")
    return text


@component
def twice(number: int) -> int:
    return 2 * number


@component
def numbers(count: int) -> list:
    return list(range(count))


@component
def total(numbers: list) -> float:
    return float(sum(numbers))


@component
def write(text: str, out: dsl.Output[dsl.Dataset]):
    with open(out.path, "w") as file:
        file.write(text)


@component
def read(given: dsl.Input[dsl.Dataset]) -> str:
    return open(given.path).read()


@component
def read_all(several: dsl.Input[List[dsl.Dataset]]) -> str:
    return ",".join(open(each.path).read() for each in several)


@component
def status(told: dsl.PipelineTaskFinalStatus) -> str:
    return f"{told.pipeline_task_name} {told.state} {told.error_message or ''}"


@component
def flaky(marker: str) -> str:
    import pathlib

    file = pathlib.Path(marker)
    tries = len(file.read_text()) if file.exists() else 0
    file.write_text("x" * (tries + 1))
    if tries < 2:
        raise RuntimeError(f"try {tries}")
    return f"after {tries}"


@dsl.pipeline(name="loops")
def loops(names: list = ["a", "b", "c"], count: int = 4) -> NamedTuple(
    "Outputs", [("sum", float), ("texts", str), ("nested", float)]
):
    with dsl.ParallelFor(numbers(count=count).output, parallelism=2) as number:
        doubled = twice(number=number)
    summed = total(numbers=dsl.Collected(doubled.output))
    with dsl.ParallelFor(names) as name:
        written = write(text=name)
        read(given=written.outputs["out"])
    joined = read_all(several=dsl.Collected(written.outputs["out"]))
    with dsl.ParallelFor([{"x": 1, "y": 5}, {"x": 2, "y": 6}]) as pair:
        twice(number=pair.y)
        with dsl.ParallelFor([10, 20]) as factor:
            twice(number=factor)
        last = twice(number=pair.x)
    outputs = NamedTuple("Outputs", [("sum", float), ("texts", str), ("nested", float)])
    return outputs(summed.output, joined.output, total(numbers=dsl.Collected(last.output)).output)


@dsl.pipeline(name="branches")
def branches(text: str = "it's", number: int = 3, rate: float = 0.5) -> str:
    first = say(text=text)
    with dsl.If(first.output == "heads"):
        heads = say(text="H")
    with dsl.Elif(number > 5):
        many = say(text="M")
    with dsl.Else():
        neither = say(text="N")
    chosen = dsl.OneOf(heads.output, many.output, neither.output)
    with dsl.If(rate <= 0.5, name="low rate"):
        say(text="low")
    return say(text=chosen).output


@dsl.pipeline(name="inner")
def inner(text: str) -> str:
    return say(text=f"<{say(text=text).output}>").output


@dsl.pipeline(name="say")
def used_twice(text: str = "t") -> str:
    return inner(text=f"{inner(text=text).output}+").output


@dsl.pipeline(name="handled")
def handled(bad: str = "none"):
    end = status()
    with dsl.ExitHandler(end, name="body"):
        first = fail_if(text="first", bad=bad)
        fail_if(text="second", bad=bad).after(first)


@dsl.pipeline(name="patient")
def patient(marker: str, bad: str = "one") -> str:
    failed = fail_if(text="one", bad=bad)
    say(text=failed.output)
    say(text="apart")
    last = say(text="whatever came").after(failed).ignore_upstream_failure()
    say(text=flaky(marker=marker).set_retry(num_retries=3, backoff_duration="0s").output)
    return last.output


@pytest.fixture
def run(tmp_path):
    def _run(pipeline, **arguments):
        file = any_packages.compiled(pipeline, tmp_path / f"{pipeline.name}.yaml")
        (tmp_path / "arguments.json").write_text(json.dumps(arguments))
        done, record = any_packages.run(tmp_path / "home", file, "--arguments", str(tmp_path / "arguments.json"))
        plain = any_packages.plain_kfp_local(tmp_path / "plain", file, **arguments)
        return done, record, plain

    return _run


def test_loops_run_every_item_and_collect_in_order(run):
    done, record, plain = run(loops)
    assert done.code == 0, done.err
    assert record["outputs"] == {"sum": 12.0, "texts": "a,b,c", "nested": 6.0}
    assert plain == {"state": "SUCCEEDED", "outputs": record["outputs"]}
    names = set(states(record))
    assert {"twice.0", "twice.3", "write.2", "twice-2.1", "twice-3.0.0", "twice-3.1.1", "twice-4.1"} <= names
    assert "twice.4" not in names
    assert set(states(record).values()) == {"SUCCEEDED"}


def test_a_loop_over_nothing_collects_nothing(run):
    """kfp.local fails here: it has no output to collect."""
    done, record, _ = run(loops, count=0)
    assert done.code == 0, done.err
    assert record["outputs"]["sum"] == 0.0
    assert states(record)["twice"] == "SKIPPED"


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [
        ({"text": "heads"}, "H"),
        ({"text": "it's", "number": 6}, "M"),
        ({"text": "it's && 'true' == inputs.parameter_values['x']", "number": 5}, "N"),
    ],
    ids=["if", "elif", "else"],
)
def test_one_branch_is_taken(run, arguments, outcome):
    """A text with an apostrophe makes kfp.local skip every branch, and fail; a value is never part of a condition."""
    done, record, _ = run(branches, rate=0.75, **arguments)
    assert done.code == 0, done.err
    assert record["outputs"] == {"Output": outcome}
    assert sorted(states(record).values()) == ["SKIPPED"] * 3 + ["SUCCEEDED"] * 3


def test_a_nested_pipeline_is_used_twice(run):
    done, record, plain = run(used_twice)
    assert done.code == 0, done.err
    assert record["outputs"] == {"Output": "<<t>+>"}
    assert set(states(record)) == {"inner.say", "inner.say-2", "inner-2.say", "inner-2.say-2"}
    assert plain["state"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("bad", "code", "told", "others"),
    [
        ("none", 0, "exit-handler-1 SUCCEEDED ", {"fail-if": "SUCCEEDED", "fail-if-2": "SUCCEEDED"}),
        ("first", 4, "exit-handler-1 FAILED ValueError: first is bad", {"fail-if": "FAILED", "fail-if-2": "SKIPPED"}),
    ],
)
def test_an_exit_handler_runs_and_hears_how_it_went(run, bad, code, told, others):
    done, record, plain = run(handled, bad=bad)
    assert (done.code, record["state"]) == (code, plain["state"])
    assert states(record) == {"status": "SUCCEEDED", **others}
    (said,) = [task["parameters"]["Output"] for task in record["tasks"] if task["name"] == "status"]
    assert said.startswith(told)


def test_a_failure_is_a_failure_and_what_does_not_wait_for_it_runs(run, tmp_path):
    done, record, plain = run(patient, marker=str(tmp_path / "tries"))
    assert (done.code, record["state"], plain["state"]) == (4, "FAILED", "FAILED")
    assert states(record) == {
        "fail-if": "FAILED", "say": "SKIPPED", "say-2": "SUCCEEDED", "say-3": "SUCCEEDED", "flaky": "SUCCEEDED",
        "say-4": "SUCCEEDED",
    }  # fmt: skip
    assert "FAILED in fail-if: ValueError: one is bad" in done.err


def test_retries_are_tried_until_one_goes_well(run, tmp_path):
    done, record, _ = run(patient, marker=str(tmp_path / "tries"), bad="none")
    assert done.code == 0, done.err
    assert record["outputs"] == {"Output": "whatever came"}


@dsl.component(base_image=any_packages.IMAGE, install_kfp_package=False)
def count(given: dsl.Input[dsl.Dataset]) -> str:
    return f"{len(open(given.path).read())} letters, {given.metadata['of']}"


@dsl.pipeline(name="imported")
def imported(uri: str, name: str = "us") -> str:
    data = dsl.importer(artifact_uri=uri, artifact_class=dsl.Dataset, metadata={"of": name}).output
    return count(given=data).output


def test_an_importer_hands_over_what_is_there(run, tmp_path):
    (tmp_path / "data.txt").write_text("seven !")
    done, record, _ = run(imported, uri=str(tmp_path / "data.txt"))
    assert done.code == 0, done.err
    assert record["outputs"] == {"Output": "7 letters, us"}


@dsl.pipeline(name="limited")
def limited(limit: str = "1", name: str = "Ada") -> str:
    return say(text=f"Hello {name}!").set_cpu_limit(limit).set_env_variable("A", "b").output


def test_resources_by_parameter_and_texts_made_of_values(run):
    done, record, plain = run(limited)
    assert done.code == 0, done.err
    assert record["outputs"] == plain["outputs"] == {"Output": "Hello Ada!"}
