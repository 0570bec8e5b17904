"""Model.fit of modules that pass none of `fn_args.callbacks`, as TFX's modules do, is given them."""

import contextlib
import functools
import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from kfp_ct.components.train.callbacks import History, StopOnNonFiniteLoss


@contextlib.contextmanager
def passing(callbacks: Sequence[Any]) -> Iterator[None]:
    """Within it, `fit` of any Keras model has the callbacks, unless the module passes some of them itself.

    Of Keras 2's models, which Keras 3's own callbacks do not know, those of this library only.

    Args:
        callbacks: What `fn_args.callbacks` holds; nothing is changed if it is empty.
    """
    with contextlib.ExitStack() as changed:
        if callbacks:
            changed.enter_context(_given(keras.Model, callbacks))
            if importlib.util.find_spec("tf_keras"):
                legacy = importlib.import_module("tf_keras")
                changed.enter_context(_given(legacy.Model, _of_keras_2(legacy, callbacks)))
        yield


def _of_keras_2(legacy: Any, callbacks: Sequence[Any]) -> list[Any]:
    """Returns callbacks of Keras 2 that hand on to this library's own what these look at."""

    class Handing(legacy.callbacks.Callback):
        def __init__(self, callback: Any) -> None:
            super().__init__()
            self._callback = callback

        def set_params(self, params: dict[str, Any]) -> None:
            super().set_params(params)
            self._callback.set_params(params)

        def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self._callback.on_epoch_begin(epoch, logs)

        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            self._callback.on_train_batch_end(batch, logs)

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self._callback.on_epoch_end(epoch, logs)

    return [Handing(each) for each in callbacks if isinstance(each, History | StopOnNonFiniteLoss)]


@contextlib.contextmanager
def _given(model: Any, callbacks: Sequence[Any]) -> Iterator[None]:
    fit = model.fit

    @functools.wraps(fit)
    def observed(self: Any, *args: Any, callbacks: Any = None, **kwargs: Any) -> Any:
        passed = list(callbacks or []) if isinstance(callbacks, list | tuple | None) else None
        if passed is None or any(each in ours for each in passed):
            return fit(self, *args, callbacks=callbacks, **kwargs)
        return fit(self, *args, callbacks=[*passed, *ours], **kwargs)

    ours = list(callbacks)
    model.fit = observed
    try:
        yield
    finally:
        model.fit = fit
