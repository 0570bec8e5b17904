"""Which value reaches which parameter, whatever the DAG looks like."""

import importlib
import sys

import pytest

from kfp_ct.package import package, wiring
from kfp_ct.package.wiring import Constant, FromInput

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*base_image:FutureWarning")

COMPONENT = '''
from kfp import dsl


@dsl.component(base_image="image", install_kfp_package=False)
def clean(how: dict, most: int = 3, name: str = "") -> dict:
    """Cleans.

    Args:
        how: How to
            clean.
    """
    from theirs.clean import work

    return work.clean(how)
'''
PIPELINE = """
from kfp import dsl

from theirs.clean.component import clean


@dsl.component(base_image="image", install_kfp_package=False)
def other(x: dict):
    pass


@dsl.pipeline(name="inner")
def inner(manner: dict, most: int = 7):
    clean(how=manner, most=most)


@dsl.pipeline(name="dag")
def dag(cleaning: dict, title: str = "t", names: list = []):
    first = clean(how=cleaning, name=f"{title}-x")
    second = clean(how={"a": 1}, most=9).set_display_name("second")
    third = clean(how=first.output)
    inner(manner=cleaning)
    with dsl.If(title == "t"):
        inner(manner=cleaning, most=5)
        with dsl.ParallelFor(names) as each:
            clean(how=cleaning, name=each)
    other(x=cleaning)
"""


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    folder = tmp_path / "theirs" / "clean"
    folder.mkdir(parents=True)
    (folder / "component.py").write_text(COMPONENT)
    (tmp_path / "dag.py").write_text(PIPELINE)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield package.compile_pipeline("dag", "dag")
    for name in [name for name in sys.modules if name.split(".")[0] in ("theirs", "dag")]:
        del sys.modules[name]


def test_inputs_are_followed_through_nested_and_conditional_dags(compiled):
    found = {task.name: task for task in wiring.tasks(compiled)}
    sources = {name: dict(task.sources) for name, task in found.items()}

    assert sources.pop("clean") == {"how": FromInput("cleaning"), "most": Constant(3.0), "name": None}
    assert sources.pop("clean-2") == {"how": Constant({"a": 1.0}), "most": Constant(9.0), "name": Constant("")}
    assert sources.pop("clean-3") == {"how": None, "most": Constant(3.0), "name": Constant("")}
    assert sources.pop("inner.clean") == {"how": FromInput("cleaning"), "most": Constant(7.0), "name": Constant("")}
    assert sources.pop("other") == {"x": FromInput("cleaning")}
    assert sorted(name.split(".")[0] for name in sources) == ["condition-1", "condition-1"]
    in_condition = list(sources.values())
    assert {"how": FromInput("cleaning"), "most": Constant(3.0), "name": None} in in_condition
    assert {"how": FromInput("cleaning"), "most": Constant(5.0), "name": Constant("")} in in_condition


def test_a_component_is_known_by_where_its_work_is(compiled):
    packages = {task.name: task.package for task in wiring.tasks(compiled)}
    assert packages.pop("other") == ""
    assert set(packages.values()) == {"theirs.clean"}


def test_a_component_describes_its_parameters(compiled):
    (described,) = {task.descriptions["how"] for task in wiring.tasks(compiled) if "how" in task.descriptions}
    assert described == "How to clean."
