"""The check_labels component: what it counts, and that it says no."""

import pyarrow as pa
import pytest

from components.check_labels import work
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data import layouts
from kfp_ct.testing import datasets


def labels(*values):
    return pa.table({"late": pa.array(values, pa.int64()), "distance": pa.array(range(len(values)), pa.float32())})


@pytest.fixture
def check(tmp_path):
    def run(train, evaluation, label="late", min_share=0.1):
        examples = datasets.write(tmp_path / "examples", {"train": train, "eval": evaluation})
        return work.check(examples, str(tmp_path / "shares"), label, min_share)

    return run


def test_it_counts_every_split(check, tmp_path):
    expected = {"train": {"0": 0.75, "1": 0.25}, "eval": {"0": 0.5, "1": 0.5}}
    assert check(labels(0, 0, 0, 1), labels(0, 1)) == expected
    assert layouts.read_json(tmp_path / "shares/summary.json") == expected


def test_a_missing_label_is_a_value_of_its_own(check):
    assert check(labels(0, 1, None, None), labels(0, 1, 1, None))["train"]["missing"] == 0.5


def test_a_rare_value_stops_the_run(check):
    with pytest.raises(DataError, match=r"too rare: 1 is 5\.00% of split train\nexpected: 10\.00% of the rows"):
        check(labels(*[0] * 19, 1), labels(0, 1))


def test_a_value_that_one_split_does_not_have_stops_the_run(check):
    with pytest.raises(DataError, match=r"1 is 0\.00% of split eval"):
        check(labels(0, 1), labels(0, 0))


def test_no_rows_are_no_evidence(check):
    with pytest.raises(DataError, match="split eval has no rows"):
        check(labels(0, 1), labels())


def test_a_column_that_is_not_there_is_named(check):
    with pytest.raises(ConfigurationError, match="no column 'latte'\nexpected: one of late, distance"):
        check(labels(0, 1), labels(0, 1), label="latte")


def test_a_number_is_no_label_of_a_few_values(check):
    many = labels(*range(1_500))
    with pytest.raises(ConfigurationError, match="more than 1,000 values"):
        check(many, many, label="distance")
