"""Keras callbacks that run_fn passes to `model.fit`: the history, progress, and a stop on a loss that is not finite."""

import math
import time
from collections.abc import Callable
from typing import Any

import keras

from kfp_ct.base import task_log
from kfp_ct.base.errors import TrainingError


def metric_text(name: str, value: float) -> str:
    """Formats one of Keras's metrics; its AUC is an estimate over 200 thresholds, unlike the one that is judged."""
    return f"{name} {'≈ ' if 'auc' in name.lower() else ''}{value:.4f}"


class History(keras.callbacks.Callback):
    """Keeps the loss and metrics of every epoch, and says them.

    Attributes:
        epochs: A dict of metric to value for each epoch.
        steps: Training steps taken.
    """

    def __init__(self, batch_size: Callable[[], int]) -> None:
        super().__init__()
        self.epochs: list[dict[str, float]] = []
        self.steps = 0
        self._batch_size = batch_size
        self._started, self._first_step = 0.0, 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._started, self._first_step = time.monotonic(), self.steps

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts."""
        self.steps += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Records and reports the epoch."""
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        self.epochs = [*self.epochs[:epoch], metrics]
        rows = (self.steps - self._first_step) * self._batch_size()
        speed = rows / max(time.monotonic() - self._started, 1e-6)
        of = f"/{self.params['epochs']}" if self.params.get("epochs") else ""
        metrics_text = ", ".join(metric_text(name, value) for name, value in metrics.items())
        task_log.progress(f"epoch {epoch + 1}{of}: {metrics_text}; {speed:,.0f} rows/s")


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Stops training at the first step whose loss is NaN or infinite.

    Args:
        suspects: Returns the features that are not finite, with how many values; asked only when it happens.
    """

    def __init__(self, suspects: Callable[[], dict[str, int]]) -> None:
        super().__init__()
        self._suspects = suspects
        self._epoch = self._step = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remembers where training is."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Raises on the first loss that is not finite.

        Raises:
            TrainingError: It names the step and the features with values that are not finite.
        """
        self._step += 1
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} at step {self._step} (epoch {self._epoch + 1})\n"
                f"{_non_finite_advice(self._suspects())}"
            )


def _non_finite_advice(suspects: dict[str, int]) -> str:
    if not suspects:
        return "every feature is finite\nfix: lower the learning rate, or clip the gradients"
    found = ", ".join(f"{name} ({count:,} values)" for name, count in suspects.items())
    return f"features that are NaN or infinite: {found}\nfix: fill or bound them in preprocessing_fn"
