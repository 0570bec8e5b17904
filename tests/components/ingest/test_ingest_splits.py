"""Which rows train and which evaluate, and the check that nothing is on both sides."""

import collections
import datetime
import hashlib
import json

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from depth import tries
from ingesting import BY_ID, assert_refused, ids, ingest, rows, table
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data import layouts

BY_TIME = {"method": "time", "column": "seen", "holdout": "10 days"}
WINDOWED = "SELECT * FROM t WHERE @window_end IS NULL OR seen < @window_end"
FIRST = datetime.date(2013, 1, 1)
LEAN = {
    "max_examples": tries(4, 8),
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}


@pytest.fixture
def days(tmp_path) -> str:
    """A source with a row a day, 2013-01-01 to 2013-04-10."""
    lines = [f"{i},{FIRST + datetime.timedelta(days=i)}" for i in range(100)]
    (tmp_path / "days.csv").write_text("\n".join(["id,seen", *lines]))
    return str(tmp_path / "days.csv")


# By time


@pytest.mark.parametrize(
    ("window", "first_held_out"),
    [({"window_end": "2013-03-01"}, "2013-02-19"), ({}, "2013-04-01")],
    ids=["before-the-windows-end", "before-the-last-day"],
)
def test_the_time_split_holds_out_the_last_days(tmp_path, days, window, first_held_out):
    ingest(tmp_path, days, WINDOWED, BY_TIME, **window)
    assert min(table(tmp_path, "eval").column("seen").to_pylist()) == first_held_out
    assert table(tmp_path, "eval").num_rows == 10
    assert max(table(tmp_path, "train").column("seen").to_pylist()) < first_held_out


@pytest.mark.parametrize("type_name", ["TIMESTAMP", "TIMESTAMPTZ", "DATE"])
def test_the_time_split_takes_every_type_of_instant(tmp_path, days, type_name):
    ingest(tmp_path, days, f"SELECT id, seen::{type_name} AS seen FROM t", BY_TIME)
    assert max(ids(tmp_path, "train")) < min(ids(tmp_path, "eval"))
    assert max(ids(tmp_path, "eval")) == 99


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ({**BY_TIME, "column": "when"}, "column when is not in the result, which has id, seen"),
        ({**BY_TIME, "column": "id"}, "column id is of type BIGINT"),
        ({**BY_TIME, "holdout": "a while"}, 'split.holdout is "a while": expected such as 1 month'),
        ({**BY_TIME, "holdout": "0 days"}, 'split.holdout is "0 days"'),
        ({**BY_TIME, "holdout": "1 day'; DROP TABLE t"}, "split.holdout is"),
        ({**BY_TIME, "columns": ["id"]}, "split.columns is not a setting: did you mean column?"),
        ({**BY_ID, "eval_fraction": 0}, "split.eval_fraction is 0: expected a number above 0 and below 1"),
        ({**BY_ID, "eval_fraction": 1.0}, "split.eval_fraction is 1.0"),
        ({**BY_ID, "eval_fraction": "0.2"}, 'split.eval_fraction is "0.2": expected a number'),
        ({**BY_ID, "method": "group", "columns": []}, "split.columns: expected the columns that make a group"),
        ({**BY_ID, "columns": ["key"]}, "column key is not in the result"),
        ({**BY_ID, "method": "group", "columns": ["key"]}, "column key is not in the result"),
        ({**BY_ID, "keys": "id"}, 'split.keys is "id": expected a list of texts'),
        ({**BY_ID, "time": "seen"}, "split.time is not a setting"),
        ({"method": "stratified", "label": "key", "eval_fraction": 0.2}, "column key is not in the result"),
        ({"method": "stratified", "label": "id", "eval_fraction": 2}, "split.eval_fraction is 2"),
        ({"method": "stratified", "eval_fraction": 0.2}, "split.label is missing: expected a text"),
        ({"method": "column", "column": "part"}, "column part is not in the result"),
        ({"method": "column", "column": "part", "time": 3}, "split.time is 3: expected a text"),
        ({"method": "column"}, "split.column is missing"),
        ({}, "split.method is missing: expected one of column, group, hash, none, stratified, time"),
        ({"method": "random"}, 'split.method is "random": expected one of column, group'),
    ],
    ids=str,
)
def test_a_split_that_cannot_be_made_is_refused(tmp_path, days, split, words):
    assert_refused(ConfigurationError, words, root=tmp_path, source=days, split=split)


def test_a_float_is_no_key(tmp_path, days):
    sql = "SELECT id / 3 AS id FROM t"
    assert_refused(ConfigurationError, "column id is of type DOUBLE", root=tmp_path, source=days, sql=sql)


@pytest.mark.parametrize(
    ("split", "empty"),
    [({**BY_TIME, "holdout": "1 year"}, "train"), ({**BY_ID, "eval_fraction": 1e-9}, "eval")],
    ids=["train", "eval"],
)
def test_an_empty_split_is_an_error(tmp_path, days, split, empty):
    assert_refused(DataError, f"the {empty} split is empty", root=tmp_path, source=days, split=split)


def test_a_row_without_time_belongs_to_no_split(tmp_path, days):
    sql = "SELECT id, CASE WHEN id > 2 THEN seen END AS seen FROM t"
    assert_refused(DataError, "3 rows have no value in", "seen", root=tmp_path, source=days, sql=sql, split=BY_TIME)


def expected_split(*key: str | None) -> str:
    text = "".join("-" if part is None else f"{len(part.encode())}:{part}" for part in key)
    return "eval" if int(hashlib.md5(text.encode()).hexdigest()[:8], 16) < round(0.5 * 2**32) else "train"


KEYS = st.tuples(
    st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    st.integers(-(2**63), 2**63 - 1),
)


@settings(**LEAN)
@given(keys=st.lists(KEYS, min_size=30, max_size=60), seed=st.randoms())
def test_a_key_is_always_in_the_split_its_md5_says(tmp_path, keys, seed):
    split = {"method": "hash", "columns": ["name", "number"], "eval_fraction": 0.5}
    rows = [{"id": i, "name": name, "number": number} for i, (name, number) in enumerate([*keys, *keys])]
    expected = {i: expected_split(row["name"], str(row["number"])) for i, row in enumerate(rows)}
    assume(len(set(expected.values())) == 2)
    seed.shuffle(rows)
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    ingest(tmp_path, str(tmp_path / "rows.parquet"), split=split)
    found = {i: name for name in ("train", "eval") for i in ids(tmp_path, name)}
    assert found == expected


def test_the_hash_split_has_about_the_share_asked_for(tmp_path):
    (tmp_path / "many.csv").write_text("\n".join(["id", *map(str, range(20_000))]))
    assert ingest(tmp_path, str(tmp_path / "many.csv"))["rows"]["eval"] == pytest.approx(6_000, rel=0.05)


# By group, by label, by a column


def test_all_rows_of_a_group_are_in_one_split_whatever_else_there_is(tmp_path, days):
    split = {"method": "group", "columns": ["week"], "eval_fraction": 0.5}
    ingest(tmp_path, days, "SELECT *, id // 7 AS week FROM t", split)
    sides = [set(table(tmp_path, name).column("week").to_pylist()) for name in ("train", "eval")]
    assert not sides[0] & sides[1]
    ingest(tmp_path, days, "SELECT *, id // 7 AS week FROM t WHERE id < 60", split, out="fewer")
    assert set(table(tmp_path, "eval", "fewer").column("week").to_pylist()) <= sides[1]


@settings(**LEAN)
@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5), fraction=st.floats(0.05, 0.95), seed=st.randoms())
def test_every_label_has_the_same_share_in_each_split(tmp_path, sizes, fraction, seed):
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    evaluated = {label: int(fraction * size + 0.5) for label, size in enumerate(sizes)}
    assume(0 < sum(evaluated.values()) < len(labels))
    content = [{"id": i, "label": label or None, "x": i / 3} for i, label in enumerate(labels)]
    split = {"method": "stratified", "label": "label", "eval_fraction": fraction}
    found = []
    for out in ("first", "shuffled"):
        typed = pa.Table.from_pylist(content, pa.schema({"id": pa.int64(), "label": pa.int64(), "x": pa.float64()}))
        pyarrow.parquet.write_table(typed, tmp_path / "rows.parquet")
        ingest(tmp_path, str(tmp_path / "rows.parquet"), split=split, out=out)
        found.append(sorted(ids(tmp_path, "eval", out)))
        seed.shuffle(content)
    assert found[0] == found[1], "the order of the rows does not matter"
    counted = collections.Counter(labels[i] for i in found[0])
    assert dict(counted) == {label: count for label, count in evaluated.items() if count}


def test_a_column_names_the_split_and_is_not_written(tmp_path, days):
    sql = "SELECT *, CASE WHEN id % 4 = 0 THEN 'eval' ELSE 'train' END AS part FROM t"
    ingest(tmp_path, days, sql, {"method": "column", "column": "part"})
    assert len(ids(tmp_path, "eval")) == 25
    assert {i % 4 for i in ids(tmp_path, "eval")} == {0}
    assert {i % 4 for i in ids(tmp_path, "train")} == {1, 2, 3}
    assert list(layouts.read_manifest(tmp_path / "out").columns) == ["id", "seen"]


@pytest.mark.parametrize(
    ("value", "words"),
    [("'test'", "part holds 'test'"), ("NULL", "10 rows have no value in"), ("id", "part holds '0'")],
)
def test_a_column_that_names_no_split_is_refused(tmp_path, days, value, words):
    part = f"CASE WHEN id < 10 THEN ({value})::VARCHAR WHEN id < 50 THEN 'train' ELSE 'eval' END AS part"
    split = {"method": "column", "column": "part"}
    assert_refused(DataError, words, root=tmp_path, source=days, sql=f"SELECT *, {part} FROM t", split=split)


# The leak check

HALVES = "SELECT *, {key} AS key, CASE WHEN id < 50 THEN 'train' ELSE 'eval' END AS part FROM t"
BY_PART = {"method": "column", "column": "part"}


@pytest.mark.parametrize(
    ("split", "sql"),
    [
        ({**BY_PART, "keys": ["key"]}, HALVES.format(key="id % 60")),
        ({**BY_TIME, "holdout": "50 days", "keys": ["key"]}, "SELECT *, id % 60 AS key FROM t"),
        ({**BY_ID, "keys": ["key"]}, "SELECT *, id % 60 AS key FROM t"),
        ({"method": "stratified", "label": "key", "eval_fraction": 0.5, "keys": ["key"]}, HALVES.format(key="id % 40")),
    ],
    ids=["column", "time", "hash", "stratified"],
)
def test_a_key_in_both_splits_stops_the_run_and_is_named(tmp_path, days, split, sql):
    message = assert_refused(
        DataError, "keys (key) are in both splits: ", root=tmp_path, source=days, sql=sql, split=split
    )
    assert '{"method": "group", "columns": ["key"]}' in message


def test_of_many_leaked_keys_five_are_named(tmp_path, days):
    assert_refused(
        DataError, "40 of 60 keys (key) are in both splits: 0, 1, 2, 3, 4, …",
        root=tmp_path, source=days, sql=HALVES.format(key="id % 60"), split={**BY_PART, "keys": ["key"]},
    )  # fmt: skip


def test_a_key_of_two_columns_leaks_only_as_a_whole(tmp_path, days):
    sql = HALVES.format(key="id % 60")
    ingest(tmp_path, days, sql, {**BY_PART, "keys": ["key", "id"]})
    report = json.loads((tmp_path / "out/summary.json").read_text())["leak_check"]
    assert report == {"keys": ["key", "id"], "keys_examined": 100, "time": ""}


def test_a_leak_check_without_a_key_to_look_at_fails(tmp_path, days):
    split = {**BY_PART, "keys": ["key"]}
    words = ("nothing to look at", "key is missing in every row")
    assert_refused(DataError, *words, root=tmp_path, source=days, sql=HALVES.format(key="NULL::INT"), split=split)


def test_rows_without_a_key_are_no_leak(tmp_path, days):
    ingest(tmp_path, days, HALVES.format(key="CASE WHEN id % 2 = 0 THEN id END"), {**BY_PART, "keys": ["key"]})
    assert len(rows(tmp_path)) == 100


@pytest.mark.parametrize(
    "seen", ["seen", "seen::TIMESTAMP", "seen::TIMESTAMPTZ + INTERVAL '500 milliseconds' * (id % 2)", "id"]
)
def test_a_time_to_train_on_after_one_to_evaluate_on_stops_the_run(tmp_path, days, seen):
    sql = f"SELECT id, {seen} AS seen, CASE WHEN id < 50 THEN 'train' ELSE 'eval' END AS part FROM t"
    split = {**BY_PART, "time": "seen"}
    ingest(tmp_path, days, sql, split)
    assert_refused(
        DataError, "1 rows to train on are not before those to evaluate on",
        root=tmp_path, source=days, sql=sql.replace("id < 50", "id < 50 OR id = 60"),
        split=split,
    )  # fmt: skip


def test_the_same_instant_on_both_sides_is_a_leak(tmp_path, days):
    sql = "SELECT id, DATE '2013-01-01' AS seen, CASE WHEN id < 50 THEN 'train' ELSE 'eval' END AS part FROM t"
    words = "50 rows to train on are not before"
    assert_refused(DataError, words, root=tmp_path, source=days, sql=sql, split={**BY_PART, "time": "seen"})


@pytest.mark.parametrize("seen", ["NULL::DATE", "CASE WHEN id > 0 THEN seen END", "'soon'"])
def test_a_leak_check_that_cannot_look_at_a_time_fails(tmp_path, days, seen):
    sql = f"SELECT id, {seen} AS seen, CASE WHEN id < 50 THEN 'train' ELSE 'eval' END AS part FROM t"
    assert_refused(DataError, "cannot look at", root=tmp_path, source=days, sql=sql, split={**BY_PART, "time": "seen"})


@pytest.mark.parametrize("field", ["keys", "time"])
def test_a_leak_check_over_a_column_that_is_not_there_is_refused(tmp_path, days, field):
    split = {**BY_PART, field: ["gone"] if field == "keys" else "gone"}
    words = f"split.{field} names gone"
    assert_refused(ConfigurationError, words, root=tmp_path, source=days, sql=HALVES.format(key="1"), split=split)


BY_YEAR = "SELECT id, year(seen) AS seen FROM t"


def test_what_the_leak_check_looked_at_is_said(tmp_path, days, capsys):
    ingest(tmp_path, days, split={**BY_TIME, "keys": ["id"]})
    assert "leak check: no id of 100 is in both splits; no seen to train on is after" in capsys.readouterr().out
    ingest(tmp_path, days, split={"method": "stratified", "label": "seen", "eval_fraction": 0.5}, sql=BY_YEAR)
    assert "leak check: not asked for" in capsys.readouterr().out


def test_rows_to_score_are_one_split_whatever_they_hold(tmp_path):
    (tmp_path / "t.csv").write_text("id,x\n1,a\n2,\n")
    ingest(tmp_path, str(tmp_path / "t.csv"), split={"method": "none"})

    assert sorted(table(tmp_path, "predict").column("id").to_pylist()) == [1, 2]


def test_one_row_is_enough_to_score_and_none_is_not(tmp_path):
    (tmp_path / "t.csv").write_text("id\n1\n")
    source = str(tmp_path / "t.csv")
    ingest(tmp_path, source, split={"method": "none"})
    assert table(tmp_path, "predict").num_rows == 1

    with pytest.raises(DataError, match="has no rows"):
        ingest(tmp_path, source, "SELECT * FROM t WHERE id > 1", {"method": "none"})
    with pytest.raises(ConfigurationError, match=r"split\.keys is not a setting"):
        ingest(tmp_path, source, split={"method": "none", "keys": ["id"]})


def measurements(root, name="a.csv"):
    """Rows of floats and a missing value: no column of them is a key."""
    lines = [f"{n / 7},{-n / 3 if n % 5 else ''},{'-0.0' if n % 2 else '0.0'},t{n % 3}" for n in range(600)]
    (root / name).write_text("a,b,zero,text\n" + "\n".join(lines) + "\n")
    return duckdb.read_csv(str(root / name))


def sides(root, out):
    """The rows of each split, as sets of their exact values, zeros without a sign."""
    return [
        {(r["a"], r["b"], abs(r["zero"]), r["text"]) for r in table(root, split, out).to_pylist()}
        for split in ("train", "eval")
    ]


def test_a_hash_without_columns_is_of_the_whole_row_whatever_the_format_and_order(tmp_path):
    relation = measurements(tmp_path)
    relation.order("b DESC, a").write_parquet(str(tmp_path / "b.parquet"))
    (tmp_path / "c.jsonl").write_text(
        "".join(
            json.dumps(dict(zip(relation.columns, row, strict=True))) + "\n" for row in reversed(relation.fetchall())
        )
    )
    by_row = {"method": "hash", "eval_fraction": 0.25}
    for name in ("a.csv", "b.parquet", "c.jsonl"):
        ingest(tmp_path, str(tmp_path / name), split=by_row, out=name[0])
    ingest(tmp_path, str(tmp_path / "a.csv"), "SELECT text, zero, b, a FROM t", split=by_row, out="d")
    found = [sides(tmp_path, out) for out in "abcd"]
    assert found[0] == found[1] == found[2] == found[3]
    train, evaluated = found[0]
    assert not train & evaluated
    assert 100 < len(evaluated) < 200
    assert len(train) + len(evaluated) == 600


def test_the_same_row_twice_is_on_one_side(tmp_path):
    measurements(tmp_path)
    sql = "SELECT * FROM t UNION ALL SELECT * FROM t"
    ingest(tmp_path, str(tmp_path / "a.csv"), sql, split={"method": "hash", "eval_fraction": 0.25})
    train, evaluated = sides(tmp_path, "out")
    assert not train & evaluated
    assert sum(table(tmp_path, split).num_rows for split in ("train", "eval")) == 1200


def test_a_group_needs_its_columns(tmp_path):
    measurements(tmp_path)
    split = {"method": "group", "eval_fraction": 0.2}
    words = "expected the columns that make a group"
    assert_refused(ConfigurationError, words, root=tmp_path, source=str(tmp_path / "a.csv"), split=split)
