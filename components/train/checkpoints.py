"""Checkpoints that outlive a killed run, so that the next one goes on where it stopped.

Layout: `<root>/<key>/epoch-00003/{latest.weights.h5, training_metadata.json, done.json}`. The key names the training
(data, graph, module, hyperparameters); an epoch without `done.json` was cut off and is not used.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import keras

from kfp_ct.base import task_log
from kfp_ct.components.train.callbacks import History
from kfp_ct.storage import locations, storage
from kfp_ct.storage.objects import StoredObject

DONE = "done.json"


class ResumableBackup(keras.callbacks.BackupAndRestore):
    """Keras's BackupAndRestore over a local folder, each epoch published whole to a lasting one.

    Args:
        folder: Lasting folder of this training: a path, s3:// or gs://.
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
            last = list(epochs)[-1]
            done = json.loads(storage.read_text(f"{last}/{DONE}", "checkpoint"))
            self._history.epochs, self._history.steps = done["epochs"], done["steps"]
            _restore(last, epochs[last], Path(self._local.name))
            task_log.progress(f"resumes after epoch {len(done['epochs'])}, from {last}")
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Publishes the epoch, then forgets the ones before."""
        super().on_epoch_end(epoch, logs)
        if not self._publish:
            return
        before = _epochs(self._folder)
        target = f"{self._folder}/epoch-{epoch + 1:05}"
        storage.upload_folder(Path(self._local.name), target)
        done = {"epochs": self._history.epochs, "steps": self._history.steps}
        storage.write(f"{target}/{DONE}", json.dumps(done).encode())
        for old, items in before.items():
            if old != target:
                _remove(old, items)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Leaves the checkpoint: a kill may still come before the model is saved."""
        super().on_train_end(logs)
        self._local.cleanup()


def remove(folder: str) -> None:
    """Removes the checkpoints of a training that has succeeded."""
    _remove(folder, storage.list_folder(folder))


def _epochs(folder: str) -> dict[str, list[StoredObject]]:
    """Returns the files of every epoch, by its folder; the oldest first."""
    found: dict[str, list[StoredObject]] = {}
    for item in storage.list_folder(folder):
        name = _below(item, folder).partition("/")[0]
        if name.startswith("epoch-"):
            found.setdefault(locations.join(folder, name), []).append(item)
    return dict(sorted(found.items()))


def _whole_epochs(folder: str) -> dict[str, list[StoredObject]]:
    return {epoch: items for epoch, items in _epochs(folder).items() if any(item.file_name == DONE for item in items)}


def _restore(epoch: str, items: list[StoredObject], folder: Path) -> None:
    # Workers of a strategy have a folder each in Keras's backup.
    storage.download((item, folder / _below(item, epoch)) for item in items if item.file_name != DONE)


def _remove(folder: str, items: list[StoredObject]) -> None:
    # Without its mark nobody takes the rest for an epoch.
    for item in sorted(items, key=lambda item: item.file_name != DONE):
        storage.delete(item.uri)
    if not locations.is_remote(folder):
        shutil.rmtree(locations.local_path(folder), ignore_errors=True)


def _below(item: StoredObject, folder: str) -> str:
    return item.uri.removeprefix(f"{locations.absolute(folder)}/")
