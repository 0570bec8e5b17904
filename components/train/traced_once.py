"""Model.fit traces its training step once: Keras 3 traces it again where the first trace made variables."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf


@contextlib.contextmanager
def fitting() -> Iterator[None]:
    """Within it, `fit` makes the optimizer's variables before it traces, where they are those the trace would make.

    TensorFlow traces a function again when its first trace made variables, and Keras leaves the optimizer's to it. The
    weights that come out are the same to the bit.
    """
    fit = keras.Model.fit

    @functools.wraps(fit)
    def prepared(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_ready(self):
            self.optimizer.build(self.trainable_variables)
        return fit(self, *args, **kwargs)

    keras.Model.fit = prepared
    try:
        yield
    finally:
        keras.Model.fit = fit


def _is_ready(model: Any) -> bool:
    """Whether a model has all its variables, and Keras's own step, which gives the optimizer all that are trained."""
    optimizer, layers = getattr(model, "optimizer", None), getattr(model, "_flatten_layers", None)
    return (
        optimizer is not None
        and layers is not None
        and not optimizer.built
        # Within a strategy, that of the model or one around fit, Keras builds it first itself.
        and not tf.distribute.has_strategy()
        and model.distribute_strategy is tf.distribute.get_strategy()
        and type(model).train_step is keras.Model.train_step
        and all(each.built for each in layers())
    )
