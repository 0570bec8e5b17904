"""Substitutions expand, refer to each other, and are missed; that it is as bash does it: tests/system."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_ct.ci.cloudbuild import expansion, substitutions
from kfp_ct.ci.cloudbuild.expansion import ExpansionError, expand

VALUES = {"_A": "europe-west1/app.tar.gz", "_B": "x", "_EMPTY": "", "_UPPER": "AbC"}


@given(st.text("$_AB{}:-/ x", max_size=12))
def test_no_text_breaks_it_and_one_without_a_dollar_stays(text):
    try:
        expanded = expand(text, VALUES)
    except ExpansionError:
        return
    if "$" not in text:
        assert expanded == text


def test_two_dollars_are_one_for_the_shell():
    assert expand("$$HOME $${_A} $_B", VALUES) == "$HOME ${_A} x"
    assert list(expansion.keys("$$HOME ${_NONE:-$_B}")) == ["_NONE", "_B"]


def test_a_missing_value_that_is_demanded_is_an_error():
    with pytest.raises(ExpansionError, match="_NONE has no value: say which"):
        expand("${_NONE:?say which}", VALUES)


def test_values_refer_to_each_other_where_that_is_switched_on():
    tree = {"substitutions": {"_NAME": "app-${_ENV}", "_ENV": "${BRANCH_NAME^^}"}}
    built_in = {"BRANCH_NAME": "dev"}
    assert substitutions.resolve(tree, {}, built_in)["_NAME"] == "app-${_ENV}"
    tree["options"] = {"dynamicSubstitutions": True}
    assert substitutions.resolve(tree, {}, built_in)["_NAME"] == "app-DEV"
    assert substitutions.resolve(tree, {"_ENV": "prod"}, built_in)["_NAME"] == "app-prod"
    tree["substitutions"]["_ENV"] = "$_NAME"
    with pytest.raises(ExpansionError, match="in a circle: _NAME → _ENV → _NAME"):
        substitutions.resolve(tree, {}, built_in)
