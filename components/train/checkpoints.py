"""Checkpoints that outlive a killed run, so that the next one goes on where it stopped.

Layout: `<root>/<key>/epoch-00003/{latest.weights.h5, training_metadata.json, done.json}`. The key names the training
(data, graph, module, hyperparameters); an epoch without `done.json` was cut off and is not used.
"""

import json
import tempfile
from typing import Any

import keras
import tensorflow as tf

from kfp_ct.base import task_log
from kfp_ct.components.train.callbacks import History

DONE = "done.json"


class ResumableBackup(keras.callbacks.BackupAndRestore):
    """Keras's BackupAndRestore over a local folder, each epoch published whole to a lasting one.

    Args:
        folder: Lasting folder of this training: a path or gs:// URI.
        history: Goes on from the recorded epochs.
        publish: Whether this process writes (the chief among workers); all of them restore.
    """

    def __init__(self, folder: str, history: History, publish: bool = True) -> None:
        self._local = tempfile.TemporaryDirectory()
        super().__init__(self._local.name, delete_checkpoint=False)
        self._folder, self._history, self._publish = folder, history, publish

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Restores the last whole epoch, if there is one."""
        epochs = _whole_epochs(self._folder)
        if epochs:
            done = json.loads(_read(f"{epochs[-1]}/{DONE}"))
            self._history.epochs, self._history.steps = done["epochs"], done["steps"]
            _copy(epochs[-1], self._local.name)
            task_log.progress(f"resumes after epoch {len(done['epochs'])}, from {epochs[-1]}")
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Publishes the epoch, then forgets the ones before."""
        super().on_epoch_end(epoch, logs)
        if not self._publish:
            return
        before = _epochs(self._folder)
        target = f"{self._folder}/epoch-{epoch + 1:05}"
        _copy(self._local.name, target)
        _write(f"{target}/{DONE}", json.dumps({"epochs": self._history.epochs, "steps": self._history.steps}))
        for old in before:
            if old != target:
                tf.io.gfile.rmtree(old)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Leaves the checkpoint: a kill may still come before the model is saved."""
        super().on_train_end(logs)
        self._local.cleanup()


def remove(folder: str) -> None:
    """Removes the checkpoints of a training that has succeeded."""
    if tf.io.gfile.exists(folder):
        tf.io.gfile.rmtree(folder)


def _epochs(folder: str) -> list[str]:
    return sorted(tf.io.gfile.glob(f"{folder}/epoch-*"))


def _whole_epochs(folder: str) -> list[str]:
    return [epoch for epoch in _epochs(folder) if tf.io.gfile.exists(f"{epoch}/{DONE}")]


def _copy(source: str, target: str) -> None:
    for folder, _, files in tf.io.gfile.walk(source):
        # Workers of a strategy have a folder each in Keras's backup.
        below = target + folder.removeprefix(source).rstrip("/")
        tf.io.gfile.makedirs(below)
        for name in files:
            if name != DONE:
                tf.io.gfile.copy(f"{folder}/{name}", f"{below}/{name}", overwrite=True)


def _read(path: str) -> str:
    with tf.io.gfile.GFile(path) as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with tf.io.gfile.GFile(f"{path}.partial", "w") as file:
        file.write(text)
    tf.io.gfile.rename(f"{path}.partial", path, overwrite=True)
