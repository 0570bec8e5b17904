"""Keras's TensorBoard makes a step's scalars only for a writer that takes them."""

import keras
import pytest
import tensorflow as tf

from kfp_ct.components.train import unwritten_summaries


class Logs(dict):
    """A step's metrics, which know whether anybody has looked."""

    looked_at = False

    def items(self):
        self.looked_at = True
        return super().items()


@pytest.fixture
def board(tmp_path):
    board = keras.callbacks.TensorBoard(str(tmp_path / "own"), write_graph=False)
    board.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    board.on_train_begin()
    board.on_train_batch_begin(0)
    return board


def test_without_a_writer_nothing_is_made_of_a_step(board):
    logs = Logs(loss=0.5)
    with unwritten_summaries.left_out():
        board.on_train_batch_end(0, logs)
    assert not logs.looked_at
    board.on_train_batch_end(0, logs)
    assert logs.looked_at


def test_a_writer_has_every_step(board, tmp_path):
    with unwritten_summaries.left_out(), tf.summary.create_file_writer(str(tmp_path / "steps")).as_default():
        board.on_train_batch_end(0, {"loss": 0.5})
    (written,) = (tmp_path / "steps").iterdir()
    tags = [value.tag for event in tf.compat.v1.train.summary_iterator(str(written)) for value in event.summary.value]
    assert tags == ["batch_loss"]
