"""Distances between datasets: TFDV's own figures, a comparator that does not fit, and data of every kind."""

import math

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from depth import tries
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data import drift, feature_statistics
from kfp_ct.data.drift import JENSEN_SHANNON, L_INFINITY

SCHEMA = """
feature { name: "colour" type: BYTES drift_comparator { infinity_norm { threshold: 0.1 } }
  skew_comparator { infinity_norm { threshold: 0.3 } } }
feature { name: "count" type: INT drift_comparator { jensen_shannon_divergence { threshold: 0.05 } } }
feature { name: "size" type: FLOAT drift_comparator { jensen_shannon_divergence { threshold: 0.2 } } }
feature { name: "other" type: FLOAT }
feature { name: "word" type: BYTES }
"""
DEFAULTS = {L_INFINITY: 0.1, JENSEN_SHANNON: 0.1}


def parse(text=SCHEMA):
    return text_format.Parse(text, schema_pb2.Schema())


def compute(**columns):
    return feature_statistics.compute(pa.table(columns).to_batches(), "rows")


def table(seed, colours="rgb", moved=0.0):
    random = np.random.default_rng(seed)
    numbers = random.normal(moved, 1, 500)
    return {
        "colour": random.choice(list(colours), 500).tolist(),
        "count": pa.array(np.round(numbers * 10).astype("int64")),
        "size": numbers,
        "other": numbers * 3,
        "word": random.choice(["a", "b"], 500).tolist(),
    }


def measure(current, baseline, schema=SCHEMA, comparator="drift", defaults=None):
    found = drift.distances(parse(schema), compute(**current), compute(**baseline), comparator, defaults or {})
    return {distance.feature: distance for distance in found}


@pytest.mark.parametrize("moved", [0.0, 0.3, 2.0])
def test_distances_and_verdicts_are_tfdvs_own(moved):
    current, baseline = compute(**table(1, "rgby", moved)), compute(**table(2))
    result = tfdv.validate_statistics(current, parse(), previous_statistics=baseline)
    theirs = {
        info.path.step[0]: info.drift_measurements[0] for info in result.drift_skew_info if info.drift_measurements
    }
    ours = {each.feature: each for each in drift.distances(parse(), current, baseline, "drift", {})}
    assert list(ours) == ["colour", "count", "size"]
    assert {name: (d.value, d.threshold) for name, d in ours.items()} == {
        name: (each.value, each.threshold) for name, each in theirs.items()
    }
    said = {name for name, info in result.anomaly_info.items() if "COMPARATOR" in str(info.reason)}
    assert {name for name, distance in ours.items() if distance.exceeded} == said


def test_skew_has_thresholds_of_its_own():
    found = measure(table(1, "rg"), table(2), comparator="skew")
    assert list(found) == ["colour"]
    assert found["colour"].threshold == pytest.approx(0.3)
    assert 0.3 < found["colour"].value < 0.4
    assert found["colour"].exceeded


def test_features_without_a_comparator_have_the_default_of_their_type():
    found = measure(table(1, moved=3), table(2), defaults=DEFAULTS)
    assert (found["other"].measure, found["other"].threshold, found["other"].exceeded) == (JENSEN_SHANNON, 0.1, True)
    assert (found["word"].measure, found["word"].exceeded) == (L_INFINITY, False)
    assert found["size"].threshold == pytest.approx(0.2)
    assert list(measure(table(1), table(2), defaults={L_INFINITY: 0.5})) == ["colour", "count", "size", "word"]


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ("type: FLOAT drift_comparator { infinity_norm { threshold: 0.1 } }", "FLOAT: infinity_norm"),
        ("type: INT skew_comparator { infinity_norm { threshold: 0.1 } }", "skew_comparator { jensen_shannon"),
        ("type: BYTES drift_comparator { jensen_shannon_divergence { threshold: 0.1 } }", "expected: infinity_norm"),
        ("type: FLOAT drift_comparator { normalized_abs_difference { threshold: 0.1 } }", "normalized_abs_difference"),
        ("type: FLOAT drift_comparator { }", "it names no measure"),
        (
            "type: INT drift_comparator { jensen_shannon_divergence { threshold: 1 } infinity_norm { threshold: 1 } }",
            "infinity_norm and jensen_shannon_divergence",
        ),
        ("type: FLOAT drift_comparator { jensen_shannon_divergence { threshold: 1.5 } }", "threshold 1.5"),
        ("type: FLOAT drift_comparator { jensen_shannon_divergence { threshold: nan } }", "threshold nan"),
    ],
)
def test_a_comparator_that_tfdv_would_not_apply_is_refused(feature, said):
    with pytest.raises(ConfigurationError) as raised:
        drift.check_comparators(parse(f'feature {{ name: "x" {feature} }}'))
    assert "the feature 'x'" in str(raised.value)
    assert said in str(raised.value)
    assert "fix: " in str(raised.value)


@pytest.mark.parametrize("defaults", [{"linfty": 0.1}, {L_INFINITY: -1}, {JENSEN_SHANNON: math.nan}])
def test_a_default_that_does_not_fit_is_refused(defaults):
    with pytest.raises(ConfigurationError):
        measure(table(1), table(2), defaults=defaults)


CATEGORICAL = (
    'feature { name: "code" type: INT int_domain { is_categorical: true } drift_comparator { %s { threshold: 0.2 } } }'
)


def test_a_categorical_integer_is_compared_by_what_its_statistics_hold():
    numbers, more = {"code": pa.array([1, 2] * 50)}, {"code": pa.array([1, 3] * 50)}
    assert measure(more, numbers, CATEGORICAL % JENSEN_SHANNON)["code"].exceeded
    with pytest.raises(ConfigurationError, match=f"as numbers, which {L_INFINITY} does not compare"):
        measure(more, numbers, CATEGORICAL % L_INFINITY)
    schema = parse(CATEGORICAL % L_INFINITY)
    counted = [
        tfdv.generate_statistics_from_dataframe(pa.table(rows).to_pandas(), tfdv.StatsOptions(schema=schema))
        for rows in (more, numbers)
    ]
    [distance] = drift.distances(schema, *counted, "drift", {})
    assert (distance.measure, distance.value) == (L_INFINITY, 0.5)


def test_values_on_one_side_only_are_as_far_as_can_be():
    null = {"colour": pa.array([None] * 9, pa.string()), "size": pa.array([math.nan] * 9)}
    some = {"colour": ["r"] * 9, "size": [1.0] * 9}
    for current, baseline in ((null, some), (some, null)):
        assert {name: each.value for name, each in measure(current, baseline).items()} == {"colour": 1.0, "size": 1.0}
    assert {name: each.value for name, each in measure(null, null).items()} == {"colour": 0.0, "size": 0.0}


def test_a_column_that_one_side_lacks_is_named_not_compared():
    current, baseline = {"colour": ["r"], "size": [1.0]}, {"colour": ["r"], "word": ["a"]}
    assert list(measure(current, baseline, defaults=DEFAULTS)) == ["colour"]
    assert drift.not_compared(parse(), compute(**current), compute(**baseline), "drift") == ["count", "size"]


def test_a_feature_that_is_not_in_use_is_not_compared():
    retired = SCHEMA.replace('name: "size"', 'name: "size" lifecycle_stage: DEPRECATED')
    assert list(measure(table(1), table(2), retired)) == ["colour", "count"]


@pytest.mark.parametrize(
    "odd", [[math.nan] * 5 + [math.inf, -math.inf, 1.0, 2.0, 3.0], [math.inf], [1e308, -1e308], [0.0, 5e-324]]
)
def test_odd_numbers_do_not_make_equal_data_differ(odd):
    assert measure({"size": odd}, {"size": odd})["size"].value == 0.0


@pytest.mark.parametrize("empty", ["current", "baseline"])
def test_no_rows_are_nothing_to_compare(empty):
    sides = {"current": table(1), "baseline": table(2)} | {empty: {"size": pa.array([], pa.float64())}}
    with pytest.raises(DataError, match=f"the {empty} statistics are of no rows"):
        measure(**sides)


def test_statistics_without_a_dataset_are_refused():
    with pytest.raises(DataError, match="hold 0 datasets"):
        drift.distances(parse(), statistics_pb2.DatasetFeatureStatisticsList(), compute(size=[1.0]), "drift", {})


def test_a_number_against_a_string_is_named_not_compared():
    sides = {"size": [1.0], "colour": ["r"]}, {"size": ["1"], "colour": ["r"]}
    assert list(measure(*sides)) == ["colour"]
    assert drift.not_compared(parse(), *(compute(**side) for side in sides), "drift") == ["count", "size"]


NUMBERS = st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=12)
STRINGS = st.lists(
    st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=3)), min_size=1, max_size=12
)


@settings(max_examples=tries(10, 25), deadline=None)
@given(NUMBERS, NUMBERS, STRINGS, STRINGS)
def test_distances_are_symmetric_from_0_to_1_and_0_for_equal_data(sizes, more_sizes, colours, more_colours):
    def statistics(numbers, strings):
        longest = max(len(numbers), len(strings))
        pad = [[*values, *[None] * (longest - len(values))] for values in (numbers, strings)]
        return compute(size=pa.array(pad[0], pa.float64()), colour=pa.array(pad[1], pa.string()))

    one, other = statistics(sizes, colours), statistics(more_sizes, more_colours)

    def values(current, baseline):
        return [distance.value for distance in drift.distances(parse(), current, baseline, "drift", {})]

    assert values(one, one) == pytest.approx([0.0, 0.0], abs=1e-9)
    assert all(0 <= value <= 1 for value in values(one, other))
    assert values(one, other) == pytest.approx(values(other, one), abs=1e-6)
