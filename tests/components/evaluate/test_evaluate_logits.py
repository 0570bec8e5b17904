"""A model that ends in logits is judged as the same model with a sigmoid or softmax at its end, if that is said."""

import numpy as np
import pytest

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.evaluate import model
from kfp_ct.components.evaluate.settings import Gates

CLASSES = """
    model_specs { label_key: 'kind' }
    slicing_specs {}
    metrics_specs { metrics { class_name: 'SparseCategoricalAccuracy' } }"""


def metrics(verdict):
    return verdict.report["metrics"]["challenger"]


def test_logits_of_a_binary_model_are_judged_as_probabilities(judge):
    said = judge("good logits", model_output="logits")
    same = judge("good")
    assert metrics(said) == pytest.approx(metrics(same), abs=1e-6)
    assert said.result.blessed


def test_logits_of_several_classes_are_judged_as_probabilities(judge):
    said = judge("class logits", None, CLASSES, model_output="logits")
    same = judge("classes", None, CLASSES)
    assert metrics(said) == pytest.approx(metrics(same), abs=1e-6)


def test_nobody_guesses(judge):
    with pytest.raises(ConfigurationError, match=r"or say gates\.model_output: logits"):
        judge("class logits", None, CLASSES)


def test_a_regression_has_no_logits_and_there_is_no_third_kind(judge):
    with pytest.raises(ConfigurationError, match=r"gates\.model_output: logits do not fit the task regression"):
        Gates(model_output="logits").settled("regression")
    with pytest.raises(ConfigurationError, match=r"model_output is .odds.: expected one of probabilities, logits"):
        judge("good", model_output="odds")


def test_what_is_huge_overflows_nothing_and_what_is_not_finite_stays_so():
    found = model.probabilities(np.array([[-1e30], [0.0], [1e30], [np.nan]], np.float32))
    assert found[:3, 0].tolist() == [0.0, 0.5, 1.0]
    assert np.isnan(found[3, 0])
    wide = model.probabilities(np.array([[1e30, 0, 0], [1, 1, 1], [np.nan, 0, 0]], np.float32))
    assert wide[0].tolist() == [1.0, 0.0, 0.0]
    assert wide[1] == pytest.approx([1 / 3] * 3)
    assert np.isnan(wide[2]).all()
