"""Summaries of every step that no writer takes are not made."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import keras
from tensorflow.python.ops import summary_ops_v2


@contextlib.contextmanager
def left_out() -> Iterator[None]:
    """Within it, Keras's TensorBoard makes scalars of a step only if there is a writer for them.

    With `update_freq="epoch"`, its default, there is none; TensorFlow then throws away what it is given, which takes
    longer than counting a step does.
    """
    end_batch = keras.callbacks.TensorBoard.on_train_batch_end

    @functools.wraps(end_batch)
    def quick(self: Any, batch: int, logs: Any = None) -> None:
        end_batch(self, batch, logs if summary_ops_v2.has_default_writer() else None)

    keras.callbacks.TensorBoard.on_train_batch_end = quick
    try:
        yield
    finally:
        keras.callbacks.TensorBoard.on_train_batch_end = end_batch
