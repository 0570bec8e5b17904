"""What cannot be judged at all is one clear error."""

import math

import pytest

from evaluations import assert_blessed, config, rows, write_examples
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.evaluate.eval_config import Output
from kfp_ct.components.evaluate.model import Model, Signature


@pytest.mark.parametrize(
    ("table", "message"),
    [
        pytest.param(rows(10).slice(0, 0), "eval split has no rows", id="zero rows"),
        pytest.param(rows(50).set_column(4, "late", [[0] * 50]), "late is 0 in all 50 eval rows", id="one class"),
        pytest.param(rows(50).set_column(4, "late", [[2] * 50]), "values other than 0 and 1", id="not binary"),
        pytest.param(rows(50).set_column(4, "late", [[[0, 1]] * 50]), "the label late is a list", id="a list"),
        pytest.param(rows(50).set_column(4, "late", [[None, 1] * 25]), "late is missing in 25 rows", id="no label"),
    ],
)
def test_rows_that_cannot_be_judged_are_an_error(judge, tmp_path, table, message):
    with pytest.raises(DataError, match=message):
        judge("good", data=write_examples(tmp_path / "data", table))


def test_train_split_without_rows_gives_no_prior(judge, tmp_path):
    with pytest.raises(DataError, match="train split has no rows"):
        judge("good", data=write_examples(tmp_path / "data", rows(500), rows(5).slice(0, 0)))


def test_empty_evaluation_is_never_a_pass(judge, tmp_path):
    with pytest.raises(DataError):
        judge("good", data=write_examples(tmp_path / "data", rows(10).slice(0, 0)))

    assert not list(tmp_path.rglob("BLESSED"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("model_specs { label_key: 'late' }", "names no metrics", id="zero metrics"),
        pytest.param("metrics_specs { metrics { class_name: 'AUC' } }", "names no label", id="no label"),
        pytest.param("metrics {", "is not an EvalConfig", id="syntax"),
        pytest.param(config(extra="metrics { class_name: 'NoSuch' }"), "a metric that TFMA cannot make", id="unknown"),
        pytest.param(config(slicing="slicing_specs { feature_keys: 'tail' }"), "column 'tail'", id="slice column"),
        pytest.param(config().replace("'late'", "'delay'"), "label_key names the column 'delay'", id="label column"),
        pytest.param(config(model="example_weight_key: 'tons'"), "example_weight_key names", id="weights"),
        pytest.param(config(model="signature_name: 'other'"), "has no signature other", id="signature"),
        pytest.param(config(model="prediction_key: 'other'"), "has the outputs", id="output"),
    ],
)
def test_evaluation_config_that_does_not_fit_is_an_error(judge, text, message):
    with pytest.raises(ConfigurationError, match=message):
        judge("good", text=text)


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        pytest.param({"min_gains": 0.1}, "gates.min_gains is not a setting: did you mean min_gain?", id="unknown gate"),
        pytest.param({"metric": "f2"}, 'gates.metric is "f2": expected one of', id="unknown metric"),
        pytest.param({"min_gain": "0.1"}, 'min_gain is "0.1": expected a number', id="text for a number"),
        pytest.param({"min_slice_rows": 1.5}, "min_slice_rows is 1.5: expected a whole number", id="fraction of a row"),
        pytest.param({"min_gain": True}, "min_gain is true: expected a number", id="bool for a number"),
        pytest.param({"min_gain": math.nan}, "min_gain", id="NaN"),
        pytest.param({"slices": "origin"}, "expected a list of texts that are not empty", id="text for a list"),
        pytest.param({"slices": ["tail"]}, "gates.slices names the column 'tail'", id="slice column"),
        pytest.param({"max_slice_loss": -1}, "gates.max_slice_loss is -1: expected a number of 0 or", id="negative"),
        pytest.param({"classes": [1, 2]}, "a list of names", id="numbers for names"),
        pytest.param({"confidence": 95}, "confidence is 95: expected a number from 0.5 to below 1", id="per cent"),
    ],
)
def test_gates_that_do_not_fit_are_an_error(judge, gates, message):
    with pytest.raises(ConfigurationError, match=message):
        judge("good", **gates)


def test_gates_may_come_as_floats_from_kfp(judge):
    assert_blessed(judge("good", "fair", slices=["origin"], min_slice_rows=500.0, min_gain=0))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        pytest.param("logits", "expected: probabilities between 0 and 1", id="logits"),
        pytest.param("heads", r"has the outputs \['late', 'very_late'\]", id="two outputs"),
    ],
)
def test_model_that_gives_no_probability_is_an_error(judge, model, message):
    with pytest.raises(ConfigurationError, match=message):
        judge(model)


def test_model_that_is_not_there_is_an_error(judge, models, tmp_path):
    broken = tmp_path / "broken" / "Format-Serving"
    broken.mkdir(parents=True)
    (broken / "saved_model.pb").write_bytes(b"not a model")
    for path, message in [(tmp_path / "none", "no SavedModel in"), (tmp_path / "broken", "cannot be read")]:
        with pytest.raises(ConfigurationError, match=message):
            Model(str(path), "the model", Signature("serving_default", (Output("", "late"),)), ["x"])


def test_model_that_needs_a_column_the_examples_lack_is_an_error(models):
    with pytest.raises(ConfigurationError, match=r"needs the columns \['origin'\]"):
        Model(models("good"), "the model", Signature("serving_default", (Output("", "late"),)), ["x", "z"])


def test_text_labels_need_their_classes_named(judge, tmp_path):
    table = rows(50).set_column(4, "late", [["yes", "no"] * 25])

    with pytest.raises(ConfigurationError, match="nothing says in which order the model has its classes"):
        judge("good", data=write_examples(tmp_path / "data", table))
    with pytest.raises(DataError, match="late is text"):
        judge("fair", data=f"{tmp_path}/data", task="regression", metric="rmse")
    with pytest.raises(DataError, match="late has the value 'no', which is no class"):
        judge("good", data=write_examples(tmp_path / "other", table), classes=["No", "yes"])
