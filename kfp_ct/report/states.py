"""How a task's state looks: colour, sign and word, so that colour is never the only difference.

Warning colours are for problems: a step that runs, waits or was left out has none.
"""

import dataclasses

from kfp_ct.runs.events import State


@dataclasses.dataclass(frozen=True)
class Look:
    """How a state is shown.

    Attributes:
        style: A class of the style sheet.
        sign: An SVG path around the origin, ±4 pixels.
        mark: The same sign as a character.
        word: The state in words.
    """

    style: str
    sign: str
    mark: str
    word: str


_LOOKS = {
    State.SUCCEEDED: Look("ok", "M-3.4.3L-1 2.8L3.6-2.8", "✓", "succeeded"),
    State.CACHED: Look("info", "M-3.2-1.8H3.2M-3.2 1.8H3.2", "≡", "from cache"),
    State.FAILED: Look("bad", "M-2.6-2.6L2.6 2.6M2.6-2.6L-2.6 2.6", "✕", "failed"),
    State.RUNNING: Look("active", "M-1.8-3L2.6 0L-1.8 3Z", "►", "running"),
    State.PENDING: Look("idle", "M-.6 0H.6", "–", "pending"),
    State.SKIPPED: Look("idle", "M-3 0H3", "–", "skipped"),
}


def look(state: str) -> Look:
    """Returns how a state looks."""
    return _LOOKS[State(state)]


def ran(state: str) -> bool:
    """Says whether a task was executed or answered from the cache, to whatever end."""
    return state in (State.SUCCEEDED, State.CACHED, State.FAILED, State.RUNNING)


def ended(state: str) -> bool:
    """Says whether a task was executed, or answered from the cache, to its end: whether its time is known."""
    return ran(state) and state != State.RUNNING
