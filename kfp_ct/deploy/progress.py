"""Following a run to its end, over errors that pass."""

import dataclasses
import time
from collections.abc import Callable

from kfp_ct.base.errors import RunFailedError, RunTimeoutError, TargetError

SUCCEEDED = "SUCCEEDED"
ENDED = (SUCCEEDED, "SKIPPED", "FAILED", "CANCELED", "ERROR")
_MOST_ERRORS = 10  # one after another


@dataclasses.dataclass(frozen=True)
class RunView:
    """Where a run stands: its state, its tasks' by name, and what went wrong."""

    state: str
    tasks: dict[str, str]
    error: str = ""


def follow(
    look: Callable[[], RunView],
    say: Callable[[str], None],
    timeout: float | None = None,
    every: float = 2.0,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> RunView:
    """Waits for a run's end and says what changes.

    Args:
        look: Asks where it stands.
        say: Takes a line.
        timeout: Seconds to wait at most.
        every: Seconds between looks.
        sleep: Waits.
        clock: Seconds since some moment.

    Raises:
        RunFailedError: It ended otherwise than well.
        RunTimeoutError: It had no end in time; it goes on.
        TargetError: The service fails, ten times one after another.
    """
    started, errors = clock(), 0
    known: dict[str, str] = {}
    while True:
        try:
            view = look()
            errors = 0
            known = _changes(view, known, say)
            if view.state.upper() in ENDED:
                return _ended(view)
        except TargetError as error:
            errors += 1
            if errors >= _MOST_ERRORS:
                raise
            say(f"waiting: {str(error).splitlines()[0]}")
        if timeout is not None and clock() - started >= timeout:
            raise RunTimeoutError(f"the run had no end within {timeout:g} seconds\nit goes on; nothing was stopped")
        sleep(every)


def _changes(view: RunView, known: dict[str, str], say: Callable[[str], None]) -> dict[str, str]:
    now = {"run": view.state, **view.tasks}
    for name, state in now.items():
        if state and known.get(name) != state:
            say(f"{name}: {state}")
    return now


def _ended(view: RunView) -> RunView:
    if view.state.upper() == SUCCEEDED:
        return view
    failed = [name for name, state in view.tasks.items() if state in ("FAILED", "ERROR")]
    steps = f": {', '.join(failed)} failed" if failed else ""
    raise RunFailedError(f"the run ended as {view.state}{steps}\n{view.error}".rstrip())
