"""Pages and charts: everything escaped, nothing from elsewhere, well-formed, sensible numbers."""

import math
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_ct.pages import charts, html, sparklines

HOSTILE = "<script>alert('x')</script> & \"quotes\""
VOID = {"meta", "link", "br", "img", "input"}


class _Balance(HTMLParser):
    """Collects open elements; a page is well-formed if none is left and none closes another."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def parsed(markup):
    parser = _Balance()
    parser.feed(markup)
    parser.close()
    assert parser.wrong == []
    assert parser.open == []
    return parser.tags


def every_part(text):
    interval = charts.Interval(text, -0.1, 0.2, 0.3)
    return [
        text,
        html.section(text, text, html.subsection(text, text)),
        html.note("bad", text, html.bullets([text])),
        html.facts({text: text}),
        html.table([text, "n"], [[text, 1], [text, 2]], caption=text, merge=1),
        html.details(text, html.code(text), html.muted(text), html.badge("ok", text)),
        html.columns(text, text),
        sparklines.bars([1, 2], label=text, names=[text, text]),
        sparklines.histogram({text: [sparklines.Bucket(0, 1, 2)]}, label=text),
        sparklines.shares([sparklines.Share(text, [0.5, None])]),
        charts.lines({text: [(0, 0), (1, 1)]}, text, text, charts.Frame(title=text, diagonal=True)),
        charts.intervals([interval], text),
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


def test_tables_have_header_cells_and_charts_a_name_for_screen_readers():
    table = html.table(["feature", "mean"], [["dep_hour", 13.2]])
    assert '<th scope="col">feature</th>' in table
    assert '<th scope="row">dep_hour</th>' in table
    for chart in (sparklines.bars([1]), charts.lines({"a": [(0, 1)]}, "x", "y"), charts.intervals([])):
        assert "no data" in chart or re.search(r'role="img" aria-label="[^"]+"', chart)


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


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (336776, "336,776"),
        (0.74912, "0.7491"),
        (1332.23, "1,332"),
        (-0.0, "0"),
        (0.00001234, "1.23e-05"),
        (float("nan"), "–"),
        (float("inf"), "–"),
        (None, "–"),
        (True, "yes"),
    ],
    ids=str,
)
def test_numbers_read_well(value, text):
    assert html.number(value) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0, "0 %"),
        (0.0004, "< 0.1 %"),
        (0.004, "0.4 %"),
        (0.76, "76 %"),
        (0.9999, "> 99.9 %"),
        (1, "100 %"),
        (None, "–"),
    ],
    ids=str,
)
def test_percentages_never_round_something_to_nothing(fraction, text):
    assert html.percent(fraction) == text


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=30))
def test_a_line_chart_draws_any_numbers(points):
    chart = charts.lines({"a": points, "b": []}, "x", "y", charts.Frame(markers=True))
    parsed(chart)
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"<text.*?</text>", "", chart))


@given(st.lists(st.floats(-1e300, 1e300), min_size=3, max_size=3))
def test_an_interval_chart_draws_any_numbers(values):
    low, value, high = sorted(values)
    parsed(charts.intervals([charts.Interval("a", low, value, high)], "gain"))


@given(st.lists(st.tuples(st.floats(), st.floats(), st.floats()), max_size=12))
def test_a_histogram_draws_any_buckets(buckets):
    chart = sparklines.histogram({"train": [sparklines.Bucket(*bucket) for bucket in buckets], "eval": []})
    assert not re.search(r"\b(nan|inf)\b", chart)


def test_charts_without_data_say_so():
    nothing = [(math.nan, 1.0)]
    for chart in (charts.lines({"a": nothing}, "x", "y"), charts.intervals([]), sparklines.histogram({"a": []})):
        assert "no data" in chart


def test_a_long_curve_is_thinned_but_keeps_its_end():
    curve = [(i / 100_000, i / 100_000) for i in range(100_001)]
    chart = charts.lines({"roc": curve}, "fpr", "tpr", charts.UNIT_SQUARE)
    assert len(chart) < 20_000
    assert len(chart) > 2_000
    assert f"L{charts.UNIT_SQUARE.width - 14} 10" in chart


def test_ticks_stand_at_round_numbers():
    chart = charts.lines({"loss": [(1, 0.502), (8, 0.598)]}, "epoch", "loss")
    said = re.findall(r"<text[^>]*>([^<]+)</text>", chart)
    assert {"0.50", "0.52", "0.60", "2", "8"} <= set(said)
