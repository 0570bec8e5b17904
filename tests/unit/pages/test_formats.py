"""Numbers, times and counts read well."""

import pytest

from kfp_ct.pages import formats


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
    assert formats.number(value) == text


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
    assert formats.percent(fraction) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (99.4, "99 s"), (99.6, "1 min 40 s"), (4200, "1 h 10 min"),
        (None, "–"),
    ],
)  # fmt: skip
def test_durations_read_well(seconds, text):
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0287, "+0.0287"), (-0.0287, "−0.0287"), (0.00001, "0.0000"), (None, "–"), (float("nan"), "–")],
)
def test_differences_read_well(value, text):
    assert formats.change(value) == text


@pytest.mark.parametrize(("amount", "text"), [(0, "0 steps"), (1, "1 step"), (1200, "1,200 steps")])
def test_amounts_read_well(amount, text):
    assert formats.plural(amount, "step") == text
