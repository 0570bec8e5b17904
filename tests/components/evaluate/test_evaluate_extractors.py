"""A user's extractors, as TFX's Evaluator calls them: what they give is what is judged."""

import dataclasses

import pytest

from evaluations import assert_blessed, assert_refused, at_least, config, rows, write_examples
from kfp_ct.base.errors import ComponentError, ConfigurationError
from kfp_ct.components.evaluate import eval_config
from kfp_ct.data import layouts

pytestmark = pytest.mark.filterwarnings("ignore:.*divide:RuntimeWarning:tensorflow_model_analysis")
MODULE = """
import copy

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma


def made(extracts):
    found = copy.copy(extracts)
    features = dict(found["features"])
    features["is_far"] = np.array([b"far" if x > 0 else b"near" for x in features["x"].reshape(-1)])
    features["very_late"] = (features["minutes"] > 12).astype(np.int64)
    found["features"] = features
    return found


def predictions(extracts):
    CHANGE


def extractor(name, function):
    @beam.ptransform_fn
    def mapped(extracts):
        return extracts | beam.Map(function)

    return tfma.extractors.Extractor(stage_name=name, ptransform=mapped())


def custom_extractors(eval_shared_model, eval_config, tensor_adapter_config):
    assert tensor_adapter_config.arrow_schema.names
    first, *others = tfma.default_extractors(
        eval_shared_model=eval_shared_model, eval_config=eval_config, tensor_adapter_config=tensor_adapter_config
    )
    place = [each.stage_name for each in others].index("ExtractUnbatchedInputs")
    others.insert(place, extractor("Change", predictions))
    return [first, extractor("Make", made), *others]


def custom_eval_shared_model(eval_saved_model_path, model_name, eval_config, **others):
    return tfma.default_eval_shared_model(
        eval_saved_model_path=eval_saved_model_path, model_name=model_name, eval_config=eval_config
    )
"""
AS_IT_IS = "return extracts"
SPLITS = (("eval",), ("test",), ("eval", "test"))
WORSE = "return {**extracts, 'predictions': 1 - np.asarray(extracts['predictions'])}"


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return write_examples(tmp_path_factory.mktemp("few"), rows(300))


@pytest.fixture
def module(tmp_path):
    def write(change=AS_IT_IS, text=MODULE):
        file = tmp_path / "extracting.py"
        file.write_text(text.replace("CHANGE", change))
        return str(file)

    return write


MADE = config(at_least(0.6), slicing="slicing_specs {} slicing_specs { feature_keys: 'is_far' }")


def test_labels_slices_and_models_are_what_the_module_makes_of_them(judge, few, module):
    plain = judge("good", data=few, slices=["origin"]).report
    text = MADE.replace("slicing_specs { feature_keys: 'is_far' }", "slicing_specs { feature_keys: 'origin' }")
    same = judge("good", "fair", text, few, extractors=module(), min_gain=-1, slices=["is_far"], min_slice_rows=50)

    assert_blessed(same)
    for metric in ("auc", "example_count"):
        assert same.report["metrics"]["challenger"][metric] == pytest.approx(plain["metrics"]["challenger"][metric])
    assert same.report["metrics"]["champion"]["auc"] < same.report["metrics"]["challenger"]["auc"]
    by_origin = [{str(item["slice"]): item["rows"] for item in each["slices"]} for each in (plain, same.report)]
    assert by_origin[0] == by_origin[1]
    assert {each["slice"] for each in same.report["slice_comparison"]} == {"is_far=far", "is_far=near"}

    very = judge("good", "", MADE.replace("'late'", "'very_late'"), few, extractors=module())
    assert 0 < very.report["metrics"]["challenger"]["auc"] < 1
    assert very.report["baseline"]["prior"] != same.report["baseline"]["prior"]
    assert "the eval rows' own positive rate" in very.check("baseline").reason


def test_predictions_that_the_module_changes_are_judged(judge, few, module):
    assert_refused(judge("good", "", MADE, few, extractors=module(WORSE)), "threshold", "baseline")


def test_rows_of_the_splits_that_are_named_are_judged(judge, tmp_path):
    data = write_examples(tmp_path / "data", rows(200), rows(100, seed=2))
    manifest = layouts.read_manifest(data)
    test = dataclasses.replace(manifest.split("train"), name="test")
    layouts.write_manifest(data, dataclasses.replace(manifest, splits=[*manifest.splits, test]))
    found = {splits: judge("good", data=data, text=config(), example_splits=splits).report for splits in SPLITS}
    assert [found[splits]["rows"] for splits in SPLITS] == [200, 100, 300]
    assert len({found[splits]["metrics"]["challenger"]["auc"] for splits in SPLITS}) == 3
    with pytest.raises(ConfigurationError, match=r"gates\.example_splits.*train is what models have learnt"):
        judge("good", data=data, example_splits=["train"])


@pytest.mark.parametrize(
    ("text", "change", "said"),
    [
        (MADE, "return 1 / 0", r"runs the extractors of .* failed: division by zero \[while running 'Change"),
        (MADE.replace("is_far", "colour"), AS_IT_IS, "give no feature colour.*\nexpected: one of .*is_far"),
        (MADE, "return {**extracts, 'predictions': np.zeros((1, 0))[[0] * len(extracts['labels'])]}", "of 0 values"),
        (MADE, "return {name: value for name, value in extracts.items() if name != 'predictions'}", "no predictions"),
    ],
    ids=["fails", "feature", "width", "predictions"],
)
def test_what_an_extractor_does_not_give_is_named(judge, few, module, text, change, said):
    with pytest.raises(ComponentError, match=said):
        judge("good", "", text, few, extractors=module(change))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def others(): pass", "has neither custom_extractors nor custom_eval_shared_model"),
        ("def custom_extractors(**given): return None", "returned NoneType"),
        (
            "import tensorflow_model_analysis as tfma\n"
            "def custom_extractors(eval_config, **given):\n"
            "    return [tfma.extractors.FeaturesExtractor(eval_config)]",
            "expected: TFMA's UnbatchExtractor",
        ),
        ("def custom_eval_shared_model(**given): raise OSError('no such pickle')", "fails: OSError: no such pickle"),
    ],
)
def test_a_module_that_gives_no_extractors_is_an_error(judge, few, module, text, said):
    with pytest.raises(ConfigurationError, match=said):
        judge("good", "", MADE, few, extractors=module(text=text))


def test_what_extractors_cannot_serve_is_named_before_a_run():
    sql = "model_specs { label_key: 'late' } slicing_specs { slice_keys_sql: 'SELECT STRUCT(x)' }"
    assert list(eval_config.beyond_extractors(sql)) == ["slice_keys_sql"]
    several = "model_specs { name: 'a' label_key: 'x' } model_specs { name: 'b' label_key: 'y' }"
    assert list(eval_config.beyond_extractors(several)) == ["several model_specs that are no baseline"]
    assert not list(eval_config.beyond_extractors(MADE))
