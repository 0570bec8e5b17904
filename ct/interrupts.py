"""SIGTERM ends a command as Ctrl-C does: what it started ends with it, and what it keeps is closed."""

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Turns SIGTERM into a KeyboardInterrupt while its body runs."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
