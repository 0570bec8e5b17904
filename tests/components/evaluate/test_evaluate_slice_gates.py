"""Slices: how far apart they may be, and which are too small to be judged."""

import pytest

from evaluations import assert_blessed, assert_refused, at_least, config
from kfp_ct.base.errors import ConfigurationError

ON_CARRIERS = "slicing_specs { feature_keys: 'carrier' }"
ON_SMALL = "slicing_specs { feature_values { key: 'carrier' value: 'HA' } }"
BY_CARRIER = "slicing_specs {} slicing_specs { feature_keys: 'carrier' }"


def test_gap_between_slices_is_refused_and_named(judge):
    verdict = judge("blind at JFK", slices=["origin"], max_slice_gap=0.1)

    assert_refused(verdict, "slice_gap")
    assert "origin=JFK 0.500" in verdict.check("slice_gap").reason
    assert "at most 0.1 is allowed" in verdict.check("slice_gap").reason
    assert verdict.report["slice_gaps"][0]["low"]["slice"] == "origin=JFK"


def test_every_slicing_column_has_its_own_gap(judge):
    verdict = judge("good", "fair", slices=["origin", "carrier"], max_slice_gap=0.1)

    assert_blessed(verdict)
    assert [gap["column"] for gap in verdict.report["slice_gaps"]] == ["origin", "carrier"]
    assert verdict.report["slice_gaps"][1]["slices"] == 2  # HA has too few rows


def test_gap_that_could_compare_nothing_refuses(judge):
    verdict = judge("good", slices=["origin"], max_slice_gap=0.1, min_slice_rows=4_000)

    assert_refused(verdict, "slice_gap")
    assert "there are no values of origin" in verdict.check("slice_gap").reason
    assert "nothing could be compared" in verdict.check("slice_gap").reason


def test_gap_without_slices_is_an_error(judge):
    with pytest.raises(ConfigurationError, match=r"gates\.max_slice_gap: .* and slices names none"):
        judge("good", max_slice_gap=0.1)


def test_threshold_on_a_small_slice_says_so_and_does_not_block(judge):
    text = config(at_least(0.6) + at_least(0.99, ON_SMALL), slicing=BY_CARRIER)
    verdict = judge("good", text=text)

    assert_blessed(verdict)
    reasons = [check.reason for check in verdict.blessing.checks if check.gate == "threshold"]
    assert reasons[1] == "AUC ≥ 0.99; not judged: carrier=HA, fewer than 500 rows"


def test_threshold_on_all_slices_judges_those_that_are_large_enough(judge):
    missed = judge("good", text=config(at_least(0.99, ON_CARRIERS), slicing=BY_CARRIER))
    met = judge("good", text=config(at_least(0.6, ON_CARRIERS), slicing=BY_CARRIER))

    assert_refused(missed, "threshold")
    assert "on carrier=HA" not in missed.check("threshold").reason.split("; not judged")[0]
    assert_blessed(met)
    assert met.check("threshold").reason.endswith("; not judged: carrier=HA, fewer than 500 rows")


@pytest.mark.parametrize(
    ("policy", "said"), [("judge", "on carrier=HA; demanded is ≥ 0.99"), ("refuse", "could not be judged everywhere")]
)
def test_what_small_slices_do_is_a_setting(judge, policy, said):
    text = config(at_least(0.6) + at_least(0.99, ON_SMALL), slicing=BY_CARRIER)
    verdict = judge("good", text=text, if_slice_small=policy)

    assert_refused(verdict, "threshold")
    assert said in " ".join(verdict.blessing.refusals)


def test_thresholds_on_small_slices_alone_judge_nothing_and_refuse(judge):
    verdict = judge("good", text=config(at_least(0.5, ON_SMALL), slicing=BY_CARRIER))

    assert_refused(verdict, "threshold")
    assert "nothing could be judged" in verdict.blessing.refusals[0]


def test_slices_that_tfma_leaves_out_as_too_small_are_said_to_be_missing(judge):
    text = config(at_least(0.5, ON_SMALL), slicing=BY_CARRIER) + "options { min_slice_size { value: 50 } }"

    assert_refused(judge("good", text=text), "threshold")


WORDS = "overview: o\nowners: [{name: ada}]\nintended_uses: [trying]\n"


def test_a_model_of_which_nobody_wrote_what_it_is_for_is_refused_if_so_asked(judge, tmp_path):
    card = tmp_path / "model_card.yaml"
    card.write_text(WORDS)
    assert_refused(judge("good", model_card=str(card)), "model_card")
    card.write_text(WORDS + "limitations: [one year of data]\n")
    verdict = judge("good", model_card=str(card))
    assert_blessed(verdict)
    assert "says overview, owners, intended_uses, limitations" in verdict.check("model_card").reason


def test_a_model_card_that_is_not_there_is_an_error(judge, tmp_path):
    with pytest.raises(ConfigurationError, match=r"model card"):
        judge("good", model_card=str(tmp_path / "none.yaml"))
