"""A small chart for a table's cell: two values on a scale that all rows share."""

from collections.abc import Sequence

from kfp_ct.pages.html import Html
from kfp_ct.pages.svg import px, svg
from kfp_ct.report import words

_WIDTH, _HEIGHT, _EDGE = 260, 18, 7
Scale = tuple[float, float]


def scale(values: Sequence[float]) -> Scale:
    """Returns the ends of a scale on which the values fill the width."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def draw(values: tuple[float | None, float | None], ends: Scale, middle: float | None = None) -> Html:
    """Draws challenger (filled) and champion (hollow), and a dotted line where the whole stands.

    Args:
        values: Challenger and champion; None where unknown.
        ends: The scale.
        middle: Value of the dotted line.
    """
    places = [None if value is None else _across(value, ends) for value in values]
    drawn = f'<path class="axis" d="M0 {_HEIGHT / 2}H{_WIDTH}"/>'
    if middle is not None and ends[0] <= middle <= ends[1]:
        drawn += f'<path class="zero" d="M{px(_across(middle, ends))} 0V{_HEIGHT}"/>'
    challenger, champion = places
    if challenger is not None and champion is not None:
        drawn += f'<path class="stroke" d="M{px(champion)} {_HEIGHT / 2}H{px(challenger)}"/>'
    if champion is not None:
        drawn += f'<circle class="hollow" cx="{px(champion)}" cy="{_HEIGHT / 2}" r="4"/>'
    if challenger is not None:
        drawn += f'<circle class="fill" cx="{px(challenger)}" cy="{_HEIGHT / 2}" r="4.5"/>'
    said = f"challenger {words.metric(values[0])}, champion {words.metric(values[1])}"
    return svg(f'<g class="s1">{drawn}</g>', (_WIDTH, _HEIGHT), said)


def _across(value: float, ends: Scale) -> float:
    return _EDGE + (value - ends[0]) / (ends[1] - ends[0]) * (_WIDTH - 2 * _EDGE)
