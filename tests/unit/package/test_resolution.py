"""Which values and whose artifacts reach a task, through conditions, loops and graphs in graphs."""

import pytest
from kfp import compiler, dsl

from kfp_ct.package import package
from kfp_ct.package.resolution import Upstream, resolve

IMAGE = "kfp-ct-components-python:local"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def make(text: str, out: dsl.Output[dsl.Dataset], how: str = "by default") -> str:
    return text


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def use(module: str, data: dsl.Input[dsl.Dataset], options: dict = {"a": "default"}) -> bool:  # noqa: B006
    return bool(module)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def note(text: str) -> str:
    return text


@dsl.pipeline(name="inner")
def inner(module: str) -> dsl.Dataset:
    return make(text=module, how="inside").outputs["out"]


@dsl.pipeline(name="outer")
def outer(module: str = "pipelines.p.model", folder: str = "f", options: dict = {}):  # noqa: B006
    first = make(text="constant")
    second = use(module=module, data=first.outputs["out"], options=options).set_caching_options(False)
    with dsl.If(second.outputs["Output"] == True, name="outer condition"):  # noqa: E712
        third = note(text=f"{folder}/query.sql")
        with dsl.If(third.outputs["Output"] == "x", name="inner condition"):
            use(module=module, data=first.outputs["out"]).after(third)
            note(text=first.outputs["Output"]).set_display_name("dynamic")
    with dsl.ParallelFor(["a", "b"]) as item:
        note(text=item)
    graph = inner(module=module)
    note(text="last").after(graph)
    use(module="other.module", data=graph.output)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    path = tmp_path_factory.mktemp("package") / "outer.yaml"
    compiler.Compiler().compile(outer, str(path))
    return package.load_package(path)


def test_constants_inputs_and_defaults_are_known(compiled):
    found = resolve(compiled, {"module": "mine"})
    assert found["make"].parameters["text"] == "constant"
    assert found["use"].parameters == {"module": "mine", "options": {}}
    assert resolve(compiled, {})["use"].parameters["module"] == "pipelines.p.model"


def test_values_reach_into_conditions(compiled):
    inside = resolve(compiled, {"module": "mine"})["use-2"]
    assert inside.parameters == {"module": "mine", "options": {"a": "default"}}
    assert inside.artifacts == {"data": (Upstream("make", "out"),)}
    assert inside.upstream == {"make"}


def test_a_string_is_put_together_where_its_parts_are_known(compiled):
    assert resolve(compiled, {"folder": "here"})["note"].parameters["text"] == "here/query.sql"


def test_outputs_and_items_are_not_known(compiled):
    found = resolve(compiled, {})
    texts = {name: each.unknown.get("text") for name, each in found.items() if name.startswith("note")}
    assert (Upstream("make", "Output"),) in texts.values()  # inside two conditions
    assert () in texts.values()  # a loop's item


def test_a_graph_in_a_graph_is_looked_into(compiled):
    found = resolve(compiled, {"module": "mine"})
    consumer = next(each for each in found.values() if each.parameters.get("module") == "other.module")
    assert [each.output for each in consumer.artifacts["data"]] == ["out"]


def test_caching_and_command_are_the_tasks_own(compiled):
    found = resolve(compiled, {})
    assert found["make"].cached
    assert not found["use"].cached
    assert any("def make(" in text for text in found["make"].command)
