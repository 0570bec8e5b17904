"""Labels that are lists: read in every form, judged by every gate, equal to TFMA's numbers."""

import numpy as np
import pyarrow as pa
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

import evaluations
from evaluations import assert_blessed, assert_refused, write_examples
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.evaluate import array_metrics, multilabel_metrics, results
from kfp_ct.components.evaluate.config import read_plan
from kfp_ct.components.evaluate.samples import Sample, Scored, Scores
from kfp_ct.components.evaluate.settings import METRICS, Parameters

pytestmark = pytest.mark.filterwarnings("ignore:.*divide:RuntimeWarning:tensorflow_model_analysis")

GENRES = ["drama", "comedy", "café noir"]
CLASS_WEIGHTS = " ".join(f"class_weights {{ key: {number} value: 1 }}" for number in range(3))
CONFIG = """
    model_specs { label_key: '%s' }
    slicing_specs {}
    slicing_specs { feature_keys: 'origin' }
    metrics_specs {
      metrics { class_name: 'ExampleCount' }
      metrics { class_name: 'BinaryAccuracy' }
      metrics { class_name: 'BinaryCrossentropy' }
      metrics { class_name: 'AUC' }
    }
    metrics_specs {
      aggregate { macro_average: true %s }
      metrics { class_name: 'AUC'
        per_slice_thresholds { slicing_specs {} threshold { value_threshold { lower_bound { value: 0.6 } } } }
        per_slice_thresholds {
          slicing_specs {}
          threshold { change_threshold { absolute { value: 0 } direction: HIGHER_IS_BETTER } }
        }
      }
    }"""
DOMAIN = (
    f"feature {{ name: 'genres' type: BYTES string_domain {{ {' '.join(f'value: {each!r}' for each in GENRES)} }} }}"
)


def config(label="hot"):
    return CONFIG % (label, CLASS_WEIGHTS)


def rows(count, seed=0):
    """Rows whose three classes follow x and z, in each form that a label may have."""
    table = evaluations.rows(count, seed)
    x, z = (table[name].to_numpy() for name in ("x", "z"))
    noise = np.random.default_rng(seed + 9).logistic(size=(count, 3))
    hot = (np.stack([x - 1, z - 0.5, 0.5 - x], 1) * 2 + noise > 0).astype(np.int64)
    numbers = [np.flatnonzero(row).tolist() for row in hot]
    return (
        table.append_column("hot", pa.array(hot.tolist()))
        .append_column("hot floats", pa.array(hot.astype(float).tolist()))
        .append_column("numbers", pa.array(numbers, pa.list_(pa.int64())))
        .append_column("genres", pa.array([[GENRES[each] for each in row] for row in numbers], pa.list_(pa.string())))
        .append_column("years", pa.array([[1980 + each for each in row] for row in numbers], pa.list_(pa.int64())))
    )


@pytest.fixture(scope="module")
def movies(tmp_path_factory):
    return write_examples(tmp_path_factory.mktemp("movies"), rows(1_500), rows(600, seed=1))


@pytest.mark.parametrize(
    ("label", "settings"),
    [
        ("hot", {}), ("hot floats", {}), ("numbers", {}), ("hot", {"classes": GENRES}), ("genres", {"classes": GENRES}),
        ("genres", {"schema": DOMAIN}), ("years", {"classes": ["1980", "1981", "1982"]}),
    ],
    ids=["multi-hot", "floats", "numbers", "multi-hot with names", "names", "domain", "years"],
)  # fmt: skip
def test_lists_are_read_in_every_form(judge, movies, label, settings):
    verdict = judge("labels", text=config(label), data=movies, **settings)

    assert_blessed(verdict)
    report = verdict.report
    assert report["task"] == "multilabel"
    drawn = report["curves"]["challenger"]["labels"]
    assert drawn["rows"] == np.array(rows(1_500)["hot"].to_pylist()).sum(axis=0).tolist()
    assert report["baseline"]["metric"] == "macro_auc"
    assert report["baseline"]["challenger"] == pytest.approx(report["metrics"]["challenger"]["auc_macro_average"])
    assert np.mean(drawn["auc"]) == pytest.approx(report["baseline"]["challenger"])
    hot = np.array(rows(600, seed=1)["hot"].to_pylist())
    assert report["baseline"]["prior"] == pytest.approx(hot.mean(axis=0))


@pytest.mark.parametrize("metric", ["micro_auc", "log_loss", "hamming_loss", "macro_f1"])
def test_better_model_is_blessed_and_a_worse_one_refused(judge, movies, metric):
    worse = judge("wrong labels", "labels", config(), movies, metric=metric, slices=["origin"])
    assert_refused(worse, "threshold", "threshold", "baseline", "champion", "slices")
    assert worse.report["comparison"]["verdict"] == "worse"
    if metric in ("log_loss", "macro_f1"):  # a weak and a strong sigmoid of the same logits differ by these alone
        assert judge("labels", "weak labels", config(), movies, metric=metric).report["comparison"]["gain"] >= 0


def test_gates_metrics_are_those_of_the_formulas_and_tfmas(judge, movies):
    found = {
        metric: judge("labels", text=config(), data=movies, metric=metric).report for metric in METRICS["multilabel"]
    }
    ours = {metric: report["baseline"]["challenger"] for metric, report in found.items()}
    theirs = found["log_loss"]["metrics"]["challenger"]
    assert ours["log_loss"] == pytest.approx(theirs["binary_crossentropy"], abs=1e-6)
    assert ours["hamming_loss"] == pytest.approx(1 - theirs["binary_accuracy"])
    assert ours["micro_auc"] == pytest.approx(theirs["auc"])
    hot, said = truth(movies)
    assert ours["subset_accuracy"] == pytest.approx((hot == said).all(axis=1).mean())
    counts = [(2 * (hot & said).sum(axis), (hot.sum(axis) + said.sum(axis))) for axis in (0, None)]
    assert ours["macro_f1"] == pytest.approx((counts[0][0] / counts[0][1]).mean())
    assert ours["micro_f1"] == pytest.approx(counts[1][0] / counts[1][1])


def truth(movies):
    table = rows(1_500)
    x, z = (table[name].to_numpy() for name in ("x", "z"))
    return np.array(table["hot"].to_pylist()) > 0, np.stack([x > 1, z > 0.5, x < 0.5], 1)


@pytest.mark.parametrize("metric", ["macro_auc", "micro_auc", "hamming_loss", "micro_f1"])
def test_intervals_are_as_wide_as_the_spread_over_drawn_samples(metric):
    """The classes of a row are one observation: here they are all the same, and count no more than one."""
    from kfp_ct.components.evaluate import estimates
    from kfp_ct.components.evaluate.settings import Gates

    gates, gains = Gates(task="multilabel", metric=metric), []
    for seed in range(1_000, 1_100):
        random = np.random.default_rng(seed)
        labels = np.repeat(random.random((200, 1)) < 0.4, 3, axis=1).astype(np.float32)
        models = [
            np.clip(0.5 + 0.15 * (labels - 0.5) + random.normal(0, spread, (200, 1)), 0, 1) for spread in (0.1, 0.2)
        ]
        gains.append(estimates.gain(gates, Sample("multilabel", labels), *models))
    width = np.mean([(gain.high - gain.low) / 2 / 1.96 for gain in gains])
    assert width == pytest.approx(np.std([gain.value for gain in gains]), rel=0.25)


METRICS_OF_CLASSES = """
    metrics { class_name: 'AUC' } metrics { class_name: 'AUCPrecisionRecall' } metrics { class_name: 'Precision' }
    metrics { class_name: 'F1Score' } metrics { class_name: 'BinaryAccuracy' } metrics { class_name: 'Calibration' }
    metrics { class_name: 'BinaryCrossentropy' } metrics { class_name: 'MeanSquaredError' }
    metrics { class_name: 'Recall' config: '"thresholds": 0.3' } metrics { class_name: 'MeanLabel' }
    metrics { class_name: 'PrecisionAtRecall' config: '"recall": 0.5' } metrics { class_name: 'BalancedAccuracy' }"""


@pytest.mark.parametrize("weight", ["", "weight"], ids=["alike", "weighted"])
def test_metrics_from_arrays_equal_tfmas_ordinary_path(tmp_path, weight):
    (tmp_path / "config").write_text(f"""
        model_specs {{ label_key: 'hot' example_weight_key: '{weight}' }}
        slicing_specs {{}} slicing_specs {{ feature_keys: 'origin' }}
        metrics_specs {{ metrics {{ class_name: 'ExampleCount' }} {METRICS_OF_CLASSES} }}
        metrics_specs {{ binarize {{ class_ids {{ values: [0, 2] }} }} {METRICS_OF_CLASSES} }}
        metrics_specs {{ aggregate {{ micro_average: true class_weights {{ key: 0 value: 1 }}
          class_weights {{ key: 2 value: 3 }} }} {METRICS_OF_CLASSES} }}
        metrics_specs {{ aggregate {{ weighted_macro_average: true {CLASS_WEIGHTS} }} {METRICS_OF_CLASSES} }}""")
    plan = read_plan(str(tmp_path / "config"))
    cfg, table = plan.for_run(True), rows(150)
    hot, random = np.array(table["hot"].to_pylist(), np.float32), np.random.default_rng(2)
    models = {name: random.random((150, 3)).astype(np.float32) for name in ("candidate", "baseline")}
    weights = table["weight"].to_numpy().astype(np.float64) if weight else None
    scored = Scored(plan.outputs[0], Sample("multilabel", hot, weights), (), models)
    scores = Scores((scored,), table.select(["origin", "weight"]))
    wanted = array_metrics.computations(cfg)
    assert array_metrics.unsupported(cfg, wanted, "multilabel") == ""

    results.write(str(tmp_path / "arrays"), cfg, results.from_arrays(scores, cfg, wanted))
    results.write_with_beam(str(tmp_path / "beam"), scores, cfg, schema_pb2.Schema())
    ours, theirs = (flat(results.read(str(tmp_path / way))) for way in ("arrays", "beam"))
    assert len(ours) > 300
    assert ours == pytest.approx(theirs, abs=1e-6, nan_ok=True)


def flat(evaluation):
    return {(key, metric): value for key, metrics in evaluation.metrics for metric, value in metrics.items()}


def test_top_classes_intervals_and_plots_are_tfmas(judge, tmp_path):
    text = (
        config()
        + """
        metrics_specs { binarize { top_k_list { values: [1] } } metrics { class_name: 'Precision' } }
        metrics_specs { metrics { class_name: 'MultiLabelConfusionMatrixPlot' } }
        options { compute_confidence_intervals { value: true } }"""
    )
    verdict = judge("labels", text=text, data=write_examples(tmp_path / "few", rows(200), rows(200, 1)), classes=GENRES)

    found = verdict.report["metrics"]["challenger"]
    best = truth_of(rows(200))
    assert found["precision_top_1"] == pytest.approx(best, abs=0.03)  # resampled by TFMA, for its intervals
    low, high = verdict.report["intervals"]["challenger"]["auc_macro_average"]
    assert low < found["auc_macro_average"] < high
    page = (verdict.root / "view.html").read_text()
    assert all(said in page for said in ("any number of classes a row: hot", "Classes: challenger", "café noir"))


def truth_of(table):
    x, z = (table[name].to_numpy() for name in ("x", "z"))
    best = np.stack([x - 1, z - 0.5, 0.5 - x], 1).argmax(axis=1)
    return np.array(table["hot"].to_pylist())[np.arange(len(best)), best].mean()


def test_logits_of_classes_are_turned_each_by_itself(judge, movies):
    said, inferred = (
        judge(model, text=config(), data=movies, model_output=output, metric="log_loss").report["baseline"]
        for model, output in (("labels", "probabilities"), ("label logits", "logits"))
    )
    assert inferred["challenger"] == pytest.approx(said["challenger"], abs=1e-6)


def test_one_hot_labels_are_classes_where_the_metrics_say_so(judge, tmp_path):
    """Keras's metrics of one-hot labels have them, whether the column is class numbers or one-hot."""
    table = evaluations.rows(300)
    one_hot = np.eye(3, dtype=np.int64)[table["kind"].to_numpy()].tolist()
    table = table.append_column("one hot", pa.array(one_hot))
    data = write_examples(tmp_path / "data", table, table)
    text = "model_specs { label_key: '%s' } metrics_specs { metrics { class_name: '%s' } }"
    asked = [("kind", "SparseCategoricalAccuracy"), ("kind", "CategoricalAccuracy"), ("one hot", "CategoricalAccuracy")]
    found = [judge("classes", text=text % each, data=data).report["metrics"]["challenger"] for each in asked]
    expected = found[0]["sparse_categorical_accuracy"]
    assert [each["categorical_accuracy"] for each in found[1:]] == pytest.approx([expected, expected])
    with pytest.raises(ConfigurationError, match="name SparseCategoricalAccuracy in place of CategoricalAccuracy"):
        judge(
            "classes",
            text=text % asked[1] + "metrics_specs { metrics { class_name: 'SparseCategoricalAccuracy' } }",
            data=data,
        )


@pytest.mark.parametrize(
    ("label", "change", "settings", "error", "message"),
    [
        ("numbers", lambda rows: [[0, 3], *rows[1:]], {}, DataError, "value 3.*class numbers from 0 to 2"),
        ("numbers", lambda rows: [[0, 0], *rows[1:]], {}, DataError, "class 0 more than once in row 0"),
        ("numbers", lambda rows: [None, *rows[1:]], {}, DataError, "missing in 1 rows"),
        ("numbers", lambda rows: [[1]] * len(rows), {}, DataError, "same classes in all 60 eval rows"),
        ("hot floats", lambda rows: [[0.5, 0, 1], *rows[1:]], {}, DataError, "0.5.*0 or 1 for every class"),
        ("hot floats", lambda rows: [[0.0, 1], *rows[1:]], {}, DataError, "row of 2 values.*3 in every row"),
        ("genres", lambda rows: [["western"], *rows[1:]], {"classes": GENRES}, DataError, "western.*no class"),
        ("genres", lambda rows: rows, {}, ConfigurationError, "nothing says in which order"),
        ("genres", lambda rows: rows, {"classes": ["a", "b"]}, ConfigurationError, "2 classes are named"),
        ("hot", lambda rows: rows, {"task": "multiclass"}, DataError, "classes in row .*gates.task: multilabel"),
    ],
    ids=["no class", "twice", "missing", "alike", "half", "too short", "unknown", "unnamed", "too few names", "task"],
)  # fmt: skip
def test_lists_that_do_not_fit_are_an_error(judge, tmp_path, label, change, settings, error, message):
    table = rows(60)
    at = table.schema.get_field_index(label)
    changed = pa.array(change(table[label].to_pylist()), table.schema.field(label).type)
    data = write_examples(tmp_path / "data", table.set_column(at, label, changed), rows(60, 1))
    with pytest.raises(error, match=f"(?s){message}"):
        judge("labels", text=config(label), data=data, **settings)


def test_metrics_that_say_nothing_of_several_labels_are_refused(judge, movies):
    with pytest.raises(ConfigurationError, match=r"(?s)CategoricalAccuracy.*expected BinaryAccuracy"):
        judge("labels", text=config().replace("BinaryAccuracy", "CategoricalAccuracy"), data=movies, task="multilabel")
    with pytest.raises(ConfigurationError, match=r"class 7 of a model that has 3"):
        judge(
            "labels",
            data=movies,
            text=config()
            + """
            metrics_specs { binarize { class_ids { values: [7] } } metrics { class_name: 'AUC' } }""",
        )


def test_every_metric_that_is_taken_is_one_of_tfmas():
    from kfp_ct.components.evaluate import metric_names

    assert set(multilabel_metrics.TAKEN) <= set(metric_names.known())


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("metrics { class_name: 'NDCG' config: '\"gain_key\": \"g\"' }", "NDCG is not defined for the task multilabel"),
        ("metrics { class_name: 'SparseTopKCategoricalAccuracy' }", "expected Precision or Recall with binarize"),
        ("metrics { class_name: 'MeanLabel' } binarize { top_k_list { values: [2] } }", "not defined of the top k"),
        ("query_key: 'origin' metrics { class_name: 'AUC' }", "query_key ranks the rows of a query"),
    ],
    ids=["ranking", "top k", "of the top", "query"],
)
def test_what_is_refused_is_refused_before_a_run(addition, message):
    asked = Parameters(eval_config="eval_config.pbtxt", gates={"task": "multilabel"}, beam_pipeline_args=[])
    texts = {"eval_config": config() + f"metrics_specs {{ {addition} }}"}
    found = [text for _, text in asked.conflicts_with_texts(texts)]
    assert len(found) == 1
    assert message in found[0]
    assert list(asked.conflicts_with_texts({"eval_config": config()})) == []
