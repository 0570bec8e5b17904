"""Sources by spans: a new span is new data, for triggers and for the version that caches know."""

import pytest

from kfp_ct.data import source_version
from kfp_ct.watch import observe

URI = "data/span-{SPAN}/version-{VERSION}/*.csv"


def lay_out(root, path, rows=2):
    file = root / "data" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("id\n" + "1\n" * rows)


def seen(root, wanted=""):
    found = observe.spans({"t": {"uri": URI, "spans": wanted}}, root)
    return {each.id.split("/data/")[1].rsplit(":", 2)[0] for each in found}


def version(root, wanted=""):
    return source_version.source_version({"t": {"uri": URI, "spans": wanted}}, root)


def test_a_trigger_sees_the_files_of_a_new_span(tmp_path):
    lay_out(tmp_path, "span-1/version-1/a.csv")
    assert seen(tmp_path) == {"span-1/version-1/a.csv"}
    lay_out(tmp_path, "span-2/version-1/a.csv")
    lay_out(tmp_path, "span-2/version-1/b.csv")
    assert seen(tmp_path) == {"span-2/version-1/a.csv", "span-2/version-1/b.csv"}
    lay_out(tmp_path, "span-2/version-2/a.csv")
    assert seen(tmp_path) == {"span-2/version-2/a.csv"}


@pytest.mark.parametrize(("wanted", "changes"), [("", True), ("all", True), ("last 2", True), ("1", False)])
def test_a_new_span_is_another_version_if_it_is_read(tmp_path, wanted, changes):
    lay_out(tmp_path, "span-1/version-1/a.csv")
    before = version(tmp_path, wanted)
    assert version(tmp_path, wanted) == before
    lay_out(tmp_path, "span-2/version-1/a.csv")
    assert (version(tmp_path, wanted) != before) == changes
    assert ("span-2/version-1/a.csv" in seen(tmp_path, wanted)) == changes


def test_a_span_that_is_not_read_is_no_new_data(tmp_path):
    for number in (1, 2):
        lay_out(tmp_path, f"span-{number}/version-1/a.csv")
    spans, data = observe.spans({"t": {"uri": URI}}, tmp_path), version(tmp_path)
    lay_out(tmp_path, "span-1/version-1/a.csv", rows=9)
    assert (observe.spans({"t": {"uri": URI}}, tmp_path), version(tmp_path)) == (spans, data)


def test_days_without_data_are_nothing_new(tmp_path):
    assert observe.spans({"t": "data/{YYYY}/{MM}/{DD}/*.csv"}, tmp_path) == ()


def test_rows_that_change_their_partition_are_another_version(tmp_path):
    for year, rows in (("2013", 1), ("2014", 2)):
        lay_out(tmp_path, f"year={year}/a.csv", rows)
    before = source_version.source_version({"t": str(tmp_path / "data")}, tmp_path / "elsewhere")
    for year, rows in (("2013", 2), ("2014", 1)):
        lay_out(tmp_path, f"year={year}/a.csv", rows)
    assert source_version.source_version({"t": str(tmp_path / "data")}, tmp_path / "elsewhere") != before
