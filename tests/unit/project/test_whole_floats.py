"""A hyperparameter that the settings write as a float arrives as a float, whatever KFP makes of numbers on the way."""

import json

import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import given
from hypothesis import strategies as st
from kfp.pipeline_spec import pipeline_spec_pb2

from kfp_ct.data import whole_floats
from kfp_ct.package import package
from kfp_ct.project import settings
from kfp_ct.project import workspace as project

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.integers(0, 9).map(float)
NUMBERS = st.integers(-(2**53), 2**53) | FLOATS
VALUES = st.recursive(
    NUMBERS | st.booleans() | st.text(max_size=3) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def through_python(values):
    """As kfp.local hands a dict on: every number a float."""
    return json_format.MessageToDict(json_format.ParseDict(values, struct_pb2.Struct()))


def through_go(values):
    """As a backend's launcher writes it: whole numbers without a point."""

    def number(text):
        return int(float(text)) if float(text).is_integer() else float(text)

    return json.loads(json.dumps(through_python(values)), parse_float=number)


@pytest.mark.parametrize("through", [through_python, through_go])
@given(values=st.dictionaries(st.text(max_size=4), VALUES, max_size=4))
def test_every_number_keeps_its_type(through, values):
    values.pop(whole_floats.MARKS, None)
    assert repr(sorted_keys(whole_floats.restored(through(whole_floats.marked(values))))) == repr(sorted_keys(values))


def sorted_keys(value):
    """Struct keeps no order; -0.0 and 0.0 are one number to a backend that writes whole numbers without a point."""
    if isinstance(value, dict):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [sorted_keys(each) for each in value]
    return value + 0.0 if isinstance(value, float) else value


def test_only_whole_floats_are_marked():
    assert whole_floats.marked({"epochs": 3, "rate": 0.5}) == {"epochs": 3, "rate": 0.5}
    marked = whole_floats.marked({"epochs": 3, "rate": 1.0, "layers": [{"l2": 2.0}, 5]})
    assert marked["whole_floats"] == {"rate": True, "layers": {"0": {"l2": True}}}


@pytest.mark.parametrize(("text", "kind"), [("1.0", float), ("1", int), ("1e0", float), ("0.5", float)])
def test_from_the_command_line_through_a_package_to_the_module(text, kind):
    name, value = settings.parse_override(f"hyperparameters.learning_rate={text}")
    loaded = settings.load(project.find_workspace(), "flights", "local", {name: value, "hyperparameters.epochs": 3})
    compiled = package.with_defaults(
        package.compile_pipeline("pipelines.training", "flights-training"),
        {"hyperparameters": loaded.parameters["hyperparameters"]},
    )
    message = json_format.ParseDict(compiled, pipeline_spec_pb2.PipelineSpec())
    arrived = json_format.MessageToDict(message.root.input_definitions.parameters["hyperparameters"].default_value)
    restored = whole_floats.restored(arrived)

    assert type(restored["learning_rate"]) is kind
    assert type(restored["epochs"]) is int
    assert "whole_floats" not in restored
