"""A search's project on disk, whole at any moment: Keras Tuner writes in place, and a kill may cut a file off."""

import json
from typing import Any

import tensorflow as tf
from keras_tuner.src.engine import trial as kt_trial


def save_atomically(tuner: Any) -> None:
    """Makes a tuner and its oracle write each file under another name and rename it."""
    oracle = tuner.oracle

    def save_trial(trial: Any) -> None:
        _write(f"{oracle._get_trial_dir(trial.trial_id)}/trial.json", trial.get_state())

    def save_oracle() -> None:
        _write(oracle._get_oracle_fname(), oracle.get_state())

    def save_tuner() -> None:
        save_oracle()
        _write(tuner._get_tuner_fname(), tuner.get_state())

    oracle._save_trial, oracle.save, tuner.save = save_trial, save_oracle, save_tuner


def repair(oracle: Any) -> None:
    """Makes the oracle's state and its trials agree where a kill came between writing the one and the other."""
    done = {name for name, trial in oracle.trials.items() if trial.status != kt_trial.TrialStatus.RUNNING}
    waiting = [name for name in oracle._retry_queue if name not in done]
    oracle._retry_queue = [*waiting, *sorted(set(oracle.trials) - done - set(waiting))]
    oracle.end_order = [*oracle.end_order, *sorted(done - set(oracle.end_order))]


def _write(path: str, state: dict[str, Any]) -> None:
    with tf.io.gfile.GFile(f"{path}.partial", "w") as file:
        file.write(json.dumps(state))
    tf.io.gfile.rename(f"{path}.partial", path, overwrite=True)
