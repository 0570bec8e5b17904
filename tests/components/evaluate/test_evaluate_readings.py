"""Which task an output has, and how its labels and predictions are read."""

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.proto import config_pb2

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.evaluate import curves, tasks, view_curves
from kfp_ct.components.evaluate.eval_config import Output
from kfp_ct.components.evaluate.samples import Sample, Scored
from kfp_ct.components.evaluate.settings import Gates
from kfp_ct.pages import markup


def inferred(names, labels, width, metric="", extra=""):
    config = "".join(f"metrics {{ class_name: '{name}' }}" for name in names)
    config = text_format.Parse(f"metrics_specs {{ {config} {extra} }}", config_pb2.EvalConfig())
    raw = pa.chunked_array([labels]), np.zeros((len(labels), width), np.float32)
    return tasks.read(config, Gates(metric=metric), Output("", "label"), raw).task


@pytest.mark.parametrize(
    ("names", "labels", "width", "more", "task"),
    [
        pytest.param(["ExampleCount"], [0, 1], 1, {}, "binary", id="zeros and ones"),
        pytest.param(["ExampleCount"], [0.5, 1.7], 1, {}, "regression", id="fractions"),
        pytest.param(["ExampleCount"], ["a", "b"], 1, {}, "binary", id="text"),
        pytest.param(["ExampleCount"], [0, 1], 5, {}, "multiclass", id="five outputs"),
        pytest.param(["AUC"], [0, 2], 1, {}, "binary", id="a binary metric"),
        pytest.param(["MeanSquaredError"], [0, 1], 1, {}, "regression", id="an error"),
        pytest.param(["ExampleCount"], [0, 1], 1, {"metric": "mae"}, "regression", id="the gates' error"),
        pytest.param(["MeanSquaredError"], [0, 1], 1, {"metric": "auc"}, "binary", id="the gates' AUC"),
        pytest.param(["MeanSquaredError"], [0, 1], 1, {"metric": "accuracy"}, "binary", id="the gates' accuracy"),
        pytest.param(["AUC"], [0, 1], 2, {}, "binary", id="two outputs"),
        pytest.param(["SparseCategoricalAccuracy"], [0, 1], 2, {}, "multiclass", id="two classes"),
        pytest.param(["AUC"], [0, 1], 2, {"metric": "macro_auc"}, "multiclass", id="the gates' macro AUC"),
        pytest.param(["AUC"], [0, 1], 2, {"extra": "binarize { class_ids { values: 0 } }"}, "multiclass",
                     id="binarised"),
    ],
)  # fmt: skip
def test_task_is_inferred(names, labels, width, more, task):
    assert inferred(names, labels, width, **more) == task


def decoder(task, width, classes=()):
    return tasks.Decoder(Output("", "label", "scores"), task, classes, width)


@pytest.mark.parametrize(
    ("read", "values", "message"),
    [
        (decoder("multiclass", 1), [[0.5]], "output scores has one value a row"),
        (decoder("multiclass", 3), [[0.2, 0.8]], "2 values a row, where the challenger has 3"),
        (decoder("multiclass", 2, ("a", "b", "c")), [[0.2, 0.8]], "2 values a row for 3 classes"),
        (decoder("multiclass", 2), [[3.0, -1.0]], "rows that sum to 2 to 2\nexpected: probabilities that sum to 1"),
        (decoder("binary", 2), [[3.0, -1.0]], "end the model with a softmax"),
        (decoder("binary", 3), [[0.1, 0.2, 0.7]], "3 values a row\nexpected: one value a row"),
    ],
    ids=["one value", "other width", "other names", "logits", "binary logits", "three for two"],
)
def test_predictions_that_do_not_fit_the_task_are_an_error(read, values, message):
    with pytest.raises(ConfigurationError, match=message):
        read.predictions("the model", np.array(values, np.float32))


def test_second_of_two_probabilities_is_the_positive_one():
    given = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)

    assert decoder("binary", 2).predictions("the model", given).tolist() == [0.75, 0.5]


def test_whole_numbers_may_be_names_or_numbers_of_classes():
    column = pa.chunked_array([[3, 7, 3]])

    assert decoder("multiclass", 2, ("3", "7")).labels(column).tolist() == [0, 1, 0]
    assert decoder("multiclass", 8, tuple("abcdefgh")).labels(column).tolist() == [3, 7, 3]


def test_domain_may_stand_beside_the_feature():
    schema = text_format.Parse(
        "feature { name: 'label' type: BYTES domain: 'kinds' } string_domain { name: 'kinds' value: 'a' value: 'b' }",
        schema_pb2.Schema(),
    )
    found = tasks.classes(Gates(), schema, decoder("binary", 1), "", pa.chunked_array([], pa.string()))

    assert found.classes == ("a", "b")


def test_page_of_many_classes_lists_the_least_recall_first():
    names = [f"class {n}" for n in range(60)]
    rng = np.random.default_rng(0)
    sample = Sample("multiclass", rng.integers(0, 60, 3_000).astype(np.float32))
    predictions = rng.dirichlet(np.ones(60), 3_000)
    described = curves.describe(Scored(Output("", "label"), sample, tuple(names), {}), predictions)
    summary = {"task": "multiclass", "curves": {"challenger": described}}
    shown = view_curves.describe(summary, {"challenger": "challenger"})
    drawn = markup.environment().get_template("components/evaluate/curves.html").module.multiclass(shown)

    assert described["classes"]["matrix"] is None
    assert "48 more classes" in drawn
    assert "most frequent confusions" in drawn
