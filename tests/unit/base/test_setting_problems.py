"""Every mistake in settings is one line: its path, what was given, what is allowed."""

from collections.abc import Iterator
from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, BeforeValidator, Field

from kfp_ct.base import setting_problems
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.base.settings import Count, Fraction, Names, Settings, Text, Texts, matching, misfit


def _even(text: str) -> str:
    if len(text) % 2:
        raise misfit("expected a text of even length")
    return text


def _short(value: object) -> object:
    return {"uri": value} if isinstance(value, str) else value


class Circle(Settings):
    kind: Literal["circle"]
    kinds: Names = ()


class Square(Settings):
    kind: Literal["square", "kinds"]
    side: float = Field(gt=0)


class Place(Settings):
    uri: Text


class All(Settings):
    count: Count = 3
    share: Fraction = 0.5
    most: float = Field(1.0, lt=10)
    flag: bool = False
    colour: Literal["", "red", "green"] = ""
    names: Names = ()
    free: Texts = ()
    code: Annotated[str, matching("^[a-z]+$", "lower-case letters")] = "a"
    even: Annotated[str, AfterValidator(_even)] = ""
    limit: float | None = None
    shape: Annotated[Circle | Square, Field(discriminator="kind")] = Circle(kind="circle")
    places: dict[Text, Annotated[Place, BeforeValidator(_short)]] = Field({})
    inner: Place = Place(uri="x")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        if self.flag and not self.names:
            yield "flag", "it needs names"
        if self.flag and self.limit:
            yield "limit", "it does not go with flag"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param({"cuont": 3}, "a.cuont is not a setting: did you mean count?", id="near"),
        pytest.param({"inner": {"uri": "x", "zz": 1}}, "a.inner.zz is not a setting: expected one of uri", id="far"),
        pytest.param({"count": 1.5}, "a.count is 1.5: expected a whole number of 1 or more", id="fraction"),
        pytest.param({"count": True}, "a.count is true: expected a whole number of 1 or more", id="bool"),
        pytest.param({"count": "3"}, 'a.count is "3": expected a whole number of 1 or more', id="text"),
        pytest.param({"share": -1}, "a.share is -1: expected a number from 0 to 1", id="range"),
        pytest.param({"share": float("nan")}, "a.share is NaN: expected a number from 0 to 1", id="nan"),
        pytest.param({"share": float("inf")}, "a.share is Infinity: expected a number from 0 to 1", id="inf"),
        pytest.param({"most": 10}, "a.most is 10: expected a number below 10", id="below"),
        pytest.param({"flag": 1}, "a.flag is 1: expected true or false", id="one for true"),
        pytest.param(
            {"colour": "gren"},
            "a.colour is \"gren\": expected one of '' (empty), red, green; did you mean green?",
            id="choice",
        ),
        pytest.param({"names": "x"}, 'a.names is "x": expected a list of texts that are not empty', id="no list"),
        pytest.param({"names": ["x", ""]}, 'a.names[1] is "": expected a text that is not empty', id="item"),
        pytest.param({"free": [None]}, "a.free[0] is null: expected a text", id="null"),
        pytest.param({"code": "A1"}, 'a.code is "A1": expected lower-case letters', id="pattern"),
        pytest.param({"even": "abc"}, 'a.even is "abc": expected a text of even length', id="own check"),
        pytest.param({"limit": "x"}, 'a.limit is "x": expected a number, or null', id="optional"),
        pytest.param({"shape": 3}, "a.shape is 3: expected an object", id="no object"),
        pytest.param({"shape": {}}, "a.shape.kind is missing: expected one of circle, kinds, square", id="no kind"),
        pytest.param(
            {"shape": {"kind": "sqare"}}, 'a.shape.kind is "sqare": expected one of circle, kinds, square', id="kind"
        ),
        pytest.param({"shape": {"kind": "square"}}, "a.shape.side is missing: expected a number above 0", id="missing"),
        pytest.param(
            {"shape": {"kind": "kinds", "side": 0}}, "a.shape.side is 0: expected a number above 0", id="kinds"
        ),
        pytest.param({"shape": {"kind": "circle", "kinds": 1}}, "a.shape.kinds is 1: expected a list", id="alias"),
        pytest.param({"places": {"": "x"}}, "a.places. cannot be a name: expected a text", id="name"),
        pytest.param({"places": {"b": {"uri": 1}}}, "a.places.b.uri is 1: expected a text", id="entry"),
        pytest.param({"flag": True}, "a.flag: it needs names", id="conflict"),
        pytest.param([], "a is []: expected an object with count, share", id="no object at all"),
    ],
)
def test_a_mistake_is_one_line(value, said):
    (problem,) = setting_problems.problems(All, value, ("a",))
    assert str(problem).startswith(said)
    with pytest.raises(ConfigurationError) as refused:
        setting_problems.read(All, value, "a")
    assert str(refused.value).startswith(said)
    assert "\nfix: " in str(refused.value)


def test_all_mistakes_are_told_at_once_those_between_settings_too():
    wrong = {"flag": True, "limit": 1, "share": 2, "names": [], "code": "A", "x": 1, "shape": {"kind": "square"}}

    assert [str(problem).partition(":")[0] for problem in setting_problems.problems(All, wrong)] == [
        "share is 2", 'code is "A"', "shape.side is missing", "x is not a setting", "flag", "limit",
    ]  # fmt: skip
    with pytest.raises(ConfigurationError, match=r"^a does not fit\n- a.share is 2") as refused:
        setting_problems.read(All, wrong, "a")
    assert len(str(refused.value).splitlines()) == 8


def test_what_kfp_hands_over_is_what_was_written():
    read = setting_problems.read(All, {"count": 5.0, "share": 1, "names": ["x"], "places": {"b": "uri"}}, "a")

    assert repr(read.count) == "5"
    assert repr(read.share) == "1.0"
    assert read.names == ("x",)
    assert read.places == {"b": Place(uri="uri")}


def test_no_message_speaks_pydantics_language():
    wrong = {"count": "x", "names": 3, "shape": {"kind": 1}, "flag": "x", "x": 1, "inner": [], "places": {"": 1}}
    said = "\n".join(map(str, setting_problems.problems(All, wrong)))

    assert len(said.splitlines()) == 8
    for jargon in ("Input", "Extra", "permitted", "valid ", "http", "pydantic", "tuple", "dict", "union"):
        assert jargon not in said
