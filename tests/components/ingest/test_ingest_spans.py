"""Spans, versions and days in URIs; more than two splits."""

import pytest

from ingesting import assert_refused, ids, ingest
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data import layouts
from kfp_ct.data.tables import spans


def lay_out(root, *paths):
    for number, path in enumerate(paths):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("id\n" + "\n".join(str(1000 * number + row) for row in range(40)) + "\n")


def files_read(root) -> set[int]:
    return {number // 1000 for split in ("train", "eval") for number in ids(root, split)}


SPANS = ("span-1/version-1/a.csv", "span-2/version-1/a.csv", "span-2/version-12/a.csv", "span-10/version-3/a.csv")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("", {3}),
        ("latest", {3}),
        ("all", {0, 2, 3}),
        ("2", {2}),
        ("1 to 2", {0, 2}),
        ("last 9", {2, 3}),
        ("last 1", {3}),
    ],
)
def test_spans_are_numbers_and_of_a_span_the_highest_version_is_read(tmp_path, wanted, expected):
    lay_out(tmp_path, *SPANS)
    uri = f"{tmp_path}/span-{{SPAN}}/version-{{VERSION}}/*.csv"
    ingest(tmp_path, {"t": {"uri": uri, "spans": wanted}})
    assert files_read(tmp_path) == expected


def test_days_are_spans(tmp_path, capsys):
    lay_out(tmp_path, "2024/02/28/a.csv", "2024/02/29/a.csv", "2024/03/01/a.csv", "2024/03/01/b.csv")
    ingest(tmp_path, {"t": {"uri": f"{tmp_path}/{{YYYY}}/{{MM}}/{{DD}}/*.csv", "spans": "last 2"}})
    assert files_read(tmp_path) == {1, 2, 3}
    assert "t: span 19782, 19783" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("uri", "wanted", "words"),
    [
        ("d/{SPAN}/a.csv", "7", "no span of 7: there are 1"),
        ("other/{SPAN}/a.csv", "", "no span of latest: no file fits"),
        ("{YYYY}/{MM}/{DD}/a.csv", "", "2024/13/01/a.csv is of no day"),
    ],
)
def test_spans_that_are_not_there_are_refused(tmp_path, uri, wanted, words):
    lay_out(tmp_path, "d/1/a.csv", "2024/13/01/a.csv")
    assert_refused(DataError, words, root=tmp_path, source={"t": {"uri": f"{tmp_path}/{uri}", "spans": wanted}})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"uri": "d/{SPN}/a.csv"}, "{SPN} is no field of a URI"),
        ({"uri": "d/{YYYY}/{MM}/a.csv"}, "a date needs {YYYY}, {MM} and {DD}"),
        ({"uri": "d/{VERSION}/a.csv"}, "expected {SPAN} or a date beside it"),
        ({"uri": "d/{SPAN}-{SPAN}/a.csv"}, "{SPAN} is there twice"),
        ({"uri": "d/{SPAN}/{YYYY}{MM}{DD}.csv"}, "expected {SPAN} or a date, not both"),
        ({"uri": "d/a.csv", "spans": "last 2"}, "the uri has no {SPAN}"),
        ({"uri": "d/{SPAN}/a.csv", "spans": "newest"}, f"expected {spans.EXPECTED}"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_read(tmp_path, source, words):
    assert_refused(ConfigurationError, words, root=tmp_path, source={"t": source})


def test_a_hash_splits_into_as_many_parts_as_are_named(tmp_path):
    (tmp_path / "d.csv").write_text("id\n" + "\n".join(map(str, range(2000))) + "\n")
    split = {"method": "hash", "columns": ["id"], "splits": {"test": 1, "train": 8, "eval": 1}}
    ingest(tmp_path, str(tmp_path / "d.csv"), split=split)
    manifest = layouts.read_manifest(tmp_path / "out")
    assert [each.name for each in manifest.splits] == ["train", "eval", "test"]
    found = {name: set(ids(tmp_path, name)) for name in ("train", "eval", "test")}
    assert sum(map(len, found.values())) == 2000
    assert all(150 < len(found[name]) < 250 for name in ("eval", "test"))
    # The rows that evaluate are those of a split in two by the same share.
    ingest(
        tmp_path, str(tmp_path / "d.csv"), split={"method": "hash", "columns": ["id"], "eval_fraction": 0.1}, out="two"
    )
    assert set(ids(tmp_path, "eval", "two")) == found["eval"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "expected either it or splits"),
        ({"eval_fraction": 0.1, "splits": {"train": 1, "eval": 1}}, "expected either it or splits"),
        ({"splits": {"train": 1, "test": 1}}, "expected train and eval among them"),
        ({"splits": {"train": 1, "eval": 1, "predict": 1}}, "other than predict"),
    ],
)
def test_splits_that_make_no_sense_are_refused(tmp_path, more, words):
    (tmp_path / "d.csv").write_text("id\n1\n")
    split = {"method": "hash", "columns": ["id"], **more}
    assert_refused(ConfigurationError, words, root=tmp_path, source=str(tmp_path / "d.csv"), split=split)
