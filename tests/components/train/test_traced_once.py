"""Model.fit traces a training step once, with the same weights; what it cannot be sure of it leaves to Keras."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from kfp_ct.components.train import traced_once


class OwnStep(keras.Model):
    """A model whose optimizer trains what its own step says."""

    def train_step(self, data):
        return super().train_step(data)


def fitted(kind, within):
    keras.utils.set_random_seed(3)
    calls, built = [], []

    class Counted(keras.layers.Dense):
        def call(self, inputs):
            calls.append(1)
            return super().call(inputs)

    inputs = keras.Input((2,))
    model = kind(inputs, Counted(1)(inputs))
    model.compile("adam", "mse")
    build = model.optimizer.build
    model.optimizer.build = lambda variables: (built.append(len(calls)), build(variables))
    calls.clear()
    with within:
        model.fit(np.ones((8, 2)), np.arange(8.0), batch_size=2, epochs=2, verbose=0)
    return len(calls), built[0], model.get_weights()


@pytest.mark.parametrize(
    ("kind", "traces"), [(keras.Model, 1), (OwnStep, 2)], ids=["Keras's step", "a step of its own"]
)
def test_a_step_is_traced_once_where_it_is_known_what_the_optimizer_trains(kind, traces):
    before, _, as_keras = fitted(kind, contextlib.nullcontext())
    now, built_after, weights = fitted(kind, traced_once.fitting())
    assert (before, now, built_after) == (2, traces, traces - 1)
    assert all(np.array_equal(*pair) for pair in zip(as_keras, weights, strict=True))


def test_what_changes_fit_is_undone():
    fit = keras.Model.fit
    with traced_once.fitting():
        assert keras.Model.fit is not fit
    assert keras.Model.fit is fit


def test_a_model_of_a_strategy_is_left_to_keras_though_fit_stands_outside():
    strategy = tf.distribute.MirroredStrategy()
    with strategy.scope():
        inputs = keras.Input((2,))
        model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
        model.compile("adam", "mse")
    with traced_once.fitting():
        model.fit(np.ones((8, 2)), np.arange(8.0), batch_size=4, epochs=1, verbose=0)
    assert model.optimizer.built
