"""Metrics computed from arrays are TFMA's metrics: equal to its ordinary path's, on whichever version is installed."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_model_analysis as tfma
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.proto import config_pb2

from kfp_ct.components.evaluate import array_metrics, results, slices
from kfp_ct.components.evaluate.config import Plan
from kfp_ct.components.evaluate.eval_config import Output
from kfp_ct.components.evaluate.samples import Sample, Scored, Scores

pytestmark = pytest.mark.filterwarnings("ignore:.*divide:RuntimeWarning:tensorflow_model_analysis")

CONFIG = """
    slicing_specs {}
    slicing_specs { feature_keys: "origin" }
    slicing_specs { feature_keys: "carrier" }
    slicing_specs { feature_keys: "hour" }
    slicing_specs { feature_keys: ["carrier", "origin"] }
    slicing_specs { feature_keys: "carrier" feature_values { key: "origin" value: "JFK" } }
    metrics_specs {
      metrics { class_name: "ExampleCount" }
      metrics {
        class_name: "AUC"
        per_slice_thresholds { slicing_specs {} threshold { value_threshold { lower_bound { value: 0.65 } } } }
        per_slice_thresholds {
          slicing_specs { feature_keys: "carrier" }
          threshold { change_threshold { absolute { value: 0 } direction: HIGHER_IS_BETTER } }
        }
      }
      metrics { class_name: "AUCPrecisionRecall" }
      metrics { class_name: "BinaryAccuracy" threshold { value_threshold { lower_bound { value: 0.5 } } } }
      metrics { class_name: "BinaryCrossentropy" }
      metrics { class_name: "Precision" }
      metrics { class_name: "Recall" config: '"thresholds": 0.3' }
      metrics { class_name: "TruePositives" }
      metrics { class_name: "MeanLabel" }
      metrics { class_name: "MeanPrediction" }
      metrics { class_name: "Calibration" }
      metrics { class_name: "CalibrationPlot" }
      metrics { class_name: "ConfusionMatrixPlot" }
    }
"""


def scores(count=300, seed=3):
    rng = np.random.default_rng(seed)
    truth = rng.random(count)
    columns = pa.table(
        {
            "origin": pa.array(rng.choice(["EWR", "JFK", None], count)),
            "carrier": rng.choice(["AA", "B6", "HÄ"], count, p=[0.6, 0.39, 0.01]),
            "hour": pa.array(rng.integers(5, 8, count), pa.int64(), mask=rng.random(count) < 0.2),
        }
    )
    labels = (rng.random(count) < truth).astype(np.float32)
    noise = np.clip(truth + rng.normal(0, 0.2, (2, count)), 0, 1).astype(np.float32)
    noise[0, :4] = [0.0, 1.0, 0.5, 0.3]  # the ends, and values on thresholds
    predictions = {"candidate": noise[0], "baseline": noise[1]}
    return Scores((Scored(Output("", "late"), Sample("binary", labels), (), predictions),), columns)


def weighted(given):
    weights = np.random.default_rng(4).integers(1, 4, given.rows).astype(np.float64)
    sample = dataclasses.replace(given.primary.sample, weights=weights)
    scored = dataclasses.replace(given.primary, sample=sample, output=Output("", "late", weight="weight"))
    return Scores((scored,), given.columns.append_column("weight", pa.array(weights, pa.float32())))


def plan(text=CONFIG, weight=""):
    return Plan(
        text_format.Parse(text, config_pb2.EvalConfig()), (Output("", "late", weight=weight),), "serving_default"
    )


def without(given, models):
    kept = {name: given.primary.predictions[name] for name in models}
    return Scores((dataclasses.replace(given.primary, predictions=kept),), given.columns)


def flat(evaluation):
    return {(key, metric): value for key, metrics in evaluation.metrics for metric, value in metrics.items()}


@pytest.mark.parametrize(
    ("models", "weight"),
    [(["candidate"], ""), (["candidate", "baseline"], ""), (["candidate"], "weight")],
    ids=["one model", "two models", "weighted"],
)
def test_metrics_from_arrays_equal_tfmas_ordinary_path(tmp_path, models, weight):
    given, config = without(scores(), models), plan(weight=weight).for_run("baseline" in models)
    if weight:
        given = weighted(given)
    wanted = array_metrics.computations(config)
    assert array_metrics.unsupported(config, wanted) == ""

    results.write(str(tmp_path / "arrays"), config, results.from_arrays(given, config, wanted))
    results.write_with_beam(str(tmp_path / "beam"), given, config, schema_pb2.Schema())
    ours, theirs = (results.read(str(tmp_path / way)) for way in ("arrays", "beam"))

    assert len(flat(ours)) > 100
    assert flat(ours) == pytest.approx(flat(theirs), abs=1e-6, nan_ok=True)
    assert ours.validation.validation_ok == theirs.validation.validation_ok
    assert failures(ours.validation) == failures(theirs.validation)
    assert details(ours.validation) == details(theirs.validation)


def failures(validation):
    return {
        (str(item.slice_key), str(failure.metric_key), str(failure.metric_threshold), failure.message)
        for item in validation.metric_validations_per_slice
        for failure in item.failures
    }


def details(validation):
    return {(str(d.slicing_spec), d.num_matching_slices) for d in validation.validation_details.slicing_details}


def test_plots_from_arrays_equal_tfmas_ordinary_path(tmp_path):
    given, config = without(scores(), ["candidate"]), plan().for_run(False)
    results.write(
        str(tmp_path / "arrays"), config, results.from_arrays(given, config, array_metrics.computations(config))
    )
    results.write_with_beam(str(tmp_path / "beam"), given, config, schema_pb2.Schema())

    ours, theirs = (
        {str(record.slice_key): record.plot_keys_and_values[0].value for record in tfma.load_plots(str(tmp_path / way))}
        for way in ("arrays", "beam")
    )
    assert ours.keys() == theirs.keys()
    for key, plot in ours.items():
        assert buckets(plot) == pytest.approx(buckets(theirs[key]), abs=1e-6)
        assert matrices(plot) == pytest.approx(matrices(theirs[key]), abs=1e-6, nan_ok=True)


def buckets(plot):
    return [
        value
        for bucket in plot.calibration_histogram_buckets.buckets
        for value in (bucket.total_weighted_label.value, bucket.total_weighted_refined_prediction.value)
    ]


def matrices(plot):
    return [
        value
        for matrix in plot.confusion_matrix_at_thresholds.matrices
        for value in (matrix.true_positives, matrix.false_positives, matrix.precision)
    ]


@pytest.mark.parametrize(
    "addition",
    [
        pytest.param("metrics_specs { metrics { class_name: 'SquaredPearsonCorrelation' } }", id="combiner"),
        pytest.param("metrics_specs { query_key: 'origin' metrics { class_name: 'ExampleCount' } }", id="query key"),
        pytest.param("options { compute_confidence_intervals { value: true } }", id="confidence intervals"),
        pytest.param(
            "cross_slicing_specs { baseline_spec {} slicing_specs { feature_keys: 'origin' } }", id="cross slices"
        ),
    ],
)
def test_what_needs_the_ordinary_path_is_said(addition):
    config = plan(CONFIG + addition).for_run(True)

    assert array_metrics.unsupported(config, array_metrics.computations(config))


def test_small_slices_are_left_out_where_the_config_says_so():
    given, config = scores(), plan(CONFIG + "options { min_slice_size { value: 50 } }").for_run(True)
    found = dict(results.from_arrays(given, config, array_metrics.computations(config)))

    assert (("carrier", "AA"),) in found
    assert (("carrier", "HÄ"),) not in found


def test_missing_values_belong_to_no_slice_and_the_rest_to_one_each():
    table = scores().columns
    origins = slices.rows_by_value(table, "origin")

    present = sum(value.as_py() is not None for value in table.column("origin"))
    assert sum(map(len, origins.values())) == present
    for ((_, origin),), rows in origins.items():
        assert set(table.column("origin").take(pa.array(rows)).to_pylist()) == {origin}


def test_no_rows_make_no_slices():
    config = plan().for_run(False)

    assert slices.rows_by_slice(scores().columns.slice(0, 0), config) == {}
