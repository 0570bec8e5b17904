"""Exit codes: the one table of their meanings, and which of them a command gives."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

FUNCTION = TypeVar("FUNCTION", bound=Callable[..., Any])
FAILED, CLOSED_PIPE, INTERRUPTED = 1, 141, 130

MEANINGS: Mapping[int, str] = {
    0: "The command did what it was asked to do.",
    FAILED: "It failed; an unforeseen error also shows a traceback.",
    2: "An argument, a setting or a file does not fit, or a gate forbids it; nothing was changed.",
    3: "A compiled package is one that a backend would refuse.",
    4: "A run, a build or a scan failed.",
    5: "This machine cannot run everything that was asked.",
    6: "A scan reached no verdict.",
    7: "A service refused, failed or did not answer.",
    124: "The time to wait was over; the run goes on.",
    INTERRUPTED: "It was interrupted (Ctrl-C).",
    CLOSED_PIPE: "What read its output has ended.",
}
# Those that every command can give and whose meaning there is no other than here.
COMMON = (0, 2)
_ATTRIBUTE = "exit_codes"


def exit_codes(codes: Mapping[int, str]) -> Callable[[FUNCTION], FUNCTION]:
    """Declares what exit codes of a command say, beside or more exactly than the common ones.

    Args:
        codes: Exit code to one sentence, shown in the command's help.
    """

    def declare(function: FUNCTION) -> FUNCTION:
        vars(function)[_ATTRIBUTE] = codes
        return function

    return declare


def declared(function: Callable[..., Any] | None) -> dict[int, str]:
    """Returns the exit codes of a command: code to what it says there."""
    common = {code: MEANINGS[code] for code in COMMON}
    return dict(sorted({**common, **getattr(function, _ATTRIBUTE, {})}.items()))
