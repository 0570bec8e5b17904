"""Charts: any numbers, any names, well-formed, readable by screen readers."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_ct.pages import charts, markup, sparklines
from well_formed import parsed

HOSTILE = "<script>alert('x')</script> & \"quotes\""


def drawn(name, chart):
    macros = markup.environment().get_template("macros/charts.html").module
    return getattr(macros, name)(chart)


def every_chart(text):
    bucket, interval = sparklines.Bucket(0, 1, 2), charts.Interval(text, -0.1, 0.2, 0.3)
    frame = charts.Frame(title=text, diagonal=True)
    return [
        drawn("lines", charts.lines({text: [(0, 0), (1, 1)]}, text, text, frame)),
        drawn("intervals", charts.intervals([interval], text)),
        drawn("histogram", sparklines.histogram({text: [bucket]}, label=text)),
        drawn("shares", sparklines.shares([sparklines.Share(text, [0.5, None])])),
        drawn("legend", charts.legend([text, text])),
    ]


@given(st.one_of(st.just(HOSTILE), st.text(max_size=30)))
def test_names_are_text(text):
    for chart in every_chart(text):
        assert set(parsed(chart)) <= {
            "figure", "figcaption", "span", "div", "svg", "path", "text", "g", "circle", "rect", "title",
        }  # fmt: skip


def test_charts_have_a_name_for_screen_readers():
    for chart in every_chart("auc")[:-1]:
        assert re.search(r'role="img" aria-label="[^"]*auc[^"]*"', chart)


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=30))
def test_a_line_chart_draws_any_numbers(points):
    chart = drawn("lines", charts.lines({"a": points, "b": []}, "x", "y", charts.Frame(markers=True)))
    parsed(chart)
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"<text.*?</text>", "", chart))


@given(st.lists(st.floats(-1e300, 1e300), min_size=3, max_size=3))
def test_an_interval_chart_draws_any_numbers(values):
    low, value, high = sorted(values)
    parsed(drawn("intervals", charts.intervals([charts.Interval("a", low, value, high)], "gain")))


@given(st.lists(st.tuples(st.floats(), st.floats(), st.floats()), max_size=12))
def test_a_histogram_draws_any_buckets(buckets):
    series = {"train": [sparklines.Bucket(*bucket) for bucket in buckets], "eval": []}
    chart = drawn("histogram", sparklines.histogram(series))
    assert not re.search(r"\b(nan|inf)\b", chart)


@pytest.mark.parametrize(
    ("name", "chart"),
    [
        ("lines", charts.lines({"a": [(math.nan, 1.0)]}, "x", "y")),
        ("intervals", charts.intervals([])),
        ("histogram", sparklines.histogram({"a": []})),
        ("shares", sparklines.shares([])),
    ],
)
def test_charts_without_data_say_so(name, chart):
    assert "no data" in drawn(name, chart)


def test_intervals_differ_in_colour_and_shape_by_the_side_of_zero_they_lie_on():
    rows = [charts.Interval("above", 0.1, 0.2, 0.3), charts.Interval("below", -0.3, -0.2, -0.1),
            charts.Interval("across", -0.1, 0.0, 0.1)]  # fmt: skip
    chart = drawn("intervals", charts.intervals(rows))
    groups = re.findall(r'<g class="s(\d)">(.*?)</g>', chart, re.DOTALL)
    assert [(colour, "<rect" in inside) for colour, inside in groups] == [("1", False), ("2", True), ("0", False)]


def test_a_long_curve_is_thinned_but_keeps_its_end():
    curve = [(i / 100_000, i / 100_000) for i in range(100_001)]
    chart = drawn("lines", charts.lines({"roc": curve}, "fpr", "tpr", charts.UNIT_SQUARE))
    assert len(chart) < 20_000
    assert len(chart) > 2_000
    assert f"L{charts.UNIT_SQUARE.width - 14} 10" in chart


def test_ticks_stand_at_round_numbers():
    chart = drawn("lines", charts.lines({"loss": [(1, 0.502), (8, 0.598)]}, "epoch", "loss"))
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", chart)
    assert {"0.50", "0.52", "0.60", "2", "8"} <= set(texts)
