"""`ct run FILE`: the values of a package's inputs arrive as they were given."""

# ruff: noqa: B006, UP014, UP045 - kfp reads these annotations and defaults itself
import json
from typing import NamedTuple, Optional

import pytest
from kfp import dsl

import any_packages

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@any_packages.component
def show(
    text: str, rate: float, count: int, limits: dict, names: list, flag: bool, maybe: Optional[str] = None
) -> NamedTuple("Several", [("text", str), ("seen", str)]):
    return text, repr((rate, count, limits, names, flag, maybe))


@any_packages.component
def length(text: str) -> int:
    return len(text)


@any_packages.component
def long(count: int) -> str:
    return "x" * count


@dsl.pipeline(name="values")
def values(
    text: str = "a {{$}} b",
    rate: float = 0.5,
    count: int = 1,
    limits: dict = {"limit": 1.5},
    names: list = [],
    flag: bool = True,
    maybe: Optional[str] = None,
    size: int = 10,
) -> NamedTuple("Outputs", [("text", str), ("seen", str), ("length", int), ("made", int)]):
    shown = show(text=text, rate=rate, count=count, limits=limits, names=names, flag=flag, maybe=maybe)
    outputs = NamedTuple("Outputs", [("text", str), ("seen", str), ("length", int), ("made", int)])
    made = length(text=long(count=size).output)
    return outputs(shown.outputs["text"], shown.outputs["seen"], length(text=text).output, made.output)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return any_packages.compiled(values, tmp_path_factory.mktemp("package") / "values.yaml")


def outputs_of(tmp_path, package, *options):
    done, record = any_packages.run(tmp_path / "home", package, *options)
    assert (done.code, record["state"]) == (0, "SUCCEEDED"), done.err
    return record["outputs"]


def test_defaults_arrive_as_they_were_compiled(tmp_path, package):
    found = outputs_of(tmp_path, package)
    assert found["text"] == "a {{$}} b"
    assert found["seen"] == repr((0.5, 1, {"limit": 1.5}, [], True, None))


def test_what_is_given_arrives_whole_numbers_and_null_among_it(tmp_path, package):
    options = ["rate=0", "count=5.0", 'limits={"limit": null, "on": false}', "names=[1.5, null, 'x']", "flag=false"]
    given = [part for each in options for part in ("--set", each)]
    found = outputs_of(tmp_path, package, *given, "--set", "maybe=null", "--set", "text=a {{$.inputs}} python3\n b: c ")
    assert found["text"] == "a {{$.inputs}} python3\n b: c "
    assert found["seen"] == repr((0.0, 5, {"limit": None, "on": False}, [1.5, None, "x"], False, None))


def test_an_optional_input_takes_a_text(tmp_path, package):
    assert outputs_of(tmp_path, package, "--set", "maybe=null and void")["seen"].endswith("'null and void')")


def test_a_text_of_a_megabyte_arrives_from_a_file_and_from_a_task(tmp_path, package):
    (tmp_path / "arguments.json").write_text(json.dumps({"text": "ä" * 1_000_000, "size": 150_000}))
    found = outputs_of(tmp_path, package, "--arguments", str(tmp_path / "arguments.json"))
    assert found["text"] == "ä" * 1_000_000
    assert (found["length"], found["made"]) == (1_000_000, 150_000)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(["--set", "rate=much"], 'rate is "much": expected a number', id="type"),
        pytest.param(["--set", "count=0.5"], "count is 0.5: expected a whole number", id="fraction"),
        pytest.param(["--set", "tet=x"], "the pipeline has no such input; did you mean text", id="unknown"),
        pytest.param(["--set", "limits={"], "the value is not YAML", id="yaml"),
        pytest.param(["--set", "nothing"], "expected: --set NAME=VALUE", id="no-value"),
        pytest.param(["--window-end", "2013-01-01"], "--window-end is for projects", id="window"),
        pytest.param(["--arguments", "/nowhere.json"], "/nowhere.json cannot be read", id="file"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(tmp_path, package, options, said):
    done, record = any_packages.run(tmp_path / "home", package, *options)
    assert done.code == 2
    assert record == {}
    assert said in done.err
