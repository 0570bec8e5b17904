"""The evaluate component: real SavedModels over real Parquet, judged by every gate."""

import pytest
import tensorflow_model_analysis as tfma

from evaluations import EVAL_ROWS, assert_blessed, assert_refused, at_least, config

# Absolute gates


def test_first_model_is_blessed_against_thresholds_and_the_trivial_baseline(judge, capsys):
    verdict = judge("good")

    assert_blessed(verdict)
    assert [check.gate for check in verdict.blessing.checks] == ["predictions", "threshold", "baseline"]
    assert verdict.blessing.compared_with == ""
    assert "summary: blessed: AUC 0.7" in capsys.readouterr().out


def test_shuffled_labels_are_refused_with_reasons(judge, capsys):
    verdict = judge("shuffled", champion="fair")

    assert_refused(verdict, "threshold", "baseline", "champion")
    assert "demanded is ≥ 0.6" in verdict.check("threshold").reason
    assert "against 0.500 of always predicting" in verdict.check("baseline").reason
    assert "< champion v3's 0.7" in verdict.check("champion").reason
    assert "on the same 4,000 rows (difference −0.2" in verdict.check("champion").reason
    assert "summary: refused: AUC 0." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("threshold", "refused"),
    [
        pytest.param(at_least(0.6), False, id="met overall"),
        pytest.param(at_least(0.9), True, id="missed overall"),
        pytest.param(at_least(0.9, "slicing_specs { feature_keys: 'origin' }"), True, id="missed on slices"),
        pytest.param(at_least(0.6, "slicing_specs { feature_keys: 'origin' }"), False, id="met on slices"),
        pytest.param(at_least(0.6, ""), False, id="bound to every slice"),
        pytest.param(at_least(0.6, "slicing_specs { feature_keys: 'carrier' }"), True, id="no such slice computed"),
    ],
)
def test_value_thresholds_bind_to_the_slices_they_name(judge, threshold, refused):
    verdict = judge("good", text=config(threshold))

    if refused:
        assert_refused(verdict, "threshold")
    else:
        assert_blessed(verdict)
    assert tfma.load_validation_result(str(verdict.root / "evaluation")).validation_ok is not refused


@pytest.mark.parametrize(("absolute", "refused"), [(0.0, False), (0.2, True)], ids=["met", "missed"])
def test_change_thresholds_compare_with_the_champion(judge, absolute, refused):
    change = f"threshold {{ change_threshold {{ absolute {{ value: {absolute} }} direction: HIGHER_IS_BETTER }} }}"
    text = config(f"per_slice_thresholds {{ slicing_specs {{}} {change} }}")

    with_champion, first = judge("good", "fair", text), judge("good", text=text)

    if refused:
        assert_refused(with_champion, "threshold")
        assert "change of AUC 0.0" in with_champion.check("threshold").reason
    assert with_champion.result.blessed is not refused
    assert_blessed(first)  # without a champion there is nothing to change from


@pytest.mark.parametrize("metric", ["auc", "log_loss"])
def test_a_model_must_beat_the_prior_by_the_demanded_gain(judge, metric):
    assert_blessed(judge("good", metric=metric))
    assert_refused(judge("good", metric=metric, min_baseline_gain=0.4), "baseline")


def test_overconfident_model_is_worse_than_the_prior_in_log_loss(judge):
    verdict = judge("confident", metric="log_loss")

    assert_refused(verdict, "baseline")
    assert verdict.report["baseline"]["gain"] < 0


def test_predictions_that_are_not_finite_are_refused(judge):
    verdict = judge("NaN", champion="fair")

    assert_refused(verdict, "predictions")
    assert "no finite prediction for" in verdict.blessing.refusals[0]
    assert not tfma.load_validation_result(str(verdict.root / "evaluation")).validation_ok


def test_champion_without_finite_predictions_cannot_be_compared_with(judge):
    verdict = judge("good", champion="NaN")

    assert_refused(verdict, "predictions")
    assert "champion v3 gives no finite prediction" in verdict.blessing.refusals[0]


# Against the champion


def test_better_challenger_is_blessed_with_an_interval(judge, capsys):
    verdict = judge("good", champion="fair")

    assert_blessed(verdict)
    assert verdict.blessing.compared_with == "3"
    compared = verdict.report["comparison"]
    assert 0 < compared["low"] < compared["gain"] < compared["high"]
    assert compared["gain"] == pytest.approx(compared["challenger"] - compared["champion"])
    assert "champion v3 0.7" in capsys.readouterr().out


@pytest.mark.parametrize("metric", ["auc", "log_loss", "accuracy"])
@pytest.mark.parametrize(
    ("model", "champion"),
    [pytest.param("fair", "good", id="worse"), pytest.param("good", "good", id="same")],
)
def test_challenger_that_gains_nothing_is_refused(judge, metric, model, champion):
    verdict = judge(model, champion, metric=metric)

    assert "champion" in verdict.refused_by()
    assert "its lower end must be above 0" in verdict.check("champion").reason


@pytest.mark.parametrize(
    ("model", "champion", "settings", "verdict", "blessed"),
    [
        pytest.param("good", "fair", {}, "better", True, id="better"),
        pytest.param("fair", "good", {}, "worse", False, id="worse"),
        pytest.param("fair", "good", {"if_not_significant": "accept"}, "worse", False, id="worse is never accepted"),
        pytest.param("good", "good", {}, "not_significant", False, id="the same"),
        pytest.param("good", "good", {"if_not_significant": "accept"}, "not_significant", True, id="same, accepted"),
        pytest.param("good", "fair", {"if_not_significant": "accept", "min_gain": 0.2}, "not_significant", False,
                     id="surely less than demanded"),
    ],
)  # fmt: skip
def test_verdict_on_the_champion_is_one_of_three(judge, capsys, model, champion, settings, verdict, blessed):
    found = judge(model, champion, **settings)

    assert found.report["comparison"]["verdict"] == verdict
    assert found.result.blessed is blessed
    reason, said = found.check("champion").reason, capsys.readouterr().out
    page = (found.root / "view.html").read_text()
    assert reason.startswith({"better": "AUC", "worse": "worse: AUC"}.get(verdict, "not significantly better: AUC"))
    if verdict == "not_significant":
        assert "not significantly better" in page
        assert ("not significantly better is accepted" in said) is blessed
        assert ("the champion stays" in page) is not blessed


def test_how_an_interval_was_found_is_said(judge):
    methods = {metric: judge("good", "fair", metric=metric).report["comparison"]["method"]
               for metric in ("auc", "accuracy", "balanced_accuracy")}  # fmt: skip

    assert methods == {
        "auc": "DeLong",
        "accuracy": "normal, paired differences of rows",
        "balanced_accuracy": "paired bootstrap, 1,000 draws",
    }


def test_min_gain_moves_the_bar(judge):
    assert_refused(judge("good", "fair", min_gain=0.1), "champion")
    assert_blessed(judge("good", "good", min_gain=-0.01))


def test_worse_slice_is_refused_and_named(judge):
    verdict = judge("blind at JFK", champion="fair", slices=["origin"], min_gain=-1)

    assert_refused(verdict, "slices")
    assert "AUC falls behind champion v3's on origin=JFK 0.500 against 0.7" in verdict.check("slices").reason
    assert "at most 0.05 is allowed" in verdict.check("slices").reason


def test_slices_with_few_rows_are_not_judged(judge):
    verdict = judge("good", champion="fair", slices=["origin", "carrier"])

    assert_blessed(verdict)
    assert {item["slice"] for item in verdict.report["slice_comparison"]} == {
        "origin=EWR", "origin=JFK", "origin=LGA", "carrier=AA", "carrier=B6",
    }  # fmt: skip


def test_slice_gate_that_could_judge_nothing_refuses(judge):
    verdict = judge("good", champion="fair", slices=["origin"], min_slice_rows=EVAL_ROWS)

    assert_refused(verdict, "slices")
    assert "nothing could be judged" in verdict.check("slices").reason
