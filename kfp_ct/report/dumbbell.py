"""A small chart for a table's cell: two values on a scale that all rows share."""

import dataclasses
from collections.abc import Sequence

from kfp_ct.pages.formats import metric

WIDTH, HEIGHT, _EDGE = 260, 18, 7
Scale = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Dumbbell:
    """Where challenger (filled), champion (hollow) and the dotted line stand, in pixels; None where unknown."""

    label: str
    challenger: float | None
    champion: float | None
    middle: float | None
    width: int = WIDTH
    height: int = HEIGHT


def scale(values: Sequence[float]) -> Scale:
    """Returns the ends of a scale on which the values fill the width."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def place(values: tuple[float | None, float | None], ends: Scale, middle: float | None = None) -> Dumbbell:
    """Places challenger and champion, and a dotted line where the whole stands.

    Args:
        values: Challenger and champion; None where unknown.
        ends: The scale.
        middle: Value of the dotted line; beyond the scale there is none.
    """
    challenger, champion = (None if value is None else _across(value, ends) for value in values)
    line = _across(middle, ends) if middle is not None and ends[0] <= middle <= ends[1] else None
    return Dumbbell(f"challenger {metric(values[0])}, champion {metric(values[1])}", challenger, champion, line)


def _across(value: float, ends: Scale) -> float:
    return _EDGE + (value - ends[0]) / (ends[1] - ends[0]) * (WIDTH - 2 * _EDGE)
