"""What `ct doctor` found of one thing that runs need."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator

from kfp_ct.base.errors import CtError

FINE, PROBLEM, UNKNOWN = "ok", "problem", "not looked"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        state: ok, problem, or not looked.
        what: What was looked at.
        text: What is there, what is wrong, or why it could not be looked at.
        fix: What mends it.
    """

    state: str
    what: str
    text: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.state:>10}  {self.what}: {self.text}{self.fix and f'; fix: {self.fix}'}"


def fine(what: str, text: str) -> Finding:
    """Returns that something is as it should be."""
    return Finding(FINE, what, text)


def problem(what: str, text: str, fix: str) -> Finding:
    """Returns that something keeps runs from working."""
    return Finding(PROBLEM, what, text, fix)


def unknown(what: str, text: str) -> Finding:
    """Returns that something could not be looked at from here, which says nothing of it."""
    return Finding(UNKNOWN, what, text)


def of_error(what: str, error: CtError) -> Finding:
    """Returns an error of ours as a problem, with its own fix."""
    first, *rest = str(error).splitlines()
    fixes = [line.removeprefix("fix: ") for line in rest if line.startswith("fix: ")]
    return problem(what, first, fixes[0] if fixes else "see above")


def guarded(what: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yields what a check finds; what it raises of ours is a finding too."""
    try:
        yield from check()
    except CtError as error:
        yield of_error(what, error)
