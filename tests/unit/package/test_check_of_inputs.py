"""What a task's inputs come from has to be there: `ct check` says so before a backend's driver does."""

import pytest
import yaml
from kfp import compiler, dsl

from kfp_ct.package import check

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def echo(text: str, other: str = "x") -> str:
    return text


def problems(pipeline, path):
    compiler.Compiler().compile(pipeline, str(path))
    return check.problems(yaml.safe_load(path.read_text()))


def test_an_f_string_over_a_field_of_a_loop_item_is_found(tmp_path):
    @dsl.pipeline(name="field")
    def field():
        with dsl.ParallelFor([{"x": "1"}]) as item:
            echo(text=f"<{item.x}>")

    (found,) = problems(field, tmp_path / "package.yaml")
    assert "root, task for-loop-2, input pipelinechannel--loop-item-param-1-subvar-x: comes from" in found
    assert "which is no input of the DAG around it; fix: hand the item's field x to a component" in found


def test_an_f_string_over_an_item_of_an_outer_loop_is_found(tmp_path):
    @dsl.pipeline(name="nested")
    def nested():
        with dsl.ParallelFor(["a"]) as x, dsl.ParallelFor(["b"]) as y:
            echo(text=f"{x}-{y}")

    found = problems(nested, tmp_path / "package.yaml")
    assert found
    assert all("which is no input of the DAG around it; fix: hand the item to a component" in each for each in found)


def test_fields_and_items_in_other_places_are_taken(tmp_path):
    @dsl.pipeline(name="taken")
    def taken(name: str = "n"):
        with dsl.ParallelFor([{"x": "1"}]) as item:
            echo(text=item.x)
        with dsl.ParallelFor(["a"]) as item:
            echo(text=f"{name} {item}")

    assert problems(taken, tmp_path / "package.yaml") == []
