"""The forms that start runs and schedules: what is typed is what is given, and defaults stay the pipeline's."""

import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import endpoint_home
from kfp_ct.endpoint.store import folders, store_recurring, store_runs
from kfp_ct.endpoint.ui import input_fields, response
from kfp_ct.endpoint.ui.addresses import is_web_address, url
from kfp_ct.endpoint.ui.input_fields import PREFIX, Field
from kfp_ct.endpoint.ui.package_inputs import Input
from kfp_ct.endpoint.ui.response import every, span

TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\0"), max_size=60)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(st.none() | st.booleans() | NUMBERS | TEXTS, lambda each: st.lists(each, max_size=3), max_leaves=5)


@pytest.fixture
def home(tmp_path):
    made = endpoint_home.make(tmp_path)
    yield made
    made.database.close()


def sent(text: str) -> str:
    """A field's text as a browser sends it: lines end with both."""
    return text.replace("\n", "\r\n")


@given(st.sampled_from(["STRING", "LIST", "STRUCT", "NUMBER_DOUBLE"]), st.data())
def test_an_input_left_at_its_default_stays_the_pipelines(kind, data):
    values = {"STRING": TEXTS, "LIST": st.lists(JSON), "STRUCT": st.dictionaries(TEXTS, JSON), "NUMBER_DOUBLE": NUMBERS}
    each = Input("x", kind, "", required=False, default=data.draw(values[kind]))
    assert input_fields.read([each], {PREFIX + "x": sent(input_fields.default_text(each))}) == ({}, {})


@given(st.sampled_from(["STRING", "LIST", "STRUCT", "NUMBER_INTEGER", "BOOLEAN"]), st.data())
def test_a_value_that_stands_in_a_field_is_read_as_it_was(kind, data):
    values = {
        "STRING": TEXTS.filter(str.strip), "LIST": st.lists(JSON), "STRUCT": st.dictionaries(TEXTS, JSON),
        "NUMBER_INTEGER": st.integers(), "BOOLEAN": st.booleans(),
    }  # fmt: skip
    value = data.draw(values[kind])
    form = {PREFIX + "x": sent(input_fields.as_text(value))}
    assert input_fields.read([Input("x", kind, "", required=True, default=None)], form) == ({"x": value}, {})


@settings(deadline=None)
@given(TEXTS, TEXTS, st.sampled_from(["line", "text"]))
def test_a_field_holds_any_name_and_any_value(name, value, control):
    template = response.environment().from_string('{% from "fields.html" import field %}{{ field(each, "id") }}')
    shown = template.render(each=Field(PREFIX + name, name, value, control=control))
    assert html.unescape(re.search(r' name="([^"]*)"', shown)[1]) == PREFIX + name
    found = re.search(r' value="([^"]*)"' if control == "line" else r">\n([^<]*)</textarea>", shown)[1]
    assert html.unescape(found) == value


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        ("NUMBER_INTEGER", "many", "Not a whole number"),
        ("NUMBER_INTEGER", "1.5", "Not a whole number"),
        ("NUMBER_INTEGER", "true", "Not a whole number"),
        ("NUMBER_DOUBLE", "NaN", "Not a number"),
        ("NUMBER_DOUBLE", "1e999", "Not a number"),
        ("NUMBER_DOUBLE", "[[Index]]", "for texts only"),
        ("LIST", "{}", "Not a list, as JSON"),
        ("STRUCT", "{", "Not a map, as JSON"),
        ("STRING", " ", "A value is required."),
        ("LIST", "", "A value is required."),
    ],
)
def test_what_does_not_fit_is_said_at_its_field(kind, text, problem):
    values, problems = input_fields.read([Input("x", kind, "", required=True, default=None)], {PREFIX + "x": text})
    assert values == {}
    assert problem in problems[PREFIX + "x"]


def test_a_problem_of_an_input_called_name_is_not_one_of_the_runs_name():
    inputs = [Input("name", "NUMBER_INTEGER", "", required=True, default=None)]
    _, problems = input_fields.read(inputs, {"name": "a run", PREFIX + "name": "x"})
    assert list(problems) == [PREFIX + "name"]


def test_a_text_of_several_lines_has_a_field_of_several():
    inputs = [Input("x", "STRING", "", False, "one\ntwo"), Input("y", "STRING", "", False, "one")]
    assert [each.control for each in input_fields.fields(inputs, {}, {})] == ["text", "line"]


def test_a_run_is_started_with_what_was_typed(home):
    form = {"pipeline": home.pipelines["flights"], "version": home.versions[0], "name": " tried ", "experiment": ""}
    typed = {"number": " 21 ", "note": "  two\r\nlines ", "carriers": '[\r\n "AA",\r\n "UA"\r\n]', "rate": "0.5"}
    form |= {PREFIX + name: text for name, text in typed.items()} | {PREFIX + "dry run": "false"}
    answer = endpoint_home.post(home, "/runs/new", form)
    assert answer.status_code == 303
    with home.database.reading() as connection:
        row = store_runs.get(connection, answer.headers["location"].rpartition("/")[2])
    # Lists, numbers and choices at their defaults are the pipeline's to say.
    assert (row["name"], row["parameters"]) == ("tried", {"number": 21, "note": "  two\nlines "})
    assert row["cause"] == "started by hand in the UI"


def test_nothing_is_started_from_a_form_with_a_mistake(home):
    form = {"pipeline": home.pipelines["flights"], "version": home.versions[0], "name": "", PREFIX + "number": "many"}
    answer = endpoint_home.post(home, "/runs/new", form)
    assert answer.status_code == 400
    assert "A name is required." in answer.text
    assert "Not a whole number" in answer.text
    assert "Nothing was started" in answer.text


def test_a_run_of_a_submitted_package_is_run_again(home):
    run = home.runs["of a package"]
    answer = endpoint_home.post(home, "/runs/new", {"run": run, "name": "again", PREFIX + "number": "2"})
    assert answer.status_code == 303
    again = answer.headers["location"].rpartition("/")[2]
    assert again != run
    packages = [folders.submitted(folders.of(home.workspace, each)) for each in (run, again)]
    assert packages[0] == packages[1]
    with home.database.reading() as connection:
        assert store_runs.get(connection, again)["parameters"] == {"number": 2}


def test_a_schedule_is_created_or_says_why_not(home):
    form = {"pipeline": home.pipelines["flights"], "version": "latest", "name": "often", PREFIX + "number": "2",
            "concurrency": "1", "catchup": "yes", "cron": "whenever"}  # fmt: skip
    refused = endpoint_home.post(home, "/schedules/new", form)
    assert refused.status_code == 400
    assert "whenever" in refused.text
    created = endpoint_home.post(home, "/schedules/new", form | {"interval": "60"})
    assert created.status_code == 303
    with home.database.reading() as connection:
        row = store_recurring.get(connection, created.headers["location"].rpartition("/")[2])
    assert row["trigger"]["periodic_schedule"]["interval_second"] == "60"
    assert (row["version_id"], row["no_catchup"]) == (None, False)


@given(TEXTS)
def test_a_segment_of_an_address_stays_one(segment):
    path = url("runs", segment, text=segment)
    assert path.partition("?")[0].count("/") == 2
    assert not set(path) & set(" <>\"'#\n\\")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://example.org/x", True), ("http://example.org", True), ("javascript:alert(1)", False),
        ("JavaScript:alert(1)", False), (" javascript:alert(1)", False), ("data:text/html,x", False), ("//x", False),
        ("https:", False), ("x", False), ("", False), ("http://[", False), ("vbscript:x", False),
    ],
)  # fmt: skip
def test_only_addresses_of_the_web_become_links(text, expected):
    assert is_web_address(text) is expected


def test_spans_are_said_in_whole_units():
    assert [span(each) for each in (1, 45, 60, 90, 5400, 3600, 86400, 172800)] == [
        "1 s", "45 s", "1 min", "90 s", "90 min", "1 h", "1 day", "2 days",
    ]  # fmt: skip
    assert [every(each) for each in (1, 60, 3600, 86400, 7200)] == [
        "every second", "every minute", "every hour", "every day", "every 2 h",
    ]  # fmt: skip
