"""Metrics over all thresholds are exact: AUCs against their definitions, on both ways to TFMA's results."""

import itertools
import math

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.proto import config_pb2

import evaluations
from evaluations import assert_blessed, at_least, config, write_examples
from kfp_ct.components.evaluate import array_metrics, estimates, results
from kfp_ct.components.evaluate.config import Output, Plan
from kfp_ct.components.evaluate.samples import Sample, Scored, Scores

CONFIG = """
    slicing_specs {}
    metrics_specs {
      metrics { class_name: "AUC" config: '"num_thresholds": 5' }
      metrics { class_name: "AUC" module: "tf.keras.metrics" config: '"name": "roc", "summation_method": "minoring"' }
      metrics { class_name: "AUC" config: '"name": "pr", "curve": "PR"' }
      metrics { class_name: "AUCPrecisionRecall" }
      metrics { class_name: "RecallAtPrecision" config: '"precision": 0.5' }
      metrics { class_name: "PrecisionAtRecall" config: '"recall": 0.5' }
      metrics { class_name: "SensitivityAtSpecificity" config: '"specificity": 0.5' }
      metrics { class_name: "SpecificityAtSensitivity" config: '"sensitivity": 0.5' }
    }
"""


def roc_by_definition(labels, predictions, weights):
    """The weighted share of pairs of a positive and a negative row that are in order, ties one half."""
    pairs = list(itertools.product(np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)))
    order = {True: 1.0, False: 0.0}
    won = [
        weights[p] * weights[n] * (0.5 if predictions[p] == predictions[n] else order[predictions[p] > predictions[n]])
        for p, n in pairs
    ]
    return sum(won) / sum(weights[p] * weights[n] for p, n in pairs)


def points(labels, predictions, weights):
    """True and false positives at every threshold, from the highest down."""
    for threshold in sorted(set(predictions), reverse=True):
        above = predictions >= threshold
        yield (weights * (labels == 1))[above].sum(), (weights * (labels == 0))[above].sum()


def pr_by_definition(labels, predictions, weights):
    """The area under Davis and Goadrich's curve, integrated numerically between thresholds."""
    area, tp, fp, steps = 0.0, 0.0, 0.0, 4_000
    for next_tp, next_fp in points(labels, predictions, weights):
        share = (np.arange(steps) + 0.5) / steps
        hits, alarms = tp + share * (next_tp - tp), fp + share * (next_fp - fp)
        area += float((hits / (hits + alarms)).mean()) * (next_tp - tp)
        tp, fp = next_tp, next_fp
    return area / tp


def best_by_definition(labels, predictions, weights):
    """The best of one rate where another is at least one half."""
    tp, fp = np.array([(0.0, 0.0), *points(labels, predictions, weights)]).T
    recall, specificity = tp / tp[-1], 1 - fp / fp[-1]
    precision = np.divide(tp, tp + fp, out=np.full(len(tp), np.nan), where=tp + fp > 0)
    pairs = {
        "recall_at_precision": (precision, recall), "precision_at_recall": (recall, precision),
        "sensitivity_at_specificity": (specificity, recall), "specificity_at_sensitivity": (recall, specificity),
    }  # fmt: skip
    return {name: max([*of[held >= 0.5], 0.0]) for name, (held, of) in pairs.items()}


def plan(text=CONFIG, weight="weight"):
    output = Output("", "late", weight=weight)
    return Plan(text_format.Parse(text, config_pb2.EvalConfig()), (output,), "serving_default")


def scores(labels, predictions, weights):
    sample = Sample("binary", labels.astype(np.float32), weights.astype(np.float64))
    scored = Scored(Output("", "late", weight="weight"), sample, (), {"candidate": predictions.astype(np.float32)})
    return Scores((scored,), pa.table({"weight": pa.array(weights, pa.float32())}))


def from_arrays(labels, predictions, weights):
    run = plan().for_run(False)
    ((_, found),) = results.from_arrays(scores(labels, predictions, weights), run, array_metrics.computations(run))
    return {key.name: value for key, value in found.items()}


TINY = [0.0, 1e-7, 1.5e-7, 2e-4, 2.00001e-4, 9e-4, 0.3, 0.30001, 1.0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from(TINY), st.integers(1, 3)), min_size=2, max_size=30))
def test_metrics_over_all_thresholds_are_those_of_their_definitions(rows):
    labels, predictions, weights = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    predictions = predictions.astype(np.float32).astype(np.float64)
    found = from_arrays(labels, predictions, weights)

    if labels.min() == labels.max():
        assert all(math.isnan(value) for value in found.values())
        return
    roc, pr = (of(labels, predictions, weights) for of in (roc_by_definition, pr_by_definition))
    assert found == pytest.approx(
        {"auc": roc, "roc": roc, "pr": pr, "auc_precision_recall": pr}
        | best_by_definition(labels, predictions, weights),
        abs=1e-3,
    )
    assert found["auc"] == pytest.approx(roc, abs=1e-12)
    assert found["auc"] == pytest.approx(
        estimates.value("auc", scores(labels, predictions, weights).primary.sample, predictions), abs=1e-12
    )


@pytest.mark.filterwarnings("ignore:.*divide:RuntimeWarning:tensorflow_model_analysis")
def test_tfmas_ordinary_path_finds_the_same(tmp_path):
    rng = np.random.default_rng(1)
    labels = (rng.random(400) < 0.1).astype(np.float64)
    predictions = (1e-3 * rng.random(400) * (1 + labels)).astype(np.float32)
    weights = rng.integers(1, 4, 400).astype(np.float64)
    results.write_with_beam(
        str(tmp_path), scores(labels, predictions, weights), plan().for_run(False), schema_pb2.Schema()
    )
    ((_, found),) = results.read(str(tmp_path)).metrics

    expected = from_arrays(labels, predictions, weights)
    assert {key.name: value for key, value in found.items()} == pytest.approx(expected, abs=1e-6)


class Rare(tf.Module):
    """Predictions of which none reaches a thousandth."""

    @tf.function(input_signature=evaluations.FLOATS)
    def serve(self, x, z):
        return {"probability": (1e-3 * tf.sigmoid(x + 0.0 * z))[:, None]}


@pytest.mark.parametrize("ordinary", [False, True], ids=["from arrays", "TFMA's ordinary path"])
def test_a_verdict_on_rare_positives_says_one_auc(judge, models, tmp_path, ordinary):
    rng = np.random.default_rng(5)
    eval_rows = evaluations.rows(2_000 if ordinary else 40_000, seed=6)
    x = eval_rows.column("x").to_numpy()
    late = rng.random(len(x)) < (0.03 if ordinary else 1e-3) * np.exp(1.6 * x - 1.28)
    data = write_examples(tmp_path / "rare", eval_rows.set_column(4, "late", pa.array(late.astype(np.int64))))
    saved = Rare()
    tf.saved_model.save(saved, str(tmp_path / "model" / "Format-Serving"), {"serving_default": saved.serve})
    extra = "metrics { class_name: 'SquaredPearsonCorrelation' }" if ordinary else ""
    text = config(at_least(0.8), extra=extra, slicing="slicing_specs {}")
    verdict = judge(str(tmp_path / "model"), text=text, data=data)

    exact = verdict.report["baseline"]["challenger"]
    assert exact > 0.8
    assert_blessed(verdict)
    assert verdict.check("threshold").reason == f"AUC {exact:.3f} ≥ 0.8 on overall"
    assert verdict.report["metrics"]["challenger"]["auc"] == pytest.approx(exact, abs=1e-9)


def test_an_auc_of_one_class_is_not_defined_and_passes_no_threshold(judge, tmp_path):
    eval_rows = evaluations.rows(4_000)
    late = np.where(np.array(eval_rows.column("origin").to_pylist()) == "JFK", 0, eval_rows.column("late").to_numpy())
    data = write_examples(tmp_path / "data", eval_rows.set_column(4, "late", pa.array(late)))
    verdict = judge("good", text=config(at_least(0.1, slicing="slicing_specs { feature_keys: 'origin' }")), data=data)

    assert verdict.refused_by() == ["threshold"]
    assert "AUC is not defined on origin=JFK" in verdict.check("threshold").reason
    (jfk,) = (of for of in verdict.report["slices"] if of["slice"] == "origin=JFK")
    assert jfk["challenger"]["auc"] is None


def test_the_written_config_is_the_users(judge):
    verdict = judge("good")

    assert '"className": "AUC"' in (verdict.root / "evaluation" / "eval_config.json").read_text()
