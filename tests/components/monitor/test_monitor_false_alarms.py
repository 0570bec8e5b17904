"""How often identical traffic raises an alarm, with thresholds of zero: sampling noise alone has to be borne."""

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

import small_examples
from kfp_ct.components.monitor import distances
from kfp_ct.components.monitor.settings import Rules
from kfp_ct.data import feature_statistics

SCHEMA = text_format.Parse(small_examples.SCHEMA, schema_pb2.Schema())
NAMES = ["size", "weight", "count", "colour", "spiky"]
ZERO = Rules(infinity_norm=0.0, jensen_shannon_divergence=0.0, missing=0.0, predictions=0.0, false_alarm=0.01)
RESAMPLES = 60


@pytest.fixture(scope="module")
def population():
    """Rows with a feature such as rain: mostly nothing, rarely much."""
    table = small_examples.table(30_000, seed=3)
    random = np.random.default_rng(3)
    spiky = np.where(random.random(30_000) < 0.97, 0.0, random.exponential(1.0, 30_000))
    return table.append_column("spiky", pa.array(spiky, pa.float32())).select(NAMES).combine_chunks()


@pytest.fixture(scope="module")
def schema():
    schema = schema_pb2.Schema()
    schema.CopyFrom(SCHEMA)
    schema.feature.add(name="spiky", type=schema_pb2.FLOAT)
    return schema


def sample(population, rows, random):
    return population.take(pa.array(random.integers(0, len(population), rows)))


@pytest.mark.parametrize("rows", [500, 5_000])
def test_identical_traffic_rarely_alarms_against_training_data(rows, population, schema):
    baseline = feature_statistics.compute(population.to_batches(), "train")
    random = np.random.default_rng(rows)
    alarms = sum(
        any(
            item.exceeded
            for item in distances.compare(schema, sample(population, rows, random), baseline, "skew", ZERO)
        )
        for _ in range(RESAMPLES)
    )

    # At the nominal 1 %, more than 3 of 60 have a probability of 0.3 %.
    assert alarms <= 3


def test_identical_traffic_rarely_alarms_against_the_period_before(population, schema):
    random = np.random.default_rng(7)
    alarms = sum(
        any(item.exceeded for item in distances.compare(schema, *(sample(population, 800, random) for _ in range(2)),
                                                        "drift", ZERO))
        for _ in range(RESAMPLES)
    )  # fmt: skip

    assert alarms <= 3


def test_a_small_change_of_many_rows_is_found_where_thresholds_allow_none(population, schema):
    baseline = feature_statistics.compute(population.to_batches(), "train")
    rows = population.slice(0, 20_000)
    size = pa.array(rows["size"].to_numpy() + np.float32(0.3), pa.float32())
    shifted = rows.set_column(0, "size", size)
    found = {item.feature: item for item in distances.compare(schema, shifted, baseline, "skew", ZERO)
             if item.exceeded}  # fmt: skip

    assert list(found) == ["size"]
    allowed = ZERO.model_copy(update={"jensen_shannon_divergence": 0.1})
    again = distances.compare(schema, shifted, baseline, "skew", allowed)
    assert not [item for item in again if item.feature == "size" and item.exceeded]


def test_a_feature_with_one_value_and_one_with_none_are_compared(schema):
    rows = pa.table({"size": pa.array([2.0] * 50, pa.float32()), "spiky": pa.array([None] * 50, pa.float32())})
    baseline = feature_statistics.compute(rows.to_batches(), "train")
    found = distances.compare(schema, rows, baseline, "skew", ZERO)

    assert {item.feature for item in found} == {"size", "spiky"}
    assert not [item for item in found if item.exceeded]
    other = rows.set_column(0, "size", pa.array([3.0] * 50, pa.float32()))
    assert [item.feature for item in distances.compare(schema, other, baseline, "skew", ZERO) if item.exceeded] == [
        "size"
    ]


def test_of_the_outputs_classes_are_compared_each_by_itself_and_embeddings_are_not():
    scores, embedded = (pa.FixedSizeListArray.from_arrays(pa.array([0.1] * 10 * width), width) for width in (2, 51))
    table = pa.table({"scores": scores, "embedded": embedded, "p": pa.array([0.5] * 10, pa.float32())})

    found = [item.feature for item in distances.compare_predictions(table, table, ZERO)]
    assert sorted(found) == ["p", "scores[0]", "scores[1]"]
