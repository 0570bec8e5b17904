"""Integrated gradients: of a linear model what is known beforehand; of one without gradients, a refusal."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import evaluations
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.evaluate import attribution, importance, importance_process
from kfp_ct.components.evaluate.importance import Evaluated

AIRPORTS = ["EWR", "JFK", "LGA"]


class Linear(tf.Module):
    """2x - 3z plus a number an airport: a vocabulary and an embedding; `bend` goes over all of it."""

    def __init__(self, bend=tf.identity):
        super().__init__()
        self.bend = bend
        self.weights, self.table = tf.Variable([[2.0], [-3.0]]), tf.Variable([[0.0], [1.0], [5.0], [0.0]])
        entries = tf.lookup.KeyValueTensorInitializer(AIRPORTS, tf.range(3, dtype=tf.int64))
        self.airports = tf.lookup.StaticHashTable(entries, 3)

    @tf.function(input_signature=[*evaluations.FLOATS, tf.TensorSpec([None, 1], tf.string, "origin")])
    def serve(self, x, z, origin):
        row = tf.gather(self.table, self.airports.lookup(origin[:, 0]))
        return {"probability": self.bend(tf.stack([x, z], 1) @ self.weights + row)}


class Together(Linear):
    """Two columns that the trained variables see only as their product."""

    @tf.function(input_signature=evaluations.FLOATS)
    def serve(self, x, z):
        return {"probability": tf.sigmoid((x * z)[:, None] @ self.weights[:1])}


@pytest.fixture
def evaluated(tmp_path, examples):
    """Returns a function that saves a module as an evaluated model."""
    (tmp_path / "schema.pbtxt").write_text("")
    (tmp_path / "eval_config.pbtxt").write_text(evaluations.config())

    def of(module):
        tf.saved_model.save(module, f"{tmp_path}/model/Format-Serving", {"serving_default": module.serve})
        gates = {"task": "binary", "metric": "auc"}
        files = f"{tmp_path}/schema.pbtxt", f"{tmp_path}/eval_config.pbtxt"
        return Evaluated(f"{tmp_path}/model", examples, *files, gates)

    return of


def moves(found):
    return {each["feature"]: each["moves"] for each in found["features"]}


def test_a_linear_models_inputs_get_their_weight_times_their_distance_from_the_mean(evaluated, tmp_path):
    asked = evaluated(Linear())
    found = attribution.measure(asked, str(tmp_path), 1_000)

    table: pa.Table = importance.opened(asked, str(tmp_path), 1_000).table
    x, z = (table.column(name).to_numpy() for name in ("x", "z"))
    airports = np.array([0.0, 1.0, 5.0, 0.0])[[AIRPORTS.index(each) for each in table.column("origin").to_pylist()]]
    known = {"x": 2 * x, "z": -3 * z, "origin": airports}
    expected = {name: np.abs(each - each.mean()).mean() for name, each in known.items()}
    assert moves(found) == pytest.approx(expected, rel=1e-4)
    assert [each["feature"] for each in found["features"]] == sorted(expected, key=lambda name: -expected[name])
    assert all(each["low"] < each["moves"] < each["high"] for each in found["features"])
    assert (found["rows"], found["output"], found["method"]) == (1_000, "probability", "integrated gradients")
    assert found["gap"] < 1e-4


def test_of_a_curved_model_the_parts_add_up_and_the_way_gets_as_many_points_as_that_takes(evaluated, tmp_path):
    found = attribution.measure(evaluated(Linear(lambda value: tf.sigmoid(40.0 * value))), str(tmp_path), 300)

    assert found["points"] > 32
    assert found["gap"] < 0.01


def test_columns_that_reach_the_model_together_are_named_together(evaluated, tmp_path):
    assert list(moves(attribution.measure(evaluated(Together()), str(tmp_path), 300))) == ["x × z"]


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (lambda: evaluations.Scorer(evaluations.FORMULAS["good"]), "no trained variable lies between"),
        (lambda: Linear(tf.round), "what its inputs get is off by"),
    ],
    ids=["no variables", "steps"],
)
def test_a_model_without_gradients_is_refused_by_name(evaluated, tmp_path, module, reason):
    asked = evaluated(module())
    with pytest.raises(ConfigurationError, match=f"the model has no integrated gradients: .*{reason}"):
        attribution.measure(asked, str(tmp_path), 300)


def test_the_process_measures_by_the_method_that_is_asked_for(evaluated, tmp_path):
    asked = {"evaluated": vars(evaluated(Together())), "folder": str(tmp_path), "most": 300}

    assert importance_process.answer(asked | {"method": attribution.METHOD})["method"] == attribution.METHOD
    assert "knows no method 'guess'" in importance_process.answer(asked | {"method": "guess"})["error"]
