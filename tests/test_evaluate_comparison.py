"""Intervals of a gain: DeLong against a bootstrap, against the definition, and at the edges."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.evaluate import comparison
from components.evaluate.config import Gates


def pair(count, seed=0):
    """Labels, and two correlated models of which the first is better."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=count)
    labels = (rng.random(count) < 1 / (1 + np.exp(-truth))).astype(np.float32)
    shared = rng.normal(size=count)
    models = [1 / (1 + np.exp(-(truth + 0.5 * shared + noise * rng.normal(size=count)))) for noise in (0.5, 1.0)]
    return labels, *(model.astype(np.float32) for model in models)


def auc_by_definition(labels, predictions):
    positive, negative = predictions[labels == 1], predictions[labels == 0]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    return wins.mean()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.2, 0.25, 0.5, 0.9, 1.0])), min_size=2, max_size=40))
def test_auc_is_the_share_of_pairs_ranked_rightly(rows):
    labels, predictions = (np.array(column, np.float32) for column in zip(*rows, strict=True))
    if labels.min() == labels.max():
        assert math.isnan(comparison.value("auc", labels, predictions))
    else:
        expected = auc_by_definition(labels, predictions)
        assert comparison.value("auc", labels, predictions) == pytest.approx(expected, abs=1e-9)


def bootstrap(gates, labels, first, second, draws=600):
    rng = np.random.default_rng(1)
    gains = []
    for _ in range(draws):
        rows = rng.integers(0, len(labels), len(labels))
        gains.append(comparison.gain(gates, labels[rows], first[rows], second[rows]).value)
    return np.std(gains)


@pytest.mark.parametrize("metric", ["auc", "log_loss", "accuracy"])
def test_interval_is_as_wide_as_a_bootstrap_says(metric):
    gates, data = Gates(metric=metric), pair(1_500)
    gain = comparison.gain(gates, *data)

    reach = 1.959964 * bootstrap(gates, *data)
    assert gain.high - gain.value == pytest.approx(reach, rel=0.12)
    assert gain.value - gain.low == pytest.approx(reach, rel=0.12)


def test_interval_covers_the_truth_as_often_as_it_says():
    true_gain = comparison.gain(Gates(), *pair(400_000, seed=99)).value
    intervals = [comparison.gain(Gates(confidence=0.9), *pair(400, seed=seed)) for seed in range(400)]

    covered = np.mean([interval.low <= true_gain <= interval.high for interval in intervals])
    assert covered == pytest.approx(0.9, abs=0.045)


def test_paired_interval_is_narrower_than_the_models_own():
    labels, first, second = pair(2_000)
    own = comparison.gain(Gates(), labels, first, np.full_like(first, 0.3))
    paired = comparison.gain(Gates(), labels, first, second)

    assert paired.high - paired.low < own.high - own.low


@pytest.mark.parametrize("metric", ["auc", "log_loss", "accuracy"])
def test_gain_turns_its_sign_with_the_roles(metric):
    labels, first, second = pair(500)
    there, back = (
        comparison.gain(Gates(metric=metric), labels, *pair_) for pair_ in ((first, second), (second, first))
    )

    assert there.value > 0
    assert (back.value, back.low, back.high) == pytest.approx((-there.value, -there.high, -there.low))


@pytest.mark.parametrize("metric", ["auc", "log_loss", "accuracy"])
def test_same_model_gains_exactly_nothing(metric):
    labels, first, _ = pair(500)
    gain = comparison.gain(Gates(metric=metric), labels, first, first)

    assert (gain.value, gain.low, gain.high) == (0, 0, 0)


def test_one_positive_row_is_too_few_for_an_interval():
    labels = np.array([1, 0, 0, 0], np.float32)
    gain = comparison.gain(Gates(), labels, np.array([0.9, 0.1, 0.2, 0.3], np.float32), np.full(4, 0.5, np.float32))

    assert gain.value == 0.5
    assert gain.low == -math.inf


def test_log_loss_stays_finite_where_a_model_is_sure_and_wrong():
    labels, sure = np.array([0, 1], np.float32), np.array([1, 0], np.float32)

    assert comparison.value("log_loss", labels, sure) == pytest.approx(-math.log(1e-7), rel=1e-2)
