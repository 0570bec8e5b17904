"""The judge's statistics are computed by fast ways: each gives what its definition gives, bit for bit."""

import numpy as np
import pyarrow as pa
import pytest

from kfp_ct.base.errors import DataError
from kfp_ct.components.monitor import quality
from kfp_ct.components.monitor.quality import BaselineMetric
from kfp_ct.releasing import differences
from kfp_ct.releasing.differences import Side

RANDOM = np.random.default_rng(7)


@pytest.mark.parametrize("rows", [0, 1, 2, 1_000])
def test_rows_of_a_request_count_together(rows):
    requests = RANDOM.integers(0, max(1, rows // 2), rows)  # some have no row
    influence = RANDOM.normal(size=rows)

    sums = np.array([influence[requests == each].cumsum()[-1] for each in np.unique(requests)])

    found = differences._clustered(influence, requests)
    expected = float(np.square(sums).sum()) * len(sums) / (len(sums) - 1) if len(sums) > 1 else np.inf
    assert found == (expected, len(sums))


@pytest.mark.parametrize("decimals", [1, 16], ids=["ties", "no ties"])
def test_distance_is_the_largest_difference_of_the_distribution_functions(decimals):
    first, second = (RANDOM.normal(size=rows).round(decimals) for rows in (300, 200))

    everywhere = np.concatenate([first, second])
    by_definition = max(abs((first <= each).mean() - (second <= each).mean()) for each in everywhere)

    assert differences.distance(first, second) == by_definition


def test_a_side_of_finite_rows_is_itself():
    side = Side(np.array([0.5, np.nan]), np.array([0, 1]), np.array([1.0, 0.0]))

    assert side.on(np.array([True, True])) is side
    assert side.on(side.finite).labels.tolist() == [1.0]


def baseline(task="binary", classes=()):
    return BaselineMetric(task, "log_loss", None, 0.0, "", classes, "late")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array([0, 1], pa.int64()), [0.0, 1.0]),
        (pa.array([0.0, 1.0], pa.float32()), [0.0, 1.0]),
        (pa.array([True, False]), [1.0, 0.0]),
    ],
    ids=["integers", "floats", "booleans"],
)
def test_labels_become_numbers(labels, expected):
    found = quality.labels_of(pa.table({"label": labels}), baseline())

    assert (found.dtype, found.tolist()) == (np.float64, expected)


@pytest.mark.parametrize(
    ("labels", "shown"),
    [(pa.array([0, 2]), "2"), (pa.array([1.0, float("nan")]), "nan"), (pa.array([1, None]), "None")],
    ids=["another", "no number", "missing"],
)
def test_a_label_that_is_none_of_the_task_is_named(labels, shown):
    with pytest.raises(DataError, match=f"the label {shown} is none of a binary model"):
        quality.labels_of(pa.table({"label": labels}), baseline())


def test_numbers_that_are_names_of_classes_are_looked_up():
    found = quality.labels_of(pa.table({"label": [3, 1]}), baseline("multiclass", ("1", "2", "3")))

    assert found.tolist() == [2.0, 0.0]
