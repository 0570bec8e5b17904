"""Pages and charts: everything escaped, nothing from elsewhere, well-formed, sensible numbers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_ct.pages import html
from well_formed import parsed

HOSTILE = "<script>alert('x')</script> & \"quotes\""


def every_part(text):
    return [
        text,
        html.section(text, text, html.subsection(text, text)),
        html.note("bad", text, html.bullets([text])),
        html.facts({text: text}),
        html.table([text, "n"], [[text, 1], [text, 2]], caption=text, merge=1),
        html.details(text, html.code(text), html.muted(text), html.badge("ok", text)),
        html.columns(text, text),
    ]


def test_every_part_escapes_what_it_is_given():
    page = html.page(HOSTILE, *every_part(HOSTILE), subtitle=HOSTILE)
    assert "<script" not in page
    assert "script" not in parsed(page)


@given(st.text(max_size=30))
def test_any_text_leaves_a_page_well_formed(text):
    parsed(html.page(text, *every_part(text), subtitle=text))


def test_a_page_needs_nothing_from_elsewhere():
    page = html.page("t", *every_part("x"))
    assert not re.search(r"https?://|//cdn|@import|url\(|<script|<link", page)
    assert "prefers-color-scheme: dark" in page


def test_tables_have_header_cells():
    table = html.table(["feature", "mean"], [["dep_hour", 13.2]])
    assert '<th scope="col">feature</th>' in table
    assert '<th scope="row">dep_hour</th>' in table


def test_columns_of_numbers_are_flush_right_and_of_words_are_not():
    table = html.table(["name", "n", "share", "words"], [["a", 1, "76 %", "two words"], ["b", None, "< 0.1 %", "2"]])
    assert re.findall(r"<th scope=\"col\"( class=\"number\")?>", table) == [
        "",
        ' class="number"',
        ' class="number"',
        "",
    ]


def test_a_row_with_too_few_cells_is_refused():
    with pytest.raises(ValueError, match="2 cells"):
        html.table(["a", "b"], [["only one"]])
