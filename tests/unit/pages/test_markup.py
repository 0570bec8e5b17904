"""Templates: everything escaped, nothing unknown, one environment a folder."""

import jinja2
import pytest
from markupsafe import Markup

from kfp_ct.pages import markup

HOSTILE = """"><h1>x</h1><script>'{{ 7*7 }}]]>"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "greeting.html").write_text(
        '{% from "macros/inline.html" import badge %}\n<p title="{{ name }}">{{ name }} {{ badge("ok", name) }}</p>\n'
    )
    return tmp_path


def test_what_a_template_is_given_is_escaped_in_texts_attributes_and_macros(folder):
    rendered = markup.render("greeting.html", folder, name=HOSTILE)
    assert rendered.count("&lt;h1&gt;x&lt;/h1&gt;") == 3
    assert "49" not in rendered
    assert "<h1" not in rendered
    assert '""' not in rendered


def test_finished_markup_goes_in_as_it_is(folder):
    inner = markup.render("greeting.html", folder, name="a&b")
    assert isinstance(inner, Markup)
    assert inner in markup.environment().from_string("{{ inner }}").render(inner=inner)


def test_a_folders_templates_find_the_macros_and_the_frame_of_pages(folder):
    (folder / "own.html").write_text('{% extends "page.html" %}\n{% block title %}a < b{% endblock %}\n')
    rendered = markup.render("own.html", folder)
    assert rendered.startswith("<!doctype html>")
    assert "<style>" in rendered
    assert "prefers-color-scheme: dark" in rendered


def test_a_name_that_a_template_does_not_know_is_an_error(folder):
    with pytest.raises(jinja2.UndefinedError, match="name"):
        markup.render("greeting.html", folder)


def test_none_is_shown_as_a_dash_and_numbers_for_reading():
    template = markup.environment().from_string("{{ nothing }} {{ 336776 | number }} {{ 0.004 | percent }}")
    assert template.render(nothing=None) == "– 336,776 0.4 %"


def test_a_number_filter_leaves_markup_as_it_is():
    assert markup.environment().from_string("{{ value | number }}").render(value=Markup("<b>1</b>")) == "<b>1</b>"


def test_an_environment_is_made_once(folder):
    assert markup.environment(folder) is markup.environment(folder)
    assert markup.environment() is not markup.environment(folder)


def test_tables_name_their_columns_and_rows():
    source = """{% from "macros/tables.html" import table %}
{% call(row) table(["gate", ("tries", "number")], rows) %}
<th scope="row">{{ row.gate }}</th><td class="number">{{ row.tries | number }}</td>
{% endcall %}"""
    drawn = (
        markup.environment()
        .from_string(source)
        .render(rows=[{"gate": "a<b", "tries": 1000}, {"gate": "c", "tries": None}])
    )
    assert 'aria-label="gate, tries"' in drawn
    assert '<th scope="col">gate</th><th scope="col" class="number">tries</th>' in drawn
    assert '<th scope="row">a&lt;b</th><td class="number">1,000</td>' in drawn
    assert '<td class="number">–</td>' in drawn
    assert drawn.count("<tbody>") == 2


def test_a_note_has_a_sign_a_word_and_what_is_put_into_it():
    source = """{% from "macros/blocks.html" import note %}
{{ note("ok", "fine") }}{% call note("bad", text) %}<p>more</p>{% endcall %}"""
    drawn = markup.environment().from_string(source).render(text="<bad>")
    assert 'aria-label="passed">✓</span><div><p>fine</p></div></div>' in drawn
    assert 'aria-label="problem">✕</span><div><p>&lt;bad&gt;</p><p>more</p></div></div>' in drawn
