"""Metrics against their formulas, and intervals of a gain: against a bootstrap, the truth, and at the edges."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_ct.components.evaluate import bootstrap as resampling
from kfp_ct.components.evaluate import estimates
from kfp_ct.components.evaluate.samples import Sample
from kfp_ct.components.evaluate.settings import Gates


def pair(count, seed=0):
    """Labels, and two correlated models of which the first is better."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=count)
    labels = (rng.random(count) < 1 / (1 + np.exp(-truth))).astype(np.float32)
    shared = rng.normal(size=count)
    models = [1 / (1 + np.exp(-(truth + 0.5 * shared + noise * rng.normal(size=count)))) for noise in (0.5, 1.0)]
    return labels, *(model.astype(np.float32) for model in models)


def binary(metric="auc", **gates):
    return Gates(task="binary", metric=metric, **gates)


def gain(gates, labels, first, second):
    return estimates.gain(gates, Sample("binary", labels), first, second)


def value(metric, labels, predictions):
    return estimates.value(metric, Sample("binary", labels), predictions)


def auc_by_definition(labels, predictions):
    positive, negative = predictions[labels == 1], predictions[labels == 0]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    return wins.mean()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.2, 0.25, 0.5, 0.9, 1.0])), min_size=2, max_size=40))
def test_auc_is_the_share_of_pairs_ranked_rightly(rows):
    labels, predictions = (np.array(column, np.float32) for column in zip(*rows, strict=True))
    if labels.min() == labels.max():
        assert math.isnan(value("auc", labels, predictions))
    else:
        expected = auc_by_definition(labels, predictions)
        assert value("auc", labels, predictions) == pytest.approx(expected, abs=1e-9)


def bootstrap(gates, labels, first, second, draws=600):
    rng = np.random.default_rng(1)
    gains = []
    for _ in range(draws):
        rows = rng.integers(0, len(labels), len(labels))
        gains.append(gain(gates, labels[rows], first[rows], second[rows]).value)
    return np.std(gains)


@pytest.mark.parametrize("metric", ["auc", "log_loss", "accuracy"])
def test_interval_is_as_wide_as_a_bootstrap_says(metric):
    gates, data = binary(metric), pair(1_500)
    found = gain(gates, *data)

    half_width = 1.959964 * bootstrap(gates, *data)
    assert found.high - found.value == pytest.approx(half_width, rel=0.12)
    assert found.value - found.low == pytest.approx(half_width, rel=0.12)


def test_interval_covers_the_truth_as_often_as_it_says():
    true_gain = gain(binary(), *pair(400_000, seed=99)).value
    intervals = [gain(binary(confidence=0.9), *pair(400, seed=seed)) for seed in range(400)]

    covered = np.mean([interval.low <= true_gain <= interval.high for interval in intervals])
    assert covered == pytest.approx(0.9, abs=0.045)


def test_paired_interval_is_narrower_than_the_models_own():
    labels, first, second = pair(2_000)
    own = gain(binary(), labels, first, np.full_like(first, 0.3))
    paired = gain(binary(), labels, first, second)

    assert paired.high - paired.low < own.high - own.low


@pytest.mark.parametrize("metric", ["auc", "log_loss", "accuracy"])
def test_gain_turns_its_sign_with_the_roles(metric):
    labels, first, second = pair(500)
    there, back = (gain(binary(metric), labels, *pair_) for pair_ in ((first, second), (second, first)))

    assert there.value > 0
    assert (back.value, back.low, back.high) == pytest.approx((-there.value, -there.high, -there.low))


@pytest.mark.parametrize("metric", ["auc", "log_loss", "accuracy"])
def test_same_model_gains_exactly_nothing(metric):
    labels, first, _ = pair(500)
    found = gain(binary(metric), labels, first, first)

    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_one_positive_row_is_too_few_for_an_interval():
    labels = np.array([1, 0, 0, 0], np.float32)
    found = gain(binary(), labels, np.array([0.9, 0.1, 0.2, 0.3], np.float32), np.full(4, 0.5, np.float32))

    assert found.value == 0.5
    assert found.low == -math.inf


def test_log_loss_stays_finite_where_a_model_is_sure_and_wrong():
    labels, sure = np.array([0, 1], np.float32), np.array([1, 0], np.float32)

    assert value("log_loss", labels, sure) == pytest.approx(-math.log(1e-7), rel=1e-2)


# Several classes and values


def classes(count, seed=0):
    """Labels of three classes, and two models' probabilities, the first better."""
    rng = np.random.default_rng(seed)
    logits = rng.normal([0.5, 0, -0.5], size=(count, 3))
    labels = (logits + rng.gumbel(size=(count, 3))).argmax(axis=1)
    given = [np.exp(logits + noise * rng.normal(size=(count, 3))) for noise in (0.5, 1.5)]
    return labels.astype(np.float32), *(g / g.sum(axis=1, keepdims=True) for g in given)


def values(count, seed=0):
    """Values, and two models' predictions of them, the first better."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=count)
    return 10 + truth + rng.normal(size=count), *(10 + truth + noise * rng.normal(size=count) for noise in (0.3, 0.7))


DATA = {"binary": pair, "multiclass": classes, "regression": values}
BOOTSTRAPPED = [("regression", "rmse"), ("regression", "r2"), ("multiclass", "balanced_accuracy")]
CLOSED = [("multiclass", "accuracy"), ("multiclass", "log_loss"), ("multiclass", "macro_auc"), ("regression", "mse"),
          ("regression", "mae")]  # fmt: skip


def one_class_auc(y, p):
    return np.mean([auc_by_definition((y == k).astype(int), p[:, k]) for k in range(3)])


def mean_recall(y, p):
    return np.mean([np.mean(p[y == k].argmax(1) == k) for k in range(3)])


@pytest.mark.parametrize(
    ("task", "metric", "formula"),
    [
        ("multiclass", "accuracy", lambda y, p: np.mean(p.argmax(1) == y)),
        ("multiclass", "log_loss", lambda y, p: -np.mean(np.log(p[np.arange(len(y)), y.astype(int)]))),
        ("multiclass", "macro_auc", one_class_auc),
        (
            "multiclass",
            "balanced_accuracy",
            lambda y, p: np.mean([np.mean(p[y == k].argmax(1) == k) for k in range(3)]),
        ),
        ("binary", "balanced_accuracy", lambda y, p: (np.mean(p[y == 1] > 0.5) + np.mean(p[y == 0] <= 0.5)) / 2),
        ("regression", "rmse", lambda y, p: np.sqrt(np.mean((y - p) ** 2))),
        ("regression", "mse", lambda y, p: np.mean((y - p) ** 2)),
        ("regression", "mae", lambda y, p: np.mean(np.abs(y - p))),
        ("regression", "r2", lambda y, p: 1 - np.sum((y - p) ** 2) / np.sum((y - y.mean()) ** 2)),
    ],
)
def test_metrics_are_their_formulas(task, metric, formula):
    labels, first, _ = DATA[task](700)

    assert estimates.value(metric, Sample(task, labels), first) == pytest.approx(formula(labels, first), abs=1e-9)


@pytest.mark.parametrize(("task", "metric"), [*BOOTSTRAPPED, *CLOSED])
def test_a_weight_counts_as_so_many_rows(task, metric):
    labels, first, _ = DATA[task](300)
    weights = np.random.default_rng(2).integers(0, 4, len(labels))

    weighted = estimates.value(metric, Sample(task, labels, weights.astype(float)), first)
    repeated = estimates.value(metric, Sample(task, np.repeat(labels, weights)), np.repeat(first, weights, axis=0))
    assert weighted == pytest.approx(repeated, abs=1e-9)


def test_a_weight_counts_as_so_many_rows_in_an_auc():
    labels, first, _ = pair(300)
    weights = np.random.default_rng(2).integers(0, 4, len(labels))

    weighted = estimates.value("auc", Sample("binary", labels, weights.astype(float)), first)
    assert weighted == pytest.approx(value("auc", np.repeat(labels, weights), np.repeat(first, weights)), abs=1e-9)


@pytest.mark.parametrize(("task", "metric"), [*BOOTSTRAPPED, *CLOSED, ("binary", "auc")])
@pytest.mark.parametrize("weighted", [False, True], ids=["rows alike", "weighted"])
def test_intervals_cover_the_truth_as_often_as_they_say(task, metric, weighted):
    def sample(count, seed):
        labels, *models = DATA[task](count, seed)
        weights = np.random.default_rng(seed).exponential(size=count) if weighted else None
        return Sample(task, labels, weights), *models

    gates = Gates(task=task, metric=metric, confidence=0.9)
    given, *models = sample(200_000, 99)
    ours, theirs = (estimates.value(metric, given, it) for it in models)
    truth = (theirs - ours) if metric in estimates.LESS_IS_BETTER else (ours - theirs)
    found = [estimates.gain(gates, *sample(250, seed)) for seed in range(200)]

    covered = np.mean([interval.low <= truth <= interval.high for interval in found])
    assert covered == pytest.approx(0.9, abs=0.075)
    assert truth > 0


@pytest.mark.parametrize(("task", "metric"), BOOTSTRAPPED)
def test_bootstrap_of_blocks_is_as_wide_as_of_rows(task, metric, monkeypatch):
    gates, (labels, first, second) = Gates(task=task, metric=metric), DATA[task](4_000)
    by_row = estimates.gain(gates, Sample(task, labels), first, second)
    monkeypatch.setattr(resampling, "MOST_BLOCKS", 500)
    by_block = estimates.gain(gates, Sample(task, labels), first, second)

    assert by_block.value == by_row.value
    assert by_block.high - by_block.low == pytest.approx(by_row.high - by_row.low, rel=0.15)
    assert by_row.method == "paired bootstrap, 1,000 draws"


@pytest.mark.parametrize(("task", "metric"), [*BOOTSTRAPPED, *CLOSED])
def test_same_model_of_any_task_gains_exactly_nothing(task, metric):
    labels, first, _ = DATA[task](300)
    found = estimates.gain(Gates(task=task, metric=metric), Sample(task, labels), first, first)

    assert (found.value, found.low, found.high) == (0, 0, 0)


@pytest.mark.parametrize(("task", "metric"), [*BOOTSTRAPPED, *CLOSED])
def test_one_row_is_too_few_for_an_interval_of_any_metric(task, metric):
    labels, first, second = DATA[task](1)
    found = estimates.gain(Gates(task=task, metric=metric), Sample(task, labels), first, second)

    assert (found.low, found.high) == (-math.inf, math.inf)


def test_r2_of_labels_that_do_not_vary_is_none():
    assert math.isnan(estimates.value("r2", Sample("regression", np.full(5, 0.1)), np.arange(5.0)))
