"""Values of inputs as people write them."""

import pytest

from kfp_ct.base.errors import UsageError
from kfp_ct.package import argument_texts

PACKAGE = {
    "root": {
        "inputDefinitions": {
            "parameters": {
                "text": {"parameterType": "STRING"},
                "maybe": {"parameterType": "STRING", "isOptional": True},
                "rate": {"parameterType": "NUMBER_DOUBLE"},
                "on": {"parameterType": "BOOLEAN"},
                "many": {"parameterType": "LIST"},
                "deep": {"parameterType": "STRUCT"},
            }
        }
    }
}


@pytest.mark.parametrize(
    ("written", "name", "value"),
    [
        ("text=5", "text", "5"),
        ("text=null", "text", "null"),
        ("text=a: b\n c  ", "text", "a: b\n c  "),
        ("text='5'", "text", "5"),
        ("text=", "text", ""),
        ("text=x=y", "text", "x=y"),
        ("maybe=null", "maybe", None),
        ('maybe="null"', "maybe", "null"),
        ("rate=0", "rate", 0),
        ("rate=1e-3", "rate", 0.001),
        ("on=true", "on", True),
        ('many=[1, null, "x"]', "many", [1, None, "x"]),
        ('deep={"limit": null}', "deep", {"limit": None}),
        ("unknown=5", "unknown", 5),
    ],
)
def test_a_value_is_read_as_its_input_has_it(written, name, value):
    assert argument_texts.read(PACKAGE, [written]) == {name: value}


@pytest.mark.parametrize("written", ["text", "=5", "many=[1"])
def test_what_is_no_value_is_refused(written):
    with pytest.raises(UsageError, match="--set"):
        argument_texts.read(PACKAGE, [written])
