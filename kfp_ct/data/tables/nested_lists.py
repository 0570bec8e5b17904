"""Lists of lists, such as images or sequences of vectors: as their values in order, and their shape in SQL.

A tf.Example, and so TFX, has flat lists alone: what is deeper is the shape that the schema says.
"""

import dataclasses
import re

_LEVEL = re.compile(r"\[\d*\]$")
MISSING = "missing"
RAGGED = "-"


@dataclasses.dataclass(frozen=True)
class Nested:
    """A column of lists of lists.

    Attributes:
        element: The type of the innermost values.
        values: Expression of all values of a row, one list.
        shape: Expression of a row's shape as text: `28,28`; `2,1-3` where inner lists differ; `missing`.
    """

    element: str
    values: str
    shape: str


def read(expression: str, type_name: str) -> Nested | None:
    """Returns what a column of lists of lists becomes; None for every other type."""
    element, depth = type_name, 0
    while _LEVEL.search(element):
        element, depth = _LEVEL.sub("", element), depth + 1
    if depth < 2:
        return None
    # Arrays of a fixed size become lists; an inner list that is missing would be passed over by flatten.
    lists = f"CAST({expression} AS {element}{'[]' * depth})"
    levels = [lists]
    for _ in range(depth - 1):
        levels.append(f"flatten({levels[-1]})")
    parts = [f"CAST(len({lists}) AS VARCHAR)", *(_lengths(each) for each in levels[:-1])]
    shape = f"CASE WHEN {expression} IS NULL THEN '{MISSING}' ELSE concat_ws(',', {', '.join(parts)}) END"
    return Nested(element, levels[-1], shape)


def _lengths(lists: str) -> str:
    """Returns how long the lists in a list are, as text: `2`, or the shortest and the longest, `1-3`; null of none."""
    lengths = f"list_transform({lists}, lambda element: coalesce(len(element), -1))"
    low, high = f"list_min({lengths})", f"list_max({lengths})"
    return f"CASE WHEN {low} = {high} AND {low} >= 0 THEN {low}::VARCHAR ELSE {low} || '{RAGGED}' || {high} END"


def flatten_fix(column: str) -> str:
    """Returns what mends a column whose lists have no one shape."""
    return (
        f"fill or cut the lists in the query; or flatten({column}) AS {column} there, and the lengths as a column of "
        f"their own: list_transform({column}, lambda x: len(x))"
    )
