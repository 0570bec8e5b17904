"""Charts with axes: computed here, drawn by `macros/charts.html` as inline SVG, coloured by the style sheet.

    {% import "macros/charts.html" as charts %}
    {{ charts.lines(roc) }}

where `roc` is `lines({"model": roc, "champion": old_roc}, "false positive rate", "true positive rate", UNIT_SQUARE)`.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from kfp_ct.pages.formats import number
from kfp_ct.pages.plot import Axis, Limits, Plot, Point, colour, drawable, path, round_limits, shortened

# One dash pattern a series, so that colour is never the only difference.
_DASHES = ("", "6 4", "2 4", "9 4 2 4", "1 3", "12 4")
_MOST_POINTS = 400
_LONGEST_NAME = 29  # letters, of an interval


@dataclasses.dataclass(frozen=True)
class Frame:
    """How a line chart is framed; limits that are None follow the data."""

    title: str = ""
    x_limits: Limits | None = None
    y_limits: Limits | None = None
    diagonal: bool = False  # a faint line from corner to corner: chance in ROC, perfection in calibration
    markers: bool = False  # a dot at every point: for few points (epochs, calibration buckets)
    width: int = 480
    height: int = 320


UNIT_SQUARE = Frame(x_limits=(0, 1), y_limits=(0, 1), diagonal=True, width=440, height=380)


@dataclasses.dataclass(frozen=True)
class Key:
    """A series in a legend."""

    name: str
    colour: int
    dash: str


@dataclasses.dataclass(frozen=True)
class Curve:
    """A series as drawn."""

    key: Key
    path: str
    dots: Sequence[Point]


@dataclasses.dataclass(frozen=True)
class LineChart:
    """Curves over two axes; without any there is nothing to draw."""

    title: str
    label: str = ""  # for screen readers
    width: int = 0
    height: int = 0
    plot: Plot | None = None
    x_axis: Axis | None = None
    y_axis: Axis | None = None
    diagonal: str = ""
    curves: Sequence[Curve] = ()


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    name: str
    low: float
    value: float
    high: float

    def __str__(self) -> str:
        return f"{self.name}: {number(self.value)} ({number(self.low)} to {number(self.high)})"


@dataclasses.dataclass(frozen=True)
class Whisker:
    """An interval as drawn: above zero, below or across it differ in colour, below also in the shape of the dot."""

    name: str
    about: str
    colour: int
    below: bool
    x: float
    y: float
    path: str


@dataclasses.dataclass(frozen=True)
class IntervalChart:
    """Intervals over one axis, against a line at zero; without any there is nothing to draw."""

    label: str = ""
    width: int = 0
    height: int = 0
    plot: Plot | None = None
    x_axis: Axis | None = None
    zero: str = ""
    whiskers: Sequence[Whisker] = ()


def lines(series: Mapping[str, Sequence[Point]], x_label: str, y_label: str, frame: Frame | None = None) -> LineChart:
    """A line chart with axes, ticks and a legend: ROC, precision-recall, calibration, loss curves.

    Args:
        series: Name to points (x, y); points that are not finite are left out.
        x_label: Name of the x axis, with its unit.
        y_label: Name of the y axis, with its unit.
        frame: Title, limits and size.
    """
    frame = frame or Frame()
    shown = {name: [point for point in points if drawable(*point)] for name, points in series.items()}
    every = [point for points in shown.values() for point in points]
    if not every:
        return LineChart(frame.title)
    x, y = frame.x_limits or round_limits([x for x, _ in every]), frame.y_limits or round_limits([y for _, y in every])
    plot = Plot(x, y, 56, 10, frame.width - 56 - 14, frame.height - 10 - 46)
    return LineChart(
        frame.title,
        f"{frame.title + ': ' if frame.title else ''}{y_label} against {x_label} for {', '.join(shown)}",
        frame.width,
        frame.height,
        plot,
        plot.x_axis(x_label),
        plot.y_axis(y_label),
        path([plot.at((x[0], y[0])), plot.at((x[1], y[1]))]) if frame.diagonal else "",
        [
            _curve(plot, points, key, frame.markers)
            for key, points in zip(legend(list(shown)), shown.values(), strict=True)
        ],
    )


def intervals(rows: Sequence[Interval], x_label: str = "", width: int = 560) -> IntervalChart:
    """Estimates as dots with their confidence intervals against a line at zero."""
    kept = [row for row in rows if drawable(row.low, row.value, row.high)]
    if not kept:
        return IntervalChart()
    names = min(max(len(row.name) for row in kept) * 7 + 16, 220)
    height = 26 * len(kept)
    limits = round_limits([0.0, *(value for row in kept for value in (row.low, row.high))])
    plot = Plot(limits, (0, len(kept)), names, 4, width - names - 16, height)
    return IntervalChart(
        f"{x_label} {'; '.join(map(str, kept))}".strip(),
        width,
        height + 50,
        plot,
        plot.x_axis(x_label),
        path([plot.at((0, 0)), plot.at((0, len(kept)))]),
        [_whisker(plot, row, len(kept) - n - 0.5) for n, row in enumerate(kept)],
    )


def legend(names: Sequence[str]) -> list[Key]:
    """The key to a chart's series, in the order of their colours."""
    return [Key(name, colour(n), _DASHES[n % len(_DASHES)]) for n, name in enumerate(names)]


def _curve(plot: Plot, points: Sequence[Point], key: Key, markers: bool) -> Curve:
    thinned = [plot.at(point) for point in _thinned(points)]
    return Curve(key, path(thinned), thinned if markers or len(thinned) == 1 else [])


def _whisker(plot: Plot, row: Interval, y: float) -> Whisker:
    colour = 1 if row.low > 0 else 2 if row.high < 0 else 0
    ends = path([plot.at((row.low, y)), plot.at((row.high, y))])
    return Whisker(shortened(row.name, _LONGEST_NAME), str(row), colour, row.high < 0, *plot.at((row.value, y)), ends)


def _thinned(points: Sequence[Point]) -> list[Point]:
    """At most `_MOST_POINTS` points and the last: a screen shows no more, and the page stays small."""
    stride = max(1, math.ceil(len(points) / _MOST_POINTS))
    kept = list(points[::stride])
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]
