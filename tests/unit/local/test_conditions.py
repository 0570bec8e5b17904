"""Conditions as kfp's compiler writes them, evaluated on values that may be anything."""

import pytest

from kfp_ct.local.conditions import ConditionError, evaluate

A, B = "inputs.parameter_values['pipelinechannel--a-Output']", "inputs.parameter_values['pipelinechannel--b']"


@pytest.mark.parametrize(
    ("condition", "a", "b", "holds"),
    [
        (f"{A} == 'heads'", "heads", None, True),
        (f"{A} == 'heads'", "it's", None, False),
        (f"{A} != 'true'", "' or true or '", None, True),
        (f"int({A}) > 5", 6, None, True),
        (f"int({A}) > 5", 5.0, None, False),
        (f"{A} == true", True, None, True),
        (f"{A} == {B}", "x", "x", True),
        (f"!({A} == 'x') && {B} <= 0.5", "y", 0.5, True),
        (f"!({A} == 'x') && !({B} == 'y')", "x", "z", False),
        (f"{A} == 'a' || {B} >= -1", "b", -1, True),
        (f"{A} == 'a && !b || true'", "a && !b || true", None, True),
        (f"{A} == 'inputs.parameter_values'", "no", None, False),
        (f"{A} == null", None, None, True),
    ],
)
def test_conditions_hold_or_not(condition, a, b, holds):
    assert evaluate(condition, {"pipelinechannel--a-Output": a, "pipelinechannel--b": b}) is holds


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("inputs.parameter_values['x'] == 1", "there is no value of x"),
        (f"{A} > 1", "'>' not supported"),
        (f"{A} ==", "cannot be evaluated"),
        ("__import__('os')", "is not understood"),
        (f"{A}", "neither true nor false"),
        (f"{A}.upper() == 'X'", "is not understood"),
    ],
)
def test_what_cannot_be_evaluated_is_an_error_and_no_branch(condition, said):
    with pytest.raises(ConditionError) as refused:
        evaluate(condition, {"pipelinechannel--a-Output": "text"})
    assert said in str(refused.value)
