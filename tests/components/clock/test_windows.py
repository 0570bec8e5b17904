"""Windows relative to their end have the bounds a calendar gives them."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_ct.clock import windows
from kfp_ct.components.ingest import query

NOW = datetime.datetime(2026, 3, 31, 14, 25, 36, tzinfo=datetime.timezone(datetime.timedelta(hours=-5)))  # 19:25 UTC


@pytest.mark.parametrize(
    ("start", "end", "bounds"),
    [
        pytest.param("last 90 days", "", ("2025-12-31T00:00:00", "2026-03-31T00:00:00"), id="days"),
        pytest.param("last 1 day", "", ("2026-03-30T00:00:00", "2026-03-31T00:00:00"), id="day"),
        pytest.param("last 6 hours", "", ("2026-03-31T13:00:00", "2026-03-31T19:00:00"), id="hours-in-utc"),
        pytest.param("last 2 weeks", "2013-06-15", ("2013-06-01T00:00:00", "2013-06-15T00:00:00"), id="given-end"),
        pytest.param("last 1 month", "", ("2026-02-28T00:00:00", "2026-03-31T00:00:00"), id="shorter-month"),
        pytest.param("last 3 months", "2013-02-01", ("2012-11-01T00:00:00", "2013-02-01T00:00:00"), id="over-new-year"),
        pytest.param("last 1 year", "2024-02-29", ("2023-02-28T00:00:00", "2024-02-29T00:00:00"), id="leap-day"),
        pytest.param("2013-01-01", "2013-02-01", ("2013-01-01", "2013-02-01"), id="not-relative"),
        pytest.param("", "", ("", ""), id="unbounded"),
    ],
)
def test_a_window_has_its_bounds(start, end, bounds):
    assert windows.absolute(start, end, NOW) == bounds


@pytest.mark.parametrize(
    "start", ["last days", "last 0 days", "last 5 fortnights", "last 99999 years", "last 5 days ago"]
)
def test_what_is_no_window_is_refused(start):
    with pytest.raises(ValueError, match=r"expected a date or instant"):
        windows.bounds(start, "", NOW)


def test_ingest_reads_the_window_before_today():
    window = query.parse_window("last 7 days", "")
    assert window.end - window.start == datetime.timedelta(days=7)
    assert window.end.time() == datetime.time(0)


@given(
    st.integers(1, 999),
    st.sampled_from(["hour", "day", "week", "month", "year"]),
    st.datetimes(min_value=NOW.replace(tzinfo=None)),
)
def test_any_window_encloses_something_and_ends_as_said(count, unit, end):
    start, last = windows.absolute(f"last {count} {unit}s", end.isoformat(), NOW)
    assert datetime.datetime.fromisoformat(start) < datetime.datetime.fromisoformat(last) == end
