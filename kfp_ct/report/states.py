"""How a task's state looks: colour, sign and word, so that colour is never the only difference."""

import dataclasses

from kfp_ct.pages.html import Html, badge, muted
from kfp_ct.runs.events import State


@dataclasses.dataclass(frozen=True)
class Look:
    """A class of the style sheet, a sign drawn around the origin (an SVG path, ±4 pixels) and a word."""

    style: str
    sign: str
    word: str


_LOOKS = {
    State.SUCCEEDED: Look("ok", "M-3.4.3L-1 2.8L3.6-2.8", "succeeded"),
    State.CACHED: Look("info", "M-3.2-1.8H3.2M-3.2 1.8H3.2", "from cache"),
    State.FAILED: Look("bad", "M-2.6-2.6L2.6 2.6M2.6-2.6L-2.6 2.6", "failed"),
    State.RUNNING: Look("active", "M-1.8-3L2.6 0L-1.8 3Z", "running"),
    State.PENDING: Look("idle", "M-.6 0H.6", "pending"),
    State.SKIPPED: Look("idle", "M-3 0H3", "skipped"),
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


def mark(state: str) -> Html:
    """A state as an inline sign and word."""
    seen = look(state)
    if seen.style == "idle":
        return muted(f"– {seen.word}")
    if state == State.CACHED:
        return Html(f'<span class="badge info"><span aria-hidden="true">≡</span> {seen.word}</span>')
    return badge({"ok": "ok", "bad": "bad"}.get(seen.style, "info"), seen.word)  # type: ignore[arg-type]
