"""Data mapped to pixels: what the charts are computed with."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

from kfp_ct.pages.formats import px

Point = tuple[float, float]
Limits = tuple[float, float]
# Beyond it, differences and squares of values leave what a float can hold.
_EXTREME = 1e100
_COLOURS = 6  # in the style sheet: classes s1 to s6


@dataclasses.dataclass(frozen=True)
class Tick:
    """A mark on an axis, in pixels, with its text."""

    at: float
    text: str


@dataclasses.dataclass(frozen=True)
class Axis:
    """An axis with its marks and its name."""

    ticks: Sequence[Tick]
    label: str


@dataclasses.dataclass(frozen=True)
class Plot:
    """Maps data to pixels: limits of the data, and the edges of the area inside the axes."""

    x: Limits
    y: Limits
    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height

    def across(self, value: float) -> float:
        """Returns where a value of the x axis stands."""
        return self.left + (value - self.x[0]) / (self.x[1] - self.x[0]) * self.width

    def down(self, value: float) -> float:
        """Returns where a value of the y axis stands."""
        return self.bottom - (value - self.y[0]) / (self.y[1] - self.y[0]) * self.height

    def at(self, point: Point) -> Point:
        """Returns the pixels of a point."""
        return self.across(point[0]), self.down(point[1])

    def x_axis(self, label: str) -> Axis:
        """Returns the x axis with marks at round numbers."""
        return Axis([Tick(self.across(value), text) for value, text in ticks(*self.x)], label)

    def y_axis(self, label: str) -> Axis:
        """Returns the y axis with marks at round numbers."""
        return Axis([Tick(self.down(value), text) for value, text in ticks(*self.y)], label)


def path(points: Iterable[Point]) -> str:
    """Returns a line through points (pixels) as the path data of an SVG; empty if there are none."""
    through = "L".join(f"{px(x)} {px(y)}" for x, y in points)
    return f"M{through}" if through else ""


def ticks(low: float, high: float, about: int = 5) -> list[tuple[float, str]]:
    """Returns round positions (1, 2 or 5 times a power of ten apart) between two limits, with their texts."""
    step = _step(high - low, about)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    small = digits <= 5 and max(abs(low), abs(high)) < 1e7
    return [(n * step, f"{n * step + 0.0:,.{digits}f}" if small else f"{n * step:.3g}") for n in range(first, last + 1)]


def round_limits(values: Sequence[float]) -> Limits:
    """Returns limits at round numbers around the data."""
    low, high = apart(min(values), max(values))
    step = _step(high - low, 5)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def apart(low: float, high: float) -> Limits:
    """Returns limits that are apart: those given, or some room around a single value."""
    if high - low > max(abs(low), abs(high)) * 1e-9 + 1 / _EXTREME:
        return low, high
    return low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)


def drawable(*values: float) -> bool:
    """Whether all values can be placed: finite and not astronomic."""
    return all(math.isfinite(value) and abs(value) < _EXTREME for value in values)


def colour(series: int) -> int:
    """Returns the number of a series' colour in the style sheet."""
    return series % _COLOURS + 1


def shortened(name: str, letters: int) -> str:
    """Returns a name that has at most so many letters."""
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def _step(span: float, about: int) -> float:
    power = 10.0 ** math.floor(math.log10(span / about))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= span / about * 0.999)
