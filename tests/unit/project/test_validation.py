"""Any value of any setting is accepted or refused by its path, and what is accepted the task accepts too."""

import copy
import functools
import importlib
import sys

import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_ct.base import setting_problems
from kfp_ct.base.errors import UsageError
from kfp_ct.base.settings import Settings
from kfp_ct.package import package, wiring
from kfp_ct.project import settings as project_settings
from kfp_ct.project import validation
from kfp_ct.project import workspace as project

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*base_image:FutureWarning")
SHIPPED = {"training": "local", "batch_prediction": "batch_prediction-local", "monitoring": "monitoring-local"}


@functools.cache
def shipped(pipeline):
    compiled = package.compile_pipeline(f"pipelines.{pipeline}", "p")
    chosen = project_settings.load(project.find_workspace(), "flights", SHIPPED[pipeline], {})
    return compiled, chosen.parameters


NUMBERS = st.integers() | st.floats() | st.sampled_from([0, 1, -1, 0.5, 95, 1e300, 10**400])
TEXTS = st.text() | st.sampled_from(["", "late", "last 3 days", "2013-06-01T00:00:00Z", "1 month", "docker:x", "\0"])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


def places(value, path=()):
    """The path of a setting and of all settings in it, as shipped or as its description has them."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from places(inner, (*path, key))


def all_places(pipeline):
    compiled, parameters = shipped(pipeline)
    found = {place for place in places(parameters) if place}
    for task in wiring.tasks(compiled):
        model = validation.described(task.package)
        for name, field in model.model_fields.items() if model else ():
            source = task.sources.get(name)
            inner = field.annotation
            if isinstance(source, wiring.FromInput) and isinstance(inner, type) and issubclass(inner, Settings):
                found |= {(source.name, each) for each in inner.model_fields}
    return sorted(found)


def replaced(value, path, new):
    if not path:
        return new
    base = dict(value) if isinstance(value, dict) else {}
    return {**base, path[0]: replaced(base.get(path[0]), path[1:], new)}


def handed_over(value):
    """As a task gets it: KFP carries values as protobuf's, numbers as doubles."""
    return json_format.MessageToDict(json_format.ParseDict({"v": value}, struct_pb2.Struct()))["v"]


@pytest.mark.parametrize("pipeline", SHIPPED)
def test_shipped_settings_have_no_problem(pipeline):
    assert validation.problems(*shipped(pipeline)) == []


def test_a_name_with_a_line_break_is_shown_on_one_line():
    compiled, parameters = shipped("training")

    (problem,) = validation.problems(compiled, {**parameters, "gates": {"\n": 1}})

    assert str(problem).startswith('gates."\\n" is not a setting')


@pytest.mark.parametrize("pipeline", SHIPPED)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_value_is_accepted_or_refused_by_its_path(pipeline, data):
    compiled, parameters = shipped(pipeline)
    path = data.draw(st.sampled_from(all_places(pipeline)))
    changed = replaced(parameters, path, data.draw(JSON))

    found = validation.problems(compiled, changed)

    names = {problem.path[0] for problem in found}
    # Settings may only be wrong together: then another is to blame.
    others = {"window_end": {"window_start"}, "ingest_options": {"query", "sources"}}
    assert names <= {path[0], *others.get(path[0], ())}
    for problem in found:
        assert "\n" not in str(problem)
    if not found:
        typed = package.typed(compiled, {**package.defaults(compiled), **changed})
        for task in wiring.tasks(compiled):
            read_as_the_task_does(task, typed)


def read_as_the_task_does(task, values):
    model = validation.described(task.package)
    given = {name: value for name, value in validation.known(task, values).items() if name in model.model_fields}
    for name, value in given.items():
        kind = model.model_fields[name].annotation
        whole = isinstance(value, int) and not isinstance(value, bool)
        setting_problems.read(kind, value if whole else handed_over(value), name)


def test_the_pipelines_own_values_are_checked_too():
    compiled, parameters = shipped("batch_prediction")
    changed = copy.deepcopy(compiled)
    ingest = changed["root"]["dag"]["tasks"]["ingest"]["inputs"]["parameters"]
    ingest["split"]["runtimeValue"]["constant"]["method"] = "nine"

    (problem,) = validation.problems(changed, parameters)

    assert str(problem).startswith('ingest(split).method is "nine": expected one of column, group')


COMPONENT = """
from kfp import dsl


@dsl.component(base_image="image", install_kfp_package=False)
def clean(how: dict, name: str = ""):
    from theirs.clean import work

    work.clean(how)
"""
DESCRIBED = """
from kfp_ct.base.settings import Count, Settings


class How(Settings):
    passes: Count = 1


class Parameters(Settings):
    how: How
"""
PIPELINE = """
from kfp import dsl
from kfp_ct.components.resolve_model.component import resolve_model
from theirs.clean.component import clean


@dsl.pipeline(name="mine")
def mine(cleaning: dict, store: str, called: str = "taxi"):
    clean(how=cleaning, name=called)
    resolve_model(registry_uri=store, model_name=called)
"""


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """A repository with a pipeline and a component of its own, whose settings.py is to be written."""
    folder = tmp_path / "theirs" / "clean"
    folder.mkdir(parents=True)
    (folder / "component.py").write_text(COMPONENT)
    (tmp_path / "mine.py").write_text(PIPELINE)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] in ("theirs", "mine")]:
        del sys.modules[name]


def test_a_pipeline_and_a_component_of_ones_own_are_checked_alike(theirs):
    (theirs / "settings.py").write_text(DESCRIBED)
    compiled = package.compile_pipeline("mine", "mine")

    assert validation.problems(compiled, {"cleaning": {"passes": 2.0}, "store": "sqlite:///a.db"}) == []
    wrong = {"cleaning": {"pases": 1}, "store": "databricks", "called": "../x", "sore": ""}
    assert [str(problem).partition(":")[0] for problem in validation.problems(compiled, wrong)] == [
        "sore", "cleaning.pases is not a setting", 'store is "databricks"', 'called is "../x"',
    ]  # fmt: skip


def test_a_component_without_a_description_is_checked_by_its_types(theirs):
    compiled = package.compile_pipeline("mine", "mine")
    assert validation.problems(compiled, {"cleaning": {"any": 1}, "store": "sqlite:///a.db"}) == []


@pytest.mark.parametrize("text", ["import tensorflow", "class Parameters(", "1 / 0"])
def test_a_description_that_cannot_be_read_is_one_message(theirs, text):
    (theirs / "settings.py").write_text(text)
    compiled = package.compile_pipeline("mine", "mine")
    with pytest.raises(UsageError, match=r"theirs.clean.settings cannot be imported"):
        validation.problems(compiled, {"cleaning": {}, "store": "sqlite:///a.db"})
