"""The evaluate component: real SavedModels over real Parquet, judged by every gate."""

import dataclasses
import html
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.integrate
import tensorflow as tf
import tensorflow_model_analysis as tfma

from components import artifacts, blessing
from components.errors import ConfigurationError, DataError
from components.evaluate import work
from components.evaluate.model import Model

EVAL_ROWS = 4_000
FLIGHTS_CONFIG = Path(__file__).parents[1] / "pipelines" / "flights" / "eval_config.pbtxt"
FLOATS = [tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec([None], tf.float32, "z")]


class Scorer(tf.Module):
    """Scores by a formula of the raw columns."""

    def __init__(self, formula):
        super().__init__()
        self.formula = formula

    @tf.function(input_signature=[*FLOATS, tf.TensorSpec([None, 1], tf.string, "origin")])
    def serve(self, x, z, origin):
        return {"probability": self.formula(x, z, origin[:, 0])[:, None]}


class ExampleScorer(tf.Module):
    """The same over serialised tf.Examples, x alone."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(self, examples):
        spec = {name: tf.io.FixedLenFeature([], tf.float32, default_value=0.0) for name in ("x", "z")}
        parsed = tf.io.parse_example(examples, spec)
        return {"probability": tf.sigmoid(parsed["x"] + 0.5 * parsed["z"] - 1.2)}


class TwoHeads(tf.Module):
    """Two outputs, of which one is asked for."""

    @tf.function(input_signature=FLOATS)
    def serve(self, x, z):
        return {"late": tf.sigmoid(x + 0.5 * z - 1.2), "very_late": tf.sigmoid(x - 3)}


FORMULAS = {
    "good": lambda x, z, origin: tf.sigmoid(x + 0.5 * z - 1.2),
    "fair": lambda x, z, origin: tf.sigmoid(x - 1.2),
    # What training on shuffled labels gives: the prior, and noise that has nothing to do with the label.
    "shuffled": lambda x, z, origin: tf.sigmoid(0.1 * tf.sin(1000 * x) - 1.0),
    "blind at JFK": lambda x, z, origin: tf.where(origin == b"JFK", 0.2, tf.sigmoid(x + 0.5 * z - 1.2)),
    "confident": lambda x, z, origin: tf.sigmoid(4 * (x + 0.5 * z - 1.2)),
    "NaN": lambda x, z, origin: tf.where(x > 2, tf.constant(math.nan), tf.sigmoid(x)),
    "logits": lambda x, z, origin: x + 0.5 * z,
}


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Returns a model artifact by name, saved when first asked for."""
    root, saved = tmp_path_factory.mktemp("models"), {}

    def model(name):
        if name not in saved:
            module = {"examples": ExampleScorer, "heads": TwoHeads}.get(name, lambda: Scorer(FORMULAS[name]))()
            tf.saved_model.save(module, str(root / name / "Format-Serving"), {"serving_default": module.serve})
            saved[name] = str(root / name)
        return saved[name]

    return model


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, count)).astype(np.float32)
    return pa.table(
        {
            "x": x,
            "z": z,
            "origin": rng.choice(["EWR", "JFK", "LGA"], count),
            "carrier": rng.choice(["AA", "B6", "HA"], count, p=[0.6, 0.395, 0.005]),
            "late": (rng.random(count) < 1 / (1 + np.exp(1.2 - x - 0.5 * z))).astype(np.int64),
        }
    )


def write_examples(root, eval_rows, train_rows=None):
    tables = {"train": rows(2_000, seed=1) if train_rows is None else train_rows, "eval": eval_rows}
    splits = []
    for name, table in tables.items():
        file = f"Split-{name}/data_parquet-00000-of-00001.parquet"
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, root / file)
        splits.append(artifacts.Split(name, table.num_rows, [file]))
    kinds = {"x": "float", "z": "float", "origin": "string", "carrier": "string", "late": "int"}
    artifacts.write_manifest(root, artifacts.Manifest(splits, kinds, "fingerprint", {}, {}, {}))
    return str(root)


@pytest.fixture(scope="session")
def examples(tmp_path_factory):
    return write_examples(tmp_path_factory.mktemp("examples"), rows(EVAL_ROWS))


def config(auc="", extra="", slicing="slicing_specs {} slicing_specs { feature_keys: 'origin' }", model=""):
    return f"""
        model_specs {{ label_key: 'late' {model} }}
        {slicing}
        metrics_specs {{
          metrics {{ class_name: 'ExampleCount' }}
          metrics {{ class_name: 'AUC' {auc} }}
          {extra}
        }}"""


def at_least(bound, slicing="slicing_specs {}"):
    value = f"threshold {{ value_threshold {{ lower_bound {{ value: {bound} }} }} }}"
    return f"per_slice_thresholds {{ {slicing} {value} }}" if slicing else value


@pytest.fixture
def judge(tmp_path, examples, models):
    """Returns a function that evaluates a model and returns the verdict, the account and the folder."""
    (tmp_path / "schema.pbtxt").write_text("")
    runs = itertools.count()

    def run(model="good", champion="", text=None, data=examples, **gates):
        root = tmp_path / f"run{next(runs)}"
        (tmp_path / "eval_config.pbtxt").write_text(config(at_least(0.6)) if text is None else text)
        champion_path = models(champion) if champion else str(tmp_path / "nothing")
        request = work.Request(
            data, f"{tmp_path}/schema.pbtxt", models(model), champion_path, "3" if champion else "",
            f"{tmp_path}/eval_config.pbtxt", gates,
        )  # fmt: skip
        outputs = work.Outputs(f"{root}/evaluation", f"{root}/blessing", f"{root}/view.html")
        result = work.evaluate(request, outputs)
        account = json.loads((root / "evaluation" / "summary.json").read_text())
        return Verdict(blessing.read(root / "blessing"), account, result, root)

    return run


@dataclasses.dataclass
class Verdict:
    blessing: blessing.Blessing
    account: dict
    result: work.Result
    root: Path

    def check(self, gate):
        return next(check for check in self.blessing.checks if check.gate == gate)

    def refused_by(self):
        return [check.gate for check in self.blessing.checks if not check.passed]


def assert_blessed(verdict):
    assert verdict.blessing.refusals == []
    assert verdict.result.blessed
    assert verdict.blessing.blessed
    assert (verdict.root / "blessing" / "BLESSED").is_file()


def assert_refused(verdict, *gates):
    assert verdict.refused_by() == list(gates)
    assert not verdict.result.blessed
    assert (verdict.root / "blessing" / "NOT_BLESSED").is_file()
    assert not (verdict.root / "blessing" / "BLESSED").exists()


# Absolute gates


def test_first_model_is_blessed_against_thresholds_and_the_trivial_baseline(judge, capsys):
    verdict = judge("good")

    assert_blessed(verdict)
    assert [check.gate for check in verdict.blessing.checks] == ["predictions", "threshold", "baseline"]
    assert verdict.blessing.compared_with == ""
    assert "finding: blessed: AUC 0.7" in capsys.readouterr().out


def test_shuffled_labels_are_refused_with_reasons(judge, capsys):
    verdict = judge("shuffled", champion="fair")

    assert_refused(verdict, "threshold", "baseline", "champion")
    assert "demanded is ≥ 0.6" in verdict.check("threshold").reason
    assert "against 0.500 of always predicting" in verdict.check("baseline").reason
    assert "< champion v3's 0.7" in verdict.check("champion").reason
    assert "on the same 4,000 rows (difference −0.2" in verdict.check("champion").reason
    assert "finding: refused: AUC 0." in capsys.readouterr().out


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
    assert verdict.account["baseline"]["gain"] < 0


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
    compared = verdict.account["comparison"]
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
    assert {item["slice"] for item in verdict.account["slice_comparison"]} == {
        "origin=EWR", "origin=JFK", "origin=LGA", "carrier=AA", "carrier=B6",
    }  # fmt: skip


def test_slice_gate_that_could_judge_nothing_refuses(judge):
    verdict = judge("good", champion="fair", slices=["origin"], min_slice_rows=EVAL_ROWS)

    assert_refused(verdict, "slices")
    assert "nothing could be judged" in verdict.check("slices").reason


# What cannot be judged at all


@pytest.mark.parametrize(
    ("table", "message"),
    [
        pytest.param(rows(10).slice(0, 0), "eval split has no rows", id="zero rows"),
        pytest.param(rows(50).set_column(4, "late", [[0] * 50]), "late is 0 in all 50 eval rows", id="one class"),
        pytest.param(rows(50).set_column(4, "late", [[2] * 50]), "values other than 0 and 1", id="not binary"),
        pytest.param(rows(50).set_column(4, "late", [[None, 1] * 25]), "late is missing in 25 rows", id="no label"),
        pytest.param(rows(50).set_column(4, "late", [["yes"] * 50]), "the label late is string", id="text"),
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
        pytest.param(config(model="example_weight_key: 'z'"), "weighs examples", id="weights"),
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
        pytest.param({"min_gains": 0.1}, "unknown gates", id="unknown gate"),
        pytest.param({"metric": "f2"}, "no metric 'f2'", id="unknown metric"),
        pytest.param({"min_gain": "0.1"}, "min_gain is '0.1'", id="text for a number"),
        pytest.param({"min_slice_rows": 1.5}, "min_slice_rows is 1.5", id="fraction of a row"),
        pytest.param({"min_gain": True}, "min_gain is True", id="bool for a number"),
        pytest.param({"min_gain": math.nan}, "min_gain", id="NaN"),
        pytest.param({"slices": "origin"}, "list of column names", id="text for a list"),
        pytest.param({"slices": ["tail"]}, "gates.slices names the column 'tail'", id="slice column"),
        pytest.param({"confidence": 95}, "confidence is 95", id="confidence in per cent"),
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
            Model(str(path), "the model", work.Signature("serving_default", ""), ["x"])


def test_model_that_needs_a_column_the_examples_lack_is_an_error(models):
    with pytest.raises(ConfigurationError, match=r"needs the columns \['origin'\]"):
        Model(models("good"), "the model", work.Signature("serving_default", ""), ["x", "z"])


# What is left behind


def test_signature_over_serialized_examples_gives_the_same_metrics(judge):
    raw, serialized = judge("good").account, judge("examples").account

    assert serialized["metrics"]["challenger"] == pytest.approx(raw["metrics"]["challenger"], abs=1e-6)


def test_prediction_key_chooses_the_output(judge):
    chosen = judge("heads", text=config(at_least(0.6), model="prediction_key: 'late'")).account

    assert chosen["metrics"]["challenger"] == pytest.approx(judge("good").account["metrics"]["challenger"], abs=1e-6)


def test_results_open_with_tfma(judge):
    folder = str(judge("good", champion="fair", text=FLIGHTS_CONFIG.read_text()).root / "evaluation")

    challenger = tfma.load_eval_result(folder, model_name="candidate")
    assert {key for key, _ in challenger.slicing_metrics} == {
        (), *((("origin", name),) for name in ("EWR", "JFK", "LGA")), *((("carrier", n),) for n in ("AA", "B6", "HA")),
    }  # fmt: skip
    overall = challenger.get_metrics_for_slice()
    assert overall["example_count"]["doubleValue"] == EVAL_ROWS
    assert tfma.load_eval_result(folder, model_name="baseline").get_metrics_for_slice()["auc"]["doubleValue"] > 0.6
    validation = tfma.load_validation_result(folder)
    assert validation.validation_ok
    assert validation.validation_details.slicing_details[0].num_matching_slices == 1


@pytest.mark.filterwarnings("ignore:.*divide:RuntimeWarning:tensorflow_model_analysis")
def test_metric_that_arrays_cannot_compute_takes_the_ordinary_path_and_says_so(judge, tmp_path, capsys):
    data = write_examples(tmp_path / "few", rows(600))
    text = config(at_least(0.6), extra="metrics { class_name: 'SquaredPearsonCorrelation' }")
    verdict = judge("good", champion="fair", text=text, data=data, min_gain=-1)

    assert_blessed(verdict)
    assert "computed row by row on TFMA's ordinary path" in capsys.readouterr().out
    metrics = verdict.account["metrics"]
    assert metrics["challenger"]["squared_pearson_correlation"] > metrics["champion"]["squared_pearson_correlation"] > 0


def test_summary_holds_metrics_by_slice_for_both_models(judge):
    account = judge("good", champion="fair", text=FLIGHTS_CONFIG.read_text(), slices=["origin"]).account

    assert account["rows"] == EVAL_ROWS
    assert set(account["metrics"]) == {"challenger", "champion"}
    assert set(account["metrics"]["challenger"]) == {
        "example_count", "auc", "auc_precision_recall", "binary_accuracy", "binary_crossentropy", "calibration",
    }  # fmt: skip
    by_origin = [item for item in account["slices"] if "origin" in item["columns"]]
    assert sum(item["rows"] for item in by_origin) == EVAL_ROWS
    assert all(item["rows"] == item["challenger"]["example_count"] for item in account["slices"])
    # Two ways to the same numbers: TFMA's from its histogram, ours exactly.
    assert account["metrics"]["challenger"]["auc"] == pytest.approx(account["comparison"]["challenger"], abs=1e-3)
    assert account["metrics"]["champion"]["auc"] == pytest.approx(account["comparison"]["champion"], abs=1e-3)


def test_curves_describe_the_predictions(judge):
    curves = judge("good", champion="fair").account["curves"]["challenger"]

    roc, confusion = curves["roc"], curves["confusion"]
    assert len(roc["fpr"]) == len(roc["tpr"]) == len(roc["thresholds"]) <= 200
    assert (roc["fpr"][0], roc["tpr"][0], roc["fpr"][-1], roc["tpr"][-1]) == (0, 0, 1, 1)
    assert scipy.integrate.trapezoid(roc["tpr"], roc["fpr"]) == pytest.approx(0.76, abs=0.03)
    assert confusion["tp"] + confusion["fp"] + confusion["fn"] + confusion["tn"] == EVAL_ROWS
    assert sum(item["rows"] for item in curves["calibration"]) == EVAL_ROWS
    assert all(abs(item["prediction"] - item["positive_rate"]) < 0.15 for item in curves["calibration"])


def test_metrics_and_curves_are_logged_without_infinities(judge, tmp_path):
    from kfp import dsl

    metrics = dsl.Metrics(name="metrics", uri=f"{tmp_path}/metrics")
    curves = dsl.ClassificationMetrics(name="curves", uri=f"{tmp_path}/curves")
    # One class on a slice and no positive in another leave metrics that are not numbers.
    verdict = judge("good", champion="fair", text=FLIGHTS_CONFIG.read_text())
    verdict.result.log_to(metrics, curves)

    assert metrics.metadata["auc"] == verdict.account["metrics"]["challenger"]["auc"]
    assert metrics.metadata["champion_auc"] == verdict.account["metrics"]["champion"]["auc"]
    assert len(curves.metadata["confidenceMetrics"]) <= 200
    json.dumps([metrics.metadata, curves.metadata], allow_nan=False)
    assert Path(metrics.path).stat().st_size > 0
    assert Path(curves.path).stat().st_size > 0


def test_nothing_is_logged_of_predictions_that_are_not_finite(judge, tmp_path):
    from kfp import dsl

    metrics = dsl.Metrics(name="metrics", uri=f"{tmp_path}/metrics")
    curves = dsl.ClassificationMetrics(name="curves", uri=f"{tmp_path}/curves")
    judge("NaN").result.log_to(metrics, curves)

    assert metrics.metadata == {}
    assert Path(metrics.path).is_file()
    assert Path(curves.path).is_file()


def test_view_shows_the_verdict_its_reasons_and_the_slices(judge):
    verdict = judge("blind at JFK", champion="good", text=FLIGHTS_CONFIG.read_text(), slices=["origin"])
    page = (verdict.root / "view.html").read_text()

    assert len(verdict.blessing.refusals) == 2
    for reason in verdict.blessing.refusals:
        assert reason in html.unescape(page)
    for said in ("refused", "champion v3", "origin=JFK", "carrier=HA", "ROC", "Calibration"):
        assert said in page
