"""What AutoGraph leaves alone: it translates the Python of every library that a traced function calls."""

import contextlib
from collections.abc import Iterator

from tensorflow.python.autograph.core import config

_LEFT_ALONE = ("tensorflow_transform",)


@contextlib.contextmanager
def sparing_libraries() -> Iterator[None]:
    """Lets AutoGraph translate users' code, and not TensorFlow Transform's, while its body runs.

    A module of TFX's kind calls `transform_features_layer()` in its signatures. TFT traces that code without AutoGraph
    itself; translated, with all that Keras wraps around it, it is a third of the CPU time that a small model trains.
    """
    before = config.CONVERSION_RULES
    config.CONVERSION_RULES = (*map(config.DoNotConvert, _LEFT_ALONE), *before)
    try:
        yield
    finally:
        config.CONVERSION_RULES = before
