"""What each of the 28 tests asks of the evidence; the sections are in modules of their own."""

import dataclasses
from collections.abc import Callable

from kfp_ct.scorecard.evidence import Evidence

NONE, HALF, WHOLE = 0.0, 0.5, 1.0


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a test earns.

    Attributes:
        points: 0; half of one for what is done by hand and written down, or automated in part; one for what is
            automated and repeated.
        evidence: What earns them.
        raises: What would earn more; empty where a whole point is earned.
    """

    points: float
    evidence: str
    raises: str = ""


@dataclasses.dataclass(frozen=True)
class Check:
    """One of the tests: its name in the paper, and what looks for its evidence."""

    title: str
    look: Callable[[Evidence], Finding]


def first(*steps: tuple[bool, float, str], otherwise: str, raises: str) -> Finding:
    """Returns the finding of the first step that holds; of none, nothing is earned."""
    for holds, points, evidence in steps:
        if holds:
            return Finding(points, evidence, "" if points == WHOLE else raises)
    return Finding(NONE, otherwise, raises)
