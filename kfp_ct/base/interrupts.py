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


@contextlib.contextmanager
def defer_signals() -> Iterator[None]:
    """Keeps Ctrl-C, and SIGTERM where it is heeded, until its body is done: what is begun there is known when it ends.

    A signal that is ignored stays ignored.
    """
    came: list[int] = []
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    heeded = {each: handler for each, handler in before.items() if callable(handler)}
    for each in heeded:
        signal.signal(each, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for each, handler in heeded.items():
            signal.signal(each, handler)
    for number in came[:1]:
        heeded[signal.Signals(number)](number, None)
