"""A champion must not be judged on rows that it was trained on."""

import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluations import assert_blessed, assert_refused, rows, write_examples
from kfp_ct.components.evaluate import fair_comparison
from kfp_ct.components.evaluate.fair_comparison import FAIR, SAW, UNKNOWN
from kfp_ct.data import layouts
from kfp_ct.data.layouts import Manifest

MONTH = {"method": "time", "column": "at", "holdout": "1 month"}
HASH = {"method": "hash", "columns": ["id"], "eval_fraction": 0.2}


def dataset(start="2013-01-01", end="2013-06-01", split=MONTH, fingerprint=None):
    window = {name: value for name, value in (("start", start), ("end", end)) if value}
    return Manifest([], {}, fingerprint or f"{start}{end}{split}", {}, window, split)


@pytest.mark.parametrize(
    ("now", "then", "status"),
    [
        pytest.param(dataset(end="2013-07-01"), dataset(), FAIR, id="June after May"),
        pytest.param(dataset(), dataset(), FAIR, id="the same window again"),
        pytest.param(dataset(), dataset(end="2013-07-01"), SAW, id="an older window again"),
        pytest.param(dataset(end="2013-07-01"), dataset(start="2012-01-01"), FAIR, id="more of the past"),
        pytest.param(dataset(split={**MONTH, "holdout": "2 months"}), dataset(), SAW, id="a longer holdout"),
        pytest.param(dataset(split={**MONTH, "holdout": "1 week"}), dataset(), FAIR, id="a shorter holdout"),
        pytest.param(dataset(end="2013-06-01T00:00:00+00:00"), dataset(), FAIR, id="a zone"),
        pytest.param(dataset(split={**MONTH, "column": "other"}), dataset(), SAW, id="another time"),
        pytest.param(dataset(end=""), dataset(), UNKNOWN, id="no end"),
        pytest.param(dataset(end="", fingerprint="f"), dataset(end="", fingerprint="f"), FAIR, id="the same rows"),
        pytest.param(
            dataset(end="", fingerprint="f", split={**MONTH, "holdout": "2 weeks"}),
            dataset(end="", fingerprint="f"), SAW, id="the same rows at another border",
        ),
        pytest.param(dataset(end="2013-09-01", split=HASH), dataset(split=HASH), FAIR, id="the same keys"),
        pytest.param(dataset(split={**HASH, "eval_fraction": 0.1}), dataset(split=HASH), FAIR, id="fewer keys"),
        pytest.param(dataset(split={**HASH, "eval_fraction": 0.3}), dataset(split=HASH), SAW, id="more keys"),
        pytest.param(dataset(split={**HASH, "columns": ["k"]}), dataset(split=HASH), SAW, id="other keys"),
        pytest.param(dataset(split={**HASH, "method": "group", "keys": ["k"]}),
                     dataset("2013-02-01", split=HASH), FAIR,
                     id="a group is a hash"),
        pytest.param(dataset(split={"method": "column", "column": "s"}),
                     dataset("2013-02-01", split={"method": "column", "column": "s"}), FAIR, id="the column says"),
        pytest.param(dataset(split=HASH), dataset(), SAW, id="another method"),
        pytest.param(dataset("2014-01-01", "2014-06-01", HASH), dataset(), FAIR, id="another year"),
        pytest.param(dataset(split={"method": "stratified"}, fingerprint="a"),
                     dataset(split={"method": "stratified"}, fingerprint="b"), SAW, id="a split by all rows"),
    ],
)  # fmt: skip
def test_eval_rows_are_compared_with_what_the_champion_was_trained_on(now, then, status):
    assert fair_comparison.compare(now, then).status == status


DAYS = st.integers(0, 700).map(lambda n: datetime.date(2013, 1, 1) + datetime.timedelta(days=n))


@settings(max_examples=100, deadline=None)
@given(DAYS, DAYS, st.integers(1, 40), st.integers(1, 40))
def test_time_splits_are_fair_exactly_where_no_day_is_in_both(now, then, held_out, before):
    ours = dataset("", now.isoformat(), {**MONTH, "holdout": f"{held_out} days"})
    theirs = dataset("", then.isoformat(), {**MONTH, "holdout": f"{before} days"})
    trained_until = then - datetime.timedelta(days=before)
    first = now - datetime.timedelta(days=held_out)

    assert (fair_comparison.compare(ours, theirs).status == FAIR) is (first >= trained_until)


@pytest.fixture
def trained(models, tmp_path):
    """Returns a function that says what a model was trained on."""

    def record(name, manifest):
        layouts.write_manifest(Path(models(name)) / layouts.TRAINING, manifest)

    return record


def data(tmp_path, end):
    window = {"start": "2013-01-01", "end": end}
    return write_examples(tmp_path / end, rows(2_000), window=window, split_by=MONTH)


def test_the_ordinary_sequence_is_fair(judge, trained, tmp_path):
    trained("fair", dataset())
    verdict = judge("good", "fair", data=data(tmp_path, "2013-07-01"))

    assert_blessed(verdict)
    reason = verdict.check("fair_comparison").reason
    assert reason.endswith("it was trained on 2013-01-01 to 2013-05-01, and 2013-06-01 to 2013-07-01 is held out now")


def test_champion_that_saw_the_eval_rows_refuses_the_comparison(judge, trained, tmp_path):
    trained("fair", dataset(end="2013-07-01"))
    older = data(tmp_path, "2013-06-01")

    verdict, warned = judge("good", "fair", data=older), judge("good", "fair", data=older, if_champion_saw_rows="warn")
    assert_refused(verdict, "fair_comparison")
    assert "the comparison is unfair: champion v3 may have been trained on eval rows" in verdict.blessing.refusals[0]
    assert_blessed(warned)
    assert warned.check("fair_comparison").reason.startswith("warning: the comparison is unfair")
    assert verdict.report["fair_comparison"]["status"] == SAW


@pytest.mark.parametrize("broken", ["", "{", '{"splits": []}'], ids=["none", "no JSON", "no manifest"])
def test_models_that_do_not_say_what_they_were_trained_on_are_said_to_be_unknown(judge, models, tmp_path, broken):
    path = Path(models("fair")) / layouts.TRAINING / layouts.MANIFEST
    path.parent.mkdir(exist_ok=True)
    path.write_text(broken) if broken else path.unlink(missing_ok=True)
    verdict = judge("good", "fair")

    assert_blessed(verdict)
    assert "is not known" in verdict.check("fair_comparison").reason
