"""Things laid side by side, and where they differ."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Line:
    """One thing of every side, in the sides' order; None where a side has it not."""

    name: str
    values: Sequence[Any]

    @property
    def differs(self) -> bool:
        """Whether the sides are not all alike in it."""
        return any(value != self.values[0] for value in self.values)


def lines(sides: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Lays mappings side by side, a line for each name."""
    names = dict.fromkeys(name for side in sides for name in side)
    return [Line(name, [side.get(name) for side in sides]) for name in names]


def differences(sides: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Returns the lines in which mappings differ."""
    return [line for line in lines(sides) if line.differs]
