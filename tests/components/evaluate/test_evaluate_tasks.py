"""Several classes and values: inferred or stated, judged by every gate, equal to TFMA's numbers."""

import numpy as np
import pytest

from evaluations import KINDS, assert_blessed, assert_refused, rows, write_examples
from kfp_ct.base.errors import ConfigurationError, DataError

CLASSES = """
    model_specs { label_key: '%s' }
    slicing_specs {}
    slicing_specs { feature_keys: 'origin' }
    metrics_specs {
      metrics { class_name: 'ExampleCount' }
      metrics { class_name: 'SparseCategoricalAccuracy'
        per_slice_thresholds { slicing_specs {} threshold { value_threshold { lower_bound { value: 0.5 } } } } }
      metrics { class_name: 'SparseCategoricalCrossentropy' }
    }"""
VALUES = """
    model_specs { label_key: 'minutes' }
    slicing_specs {}
    slicing_specs { feature_keys: 'origin' }
    metrics_specs {
      metrics { class_name: 'ExampleCount' }
      metrics { class_name: 'RootMeanSquaredError'
        per_slice_thresholds { slicing_specs {} threshold { value_threshold { upper_bound { value: 4 } } } } }
      metrics { class_name: 'MeanSquaredError' }
      metrics { class_name: 'MeanAbsoluteError' }
    }"""
DOMAIN = "feature { name: 'kind_name' type: BYTES string_domain { value: 'early' value: 'on time' value: 'late' } }"


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "macro_auc", "balanced_accuracy"])
def test_better_model_of_several_classes_is_blessed_and_a_worse_one_refused(judge, metric):
    better = judge("classes", "weak classes", CLASSES % "kind", metric=metric, slices=["origin"])
    worse = judge("wrong classes", "classes", CLASSES % "kind", metric=metric, slices=["origin"])

    # By the most probable class alone, a weak and a strong mixture of the same logits are the same.
    if metric in ("log_loss",):
        assert_blessed(better)
    assert_refused(worse, "threshold", "baseline", "champion", "slices")
    assert worse.report["comparison"]["verdict"] == "worse"
    assert worse.report["task"] == "multiclass"
    assert "class shares, most often" in worse.check("baseline").reason


def test_first_model_of_several_classes_is_blessed_over_the_prior(judge):
    verdict = judge("classes", text=CLASSES % "kind")

    assert_blessed(verdict)
    baseline = verdict.report["baseline"]
    assert baseline["metric"] == "accuracy"
    assert sum(baseline["prior"]) == pytest.approx(1)


@pytest.mark.parametrize("metric", ["rmse", "mse", "mae", "r2"])
def test_better_regression_is_blessed_and_a_worse_one_refused(judge, metric):
    better = judge("values", "weak values", VALUES, metric=metric, slices=["origin"])
    worse = judge("wrong values", "values", VALUES, metric=metric, slices=["origin"])

    assert_blessed(better)
    assert better.report["comparison"]["verdict"] == "better"
    assert_refused(worse, "threshold", "baseline", "champion", "slices")
    assert "of always predicting the train split's mean 9.9" in worse.check("baseline").reason


@pytest.mark.parametrize(
    ("label", "settings"),
    [
        pytest.param("kind", {}, id="numbers"),
        pytest.param("kind", {"classes": KINDS}, id="numbers with names"),
        pytest.param("kind_name", {"classes": KINDS}, id="names"),
        pytest.param("kind_name", {"schema": DOMAIN}, id="names in the schema's domain"),
    ],
)
def test_classes_are_read_as_numbers_or_names(judge, label, settings):
    verdict = judge("classes", text=CLASSES % label, **settings)

    assert_blessed(verdict)
    named = KINDS if settings else ["0", "1", "2"]
    drawn = verdict.report["curves"]["challenger"]["classes"]
    assert drawn["names"] == named
    right = sum(row[n] for n, row in enumerate(drawn["matrix"])) / verdict.report["rows"]
    assert right == pytest.approx(verdict.report["baseline"]["challenger"])


def test_classes_are_read_from_a_vocabulary_file(judge, tmp_path):
    (tmp_path / "kinds.txt").write_text("\n".join(KINDS) + "\n")

    assert_blessed(judge("classes", text=CLASSES % "kind_name", classes=f"{tmp_path}/kinds.txt"))
    with pytest.raises(ConfigurationError, match="file of classes"):
        judge("classes", text=CLASSES % "kind_name", classes=f"{tmp_path}/none.txt")


@pytest.mark.parametrize(
    ("model", "text", "names"),
    [
        ("classes", CLASSES % "kind", {"accuracy": "sparse_categorical_accuracy",
                                       "log_loss": "sparse_categorical_crossentropy"}),
        ("values", VALUES, {"rmse": "root_mean_squared_error", "mse": "mean_squared_error",
                            "mae": "mean_absolute_error"}),
    ],
    ids=["classes", "values"],
)  # fmt: skip
def test_our_metrics_equal_tfmas(judge, model, text, names):
    for ours, theirs in names.items():
        report = judge(model, text=text, metric=ours).report
        assert report["baseline"]["challenger"] == pytest.approx(report["metrics"]["challenger"][theirs], abs=1e-6)


@pytest.mark.filterwarnings("ignore:.*divide:RuntimeWarning:tensorflow_model_analysis")
@pytest.mark.parametrize(
    ("model", "champion", "text", "other"),
    [
        ("classes", "weak classes", CLASSES % "kind", "metrics { class_name: 'MultiClassConfusionMatrixPlot' }"),
        ("values", "weak values", VALUES, "metrics { class_name: 'SquaredPearsonCorrelation' }"),
    ],
    ids=["classes", "values"],
)
def test_arrays_and_the_ordinary_path_agree(judge, tmp_path, model, champion, text, other):
    data = write_examples(tmp_path / "few", rows(300))
    fast = judge(model, champion, text, data).report
    slow = judge(model, champion, text.replace("metrics {", other + " metrics {", 1), data).report

    for role in ("challenger", "champion"):
        wanted = fast["metrics"][role]
        assert {name: slow["metrics"][role][name] for name in wanted} == pytest.approx(wanted, abs=1e-6)
    by_slice = {item["slice"]: item["challenger"] for item in slow["slices"]}
    for item in fast["slices"]:
        found = {name: by_slice[item["slice"]][name] for name in item["challenger"]}
        assert found == pytest.approx(item["challenger"], abs=1e-6)


@pytest.mark.filterwarnings("ignore:.*divide:RuntimeWarning:tensorflow_model_analysis")
def test_classes_may_be_binarised_and_averaged(judge, tmp_path):
    data = write_examples(tmp_path / "few", rows(300))
    text = (
        CLASSES % "kind"
        + """
        metrics_specs {
          metrics { class_name: 'AUC' }
          binarize { class_ids { values: [0, 2] } }
          aggregate { macro_average: true class_weights { key: 0 value: 1 } class_weights { key: 1 value: 1 }
            class_weights { key: 2 value: 1 } }
        }"""
    )
    metrics = judge("classes", text=text, data=data, metric="macro_auc").report

    found = metrics["metrics"]["challenger"]
    assert {"auc_class_0", "auc_class_2", "auc_macro_average"} <= set(found)
    assert found["auc_macro_average"] == pytest.approx(metrics["baseline"]["challenger"], abs=1e-3)


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        pytest.param(
            VALUES.replace("minutes", "kind_name"), {}, "as many as the model has outputs|nothing says", id="x"
        ),
        pytest.param(CLASSES % "kind", {"task": "regression"}, "3 values a row", id="width"),
        pytest.param(
            CLASSES % "kind",
            {"metric": "rmse"},
            "gates.metric: rmse is not a metric of the task multiclass",
            id="metric",
        ),
        pytest.param(CLASSES % "kind", {"classes": ["a", "b"]}, "2 classes are named", id="too few names"),
        pytest.param(CLASSES % "kind", {"classes": ["a", "b", "a"]}, "names a class twice", id="a name twice"),
        pytest.param(
            CLASSES % "kind", {"task": "clustering"}, 'gates.task is "clustering": expected one of', id="task"
        ),
    ],
)
def test_tasks_that_do_not_fit_are_an_error(judge, text, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        judge("classes", text=text, **settings)


@pytest.mark.parametrize(
    ("column", "values", "text", "model", "message"),
    [
        ("kind", [0, 1, 3] * 20, CLASSES % "kind", "classes", "other than class numbers from 0 to 2"),
        ("kind", [1] * 60, CLASSES % "kind", "classes", "kind is 1 in all 60 eval rows"),
        ("minutes", [np.inf, 1.0, 2.0] * 20, VALUES, "values", "minutes is not finite in 20 rows"),
    ],
    ids=["no class", "one class", "infinite"],
)
def test_labels_that_do_not_fit_the_task_are_an_error(judge, tmp_path, column, values, text, model, message):
    table = rows(60)
    data = write_examples(tmp_path / "data", table.set_column(table.schema.get_field_index(column), column, [values]))

    with pytest.raises(DataError, match=message):
        judge(model, text=text, data=data)


@pytest.mark.parametrize("task", ["classes", "values"])
def test_zero_rows_of_any_task_are_an_error(judge, tmp_path, task):
    with pytest.raises(DataError, match="eval split has no rows"):
        judge(task, text={"classes": CLASSES % "kind", "values": VALUES}[task],
              data=write_examples(tmp_path / "data", rows(10).slice(0, 0)))  # fmt: skip


@pytest.mark.parametrize(
    ("model", "champion", "text", "said"),
    [
        ("classes", "weak classes", CLASSES % "kind_name", ("Confusion matrix: champion v3", "predicted on time")),
        ("values", "weak values", VALUES, ("Predicted and actual", "Residuals", "regression of minutes")),
    ],
    ids=["classes", "values"],
)
def test_page_and_logs_of_each_task(judge, tmp_path, model, champion, text, said):
    from kfp import dsl

    verdict = judge(model, champion, text, slices=["origin"], schema=DOMAIN)
    metrics = dsl.Metrics(name="metrics", uri=f"{tmp_path}/metrics")
    curves = dsl.ClassificationMetrics(name="curves", uri=f"{tmp_path}/curves")
    verdict.result.log_to(metrics, curves)
    page = (verdict.root / "view.html").read_text()

    assert all(text in page for text in said)
    assert metrics.metadata["champion_example_count"] == verdict.report["rows"]
    assert ("confusionMatrix" in curves.metadata) is (model == "classes")
