"""What an evaluation leaves behind: TFMA's results, the report, curves, what is logged, the page."""

import html
import json
from pathlib import Path

import pytest
import scipy.integrate
import tensorflow_model_analysis as tfma

from evaluations import EVAL_ROWS, FLIGHTS_CONFIG, assert_blessed, at_least, config, rows, write_examples


def test_signature_over_serialized_examples_gives_the_same_metrics(judge):
    raw, serialized = judge("good").report, judge("examples").report

    assert serialized["metrics"]["challenger"] == pytest.approx(raw["metrics"]["challenger"], abs=1e-6)


def test_prediction_key_chooses_the_output(judge):
    chosen = judge("heads", text=config(at_least(0.6), model="prediction_key: 'late'")).report

    assert chosen["metrics"]["challenger"] == pytest.approx(judge("good").report["metrics"]["challenger"], abs=1e-6)


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
    metrics = verdict.report["metrics"]
    assert metrics["challenger"]["squared_pearson_correlation"] > metrics["champion"]["squared_pearson_correlation"] > 0


def test_summary_holds_metrics_by_slice_for_both_models(judge):
    report = judge("good", champion="fair", text=FLIGHTS_CONFIG.read_text(), slices=["origin"]).report

    assert report["rows"] == EVAL_ROWS
    assert set(report["metrics"]) == {"challenger", "champion"}
    assert set(report["metrics"]["challenger"]) == {
        "example_count", "auc", "auc_precision_recall", "binary_accuracy", "binary_crossentropy", "calibration",
    }  # fmt: skip
    by_origin = [item for item in report["slices"] if "origin" in item["columns"]]
    assert sum(item["rows"] for item in by_origin) == EVAL_ROWS
    assert all(item["rows"] == item["challenger"]["example_count"] for item in report["slices"])
    # The metric that a threshold judges and the one that the champion is compared by are one number.
    assert report["metrics"]["challenger"]["auc"] == pytest.approx(report["comparison"]["challenger"], abs=1e-9)
    assert report["metrics"]["champion"]["auc"] == pytest.approx(report["comparison"]["champion"], abs=1e-9)


def test_curves_describe_the_predictions(judge):
    curves = judge("good", champion="fair").report["curves"]["challenger"]

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

    assert metrics.metadata["auc"] == verdict.report["metrics"]["challenger"]["auc"]
    assert metrics.metadata["champion_auc"] == verdict.report["metrics"]["champion"]["auc"]
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
