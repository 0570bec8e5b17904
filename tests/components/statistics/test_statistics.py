"""Statistics: TFDV's own numbers, whatever the batches, shards and engine."""

import json
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import tensorflow_data_validation as tfdv
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_metadata.proto.v0 import statistics_pb2

from depth import tries
from kfp_ct.base.errors import DataError
from kfp_ct.components.statistics import work
from kfp_ct.data import feature_statistics, layouts

ROWS = 20_000


def flights(rows=ROWS, seed=7):
    """Rows in the shape of the flights data: ints, floats with gaps, categories, an identifier."""
    rng = np.random.default_rng(seed)
    gust = pd.array(rng.gamma(4, 6, rows), dtype="Float32")
    gust[rng.random(rows) < 0.76] = pd.NA
    carrier = rng.choice(["UA", "B6", "EV", "DL", None], rows, p=[0.4, 0.3, 0.2, 0.09, 0.01])
    return pa.table(
        {
            "dep_hour": pa.array(rng.integers(0, 24, rows), pa.int64()),
            "late": pa.array(rng.integers(0, 2, rows), pa.int64()),
            "distance": pa.array(rng.lognormal(6, 0.7, rows), pa.float32()),
            "wind_gust": pa.array(gust, pa.float32()),
            "carrier": pa.array(carrier, pa.string()),
            "flight_id": pa.array([f"f{n}" for n in range(rows)], pa.string()),
        }
    )


def write_examples(root, splits, shards=2):
    """Writes tables as a dataset the way ingest does."""
    written = []
    for name, table in splits.items():
        layouts.split_path(root, name).mkdir(parents=True)
        size = max(1, math.ceil(len(table) / shards))
        parts = [table.slice(start, size) for start in range(0, len(table), size)]
        files = [f"Split-{name}/data_parquet-{n:05d}-of-{len(parts):05d}.parquet" for n in range(len(parts))]
        for file, part in zip(files, parts, strict=True):
            pyarrow.parquet.write_table(part, root / file)
        written.append(layouts.Split(name, len(table), files))
    window = {"start": "2013-01-01", "end": ""}
    layouts.write_manifest(root, layouts.Manifest(written, {}, "fingerprint", {}, window, {}))
    return str(root)


def read_statistics(root, split):
    path = layouts.split_path(root, split) / "FeatureStats.pb"
    return statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes()).datasets[0]


def at_once(table):
    """TFDV's own statistics of the same rows in one piece."""
    return tfdv.generate_statistics_from_dataframe(_as_dataframe(table)).datasets[0]


def _as_dataframe(table):
    """Pandas loses integers beside nulls; there are none in the integer columns here."""
    return table.to_pandas()


def assert_same_statistics(ours, theirs):
    """Counts equal, moments to rounding, quantiles within TFDV's own error bound of 1 %."""
    assert ours.num_examples == theirs.num_examples
    other = {feature.path.step[0]: feature for feature in theirs.features}
    assert [f.path.step[0] for f in ours.features] == list(other)
    for feature in ours.features:
        _assert_same_feature(feature, other[feature.path.step[0]])


def _assert_same_feature(one, two):
    assert one.type == two.type
    kind = one.WhichOneof("stats")
    assert kind == two.WhichOneof("stats")
    a, b = getattr(one, kind), getattr(two, kind)
    for count in ("num_non_missing", "num_missing", "tot_num_values", "min_num_values", "max_num_values"):
        assert getattr(a.common_stats, count) == getattr(b.common_stats, count)
    if kind == "string_stats":
        assert (a.unique, a.avg_length) == (b.unique, pytest.approx(b.avg_length))
        tops = [[t.frequency for t in stats.top_values] for stats in (a, b)]
        assert tops[0] == tops[1]
        return
    assert (a.min, a.max, a.num_zeros) == (b.min, b.max, b.num_zeros)
    assert (a.mean, a.std_dev) == (pytest.approx(b.mean), pytest.approx(b.std_dev))
    assert a.median == pytest.approx(b.median, abs=0.02 * (b.max - b.min))


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    root = tmp_path_factory.mktemp("examples") / "data"
    return write_examples(root, {"train": flights(), "eval": flights(5_000, seed=8)})


@pytest.fixture(scope="module")
def written(examples, tmp_path_factory):
    root = tmp_path_factory.mktemp("statistics")
    metadata = work.write_statistics(examples, str(root / "out"), str(root / "view.html"), [])
    return root, metadata


def test_statistics_over_shards_equal_tfdv_over_all_rows(written):
    root, _ = written
    assert_same_statistics(read_statistics(root / "out", "train"), at_once(flights()))
    assert_same_statistics(read_statistics(root / "out", "eval"), at_once(flights(5_000, seed=8)))


@pytest.mark.parametrize("batch_rows", [997, 5_000, ROWS], ids="{} rows a batch".format)
def test_the_size_of_a_batch_changes_nothing(batch_rows):
    table = flights()
    result = feature_statistics.compute(table.to_batches(max_chunksize=batch_rows), "train")
    assert_same_statistics(result.datasets[0], at_once(table))


def test_the_beam_path_gives_the_same_numbers(examples, written, tmp_path):
    root, _ = written
    work.write_statistics(examples, str(tmp_path / "out"), str(tmp_path / "v.html"), ["--direct_num_workers=1"])
    for split in ("train", "eval"):
        mine = read_statistics(tmp_path / "out", split)
        assert mine.name == split
        assert_same_statistics(mine, read_statistics(root / "out", split))


def test_each_split_is_a_dataset_that_tfdv_opens_by_name(written):
    root, metadata = written
    opened = tfdv.load_stats_binary(str(root / "out" / "Split-train" / "FeatureStats.pb"))
    assert opened.datasets[0].name == "train"
    assert metadata == {"rows": {"train": ROWS, "eval": 5_000}, "features": 6}


def test_the_summary_says_what_the_rows_say(written):
    root, _ = written
    summary = layouts.read_json(root / "out" / "summary.json")
    assert [(split["name"], split["num_examples"]) for split in summary["splits"]] == [("train", ROWS), ("eval", 5_000)]
    features = {feature["name"]: feature for feature in summary["splits"][0]["features"]}
    table = _as_dataframe(flights())
    assert features["wind_gust"]["missing"] == pytest.approx(table.wind_gust.isna().mean())
    assert features["distance"]["mean"] == pytest.approx(table.distance.astype(float).mean(), rel=1e-6)
    assert features["late"]["zeros"] == (table.late == 0).sum()
    assert sum(bucket["count"] for bucket in features["distance"]["histogram"]) == pytest.approx(ROWS, rel=1e-3)
    top = table.carrier.value_counts()
    assert features["carrier"]["top_values"][0] == {"value": top.index[0], "count": top.iloc[0]}
    assert features["carrier"]["unique"] == 4
    assert features["dep_hour"] | {"type": "int", "min": 0, "max": 23} == features["dep_hour"]


def test_the_page_shows_every_feature_and_both_splits(written):
    root, _ = written
    page = (root / "view.html").read_text()
    for said in ("dep_hour", "wind_gust", "carrier", "train", "eval", "20,000", "76 %"):
        assert said in page
    assert "https://" not in page


def test_the_finding_is_one_line_with_numbers(examples, tmp_path, capsys):
    work.write_statistics(examples, str(tmp_path), str(tmp_path / "v.html"), [])
    found = [line for line in capsys.readouterr().out.splitlines() if line.startswith("summary: ")]
    assert found == ["summary: 6 features over 2 splits; most missing: wind_gust 76 %"]


def test_the_same_rows_give_the_same_bytes(tmp_path):
    # Without the identifier: of thousands of equally frequent values, TFDV's sketch keeps any.
    examples = write_examples(tmp_path / "data", {"train": flights(5_000).drop(["flight_id"])})
    for run in ("a", "b"):
        work.write_statistics(examples, str(tmp_path / run), str(tmp_path / f"{run}.html"), [])
    for file in ("summary.json", "Split-train/FeatureStats.pb"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_nan_infinity_and_empty_columns_leave_the_summary_readable(tmp_path, capsys):
    table = pa.table(
        {
            "odd": pa.array([1.0, math.nan, math.inf, None], pa.float32()),
            "only_nan": pa.array([math.nan] * 4, pa.float32()),
            "empty_float": pa.array([None] * 4, pa.float32()),
            "empty_int": pa.array([None] * 4, pa.int64()),
            "empty_text": pa.array([None] * 4, pa.string()),
            "bytes": pa.array([b"\xff\xfe", b"a", None, b"a"], pa.binary()),
        }
    )
    examples = write_examples(tmp_path / "data", {"train": table})
    work.write_statistics(examples, str(tmp_path / "out"), str(tmp_path / "v.html"), [])
    features = layouts.read_json(tmp_path / "out" / "summary.json")["splits"][0]["features"]
    by_name = {feature["name"]: feature for feature in features}
    assert (by_name["odd"]["nan"], by_name["odd"]["infinite"], by_name["odd"]["present"]) == (1, 1, 2)
    assert by_name["odd"]["max"] is None
    assert by_name["only_nan"]["mean"] is None
    empty = ("only_nan", "empty_float", "empty_int", "empty_text")
    assert all(by_name[name]["missing"] == 1 for name in empty)
    assert "; infinite values: odd\n" in capsys.readouterr().out


@pytest.mark.parametrize("beam", [[], ["--direct_num_workers=1"]], ids=["in memory", "Beam"])
def test_nan_is_counted_and_validated_as_null_is(tmp_path, beam):
    values = [1.0, None, 2.5, None, 4.0]
    written = {}
    for name, missing in (("null", None), ("nan", math.nan)):
        column = pa.array([missing if value is None else value for value in values], pa.float64(), from_pandas=False)
        examples = write_examples(tmp_path / name, {"train": pa.table({"x": column})})
        work.write_statistics(examples, str(tmp_path / f"{name}-out"), str(tmp_path / "v.html"), beam)
        written[name] = read_statistics(tmp_path / f"{name}-out", "train").features[0].num_stats
    counts = ("num_missing", "num_non_missing", "tot_num_values", "min_num_values", "avg_num_values")
    null, nan = (
        [getattr(stats.common_stats, count) for count in counts] + [stats.min, stats.max, stats.mean, stats.std_dev]
        for stats in (written["null"], written["nan"])
    )
    assert nan == null
    assert null[:2] == [2, 3]
    assert feature_statistics.nan_values(read_statistics(tmp_path / "nan-out", "train").features[0]) == 2


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**40), 2**40),
            st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False),
            st.none() | st.text(max_size=8),
        ),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 40),
)
@settings(max_examples=tries(8, 25), deadline=None)
def test_any_values_in_any_batches_are_counted_right(rows, batch_rows):
    whole, real, text = (list(column) for column in zip(*rows, strict=True))
    types = [pa.int64(), pa.float32(), pa.string()]
    arrays = [pa.array(column, kind) for column, kind in zip((whole, real, text), types, strict=True)]
    table = pa.Table.from_arrays(arrays, names=["whole", "real", "text"])
    dataset = feature_statistics.compute(table.to_batches(max_chunksize=batch_rows), "train").datasets[0]
    assert dataset.num_examples == len(rows)
    for feature, column in zip(dataset.features, (whole, real, text), strict=True):
        stats = getattr(feature, feature.WhichOneof("stats"))
        known = [value for value in column if value is not None]
        assert stats.common_stats.num_non_missing == len(known)
        if known and feature.path.step[0] == "whole":
            assert (stats.min, stats.max) == (min(known), max(known))


def test_a_split_without_rows_is_refused(tmp_path):
    examples = write_examples(tmp_path / "data", {"train": flights(10), "eval": flights(10).slice(0, 0)})
    with pytest.raises(DataError, match=r"split 'eval' of the dataset has no rows \(window 2013-01-01 to open\)"):
        work.write_statistics(examples, str(tmp_path / "out"), str(tmp_path / "v.html"), [])


def test_a_dataset_without_splits_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    examples = write_examples(tmp_path / "data", {})
    with pytest.raises(DataError, match="has no split"):
        work.write_statistics(examples, str(tmp_path / "out"), str(tmp_path / "v.html"), [])


def test_a_column_of_another_type_names_the_column_and_the_fix(tmp_path):
    table = pa.table({"at": pa.array([0, 1], pa.timestamp("us"))})
    examples = write_examples(tmp_path / "data", {"train": table})
    with pytest.raises(DataError, match=r"(?s)column 'at' has the type timestamp\[us\].*fix: cast it"):
        work.write_statistics(examples, str(tmp_path / "out"), str(tmp_path / "v.html"), [])


def test_the_summary_is_strict_json(written):
    root, _ = written

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    json.loads((root / "out" / "summary.json").read_text(), parse_constant=refuse)
