"""Inline SVG charts for `kfp_ct.pages.html` pages: no scripts, readable by screen readers, colours by style sheet.

lines({"model": roc, "champion": old_roc}, "false positive rate", "true positive rate", UNIT_SQUARE)
"""

import dataclasses
import html
import math
from collections.abc import Mapping, Sequence

from kfp_ct.pages.html import Html, escape, number
from kfp_ct.pages.svg import Plot, Point, colour, drawable, nothing, px, spread, svg

# One dash pattern a series, so that colour is never the only difference.
_DASHES = ("", "6 4", "2 4", "9 4 2 4", "1 3", "12 4")
_MOST_POINTS = 400


@dataclasses.dataclass(frozen=True)
class Frame:
    """How a line chart is framed; limits that are None follow the data."""

    title: str = ""
    x_limits: tuple[float, float] | None = None
    y_limits: tuple[float, float] | None = None
    diagonal: bool = False  # a faint line from corner to corner: chance in ROC, perfection in calibration
    markers: bool = False  # a dot at every point: for few points (epochs, calibration buckets)
    width: int = 480
    height: int = 320


UNIT_SQUARE = Frame(x_limits=(0, 1), y_limits=(0, 1), diagonal=True, width=440, height=380)


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    name: str
    low: float
    value: float
    high: float


def lines(series: Mapping[str, Sequence[Point]], x_label: str, y_label: str, frame: Frame | None = None) -> Html:
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
        return _figure(nothing(), frame.title)
    box = (56, 10, frame.width - 56 - 14, frame.height - 10 - 46)
    plot = Plot(frame.x_limits or _limits([x for x, _ in every]), frame.y_limits or _limits([y for _, y in every]), box)
    drawn = [_axes(plot, x_label, y_label)]
    if frame.diagonal:
        drawn.append(plot.segment("zero", (plot.x[0], plot.y[0]), (plot.x[1], plot.y[1])))
    drawn += [_curve(plot, points, n, frame.markers) for n, points in enumerate(shown.values())]
    label = f"{frame.title + ': ' if frame.title else ''}{y_label} against {x_label} for {', '.join(shown)}"
    return _figure(svg("".join(drawn), (frame.width, frame.height), label), frame.title, legend(list(shown)))


def intervals(rows: Sequence[Interval], x_label: str = "", width: int = 560) -> Html:
    """Estimates as dots with their confidence intervals against a line at zero.

    An interval entirely above zero, entirely below, or across zero differs in colour and in its dot's shape.
    """
    kept = [row for row in rows if drawable(row.low, row.value, row.high)]
    if not kept:
        return nothing()
    names = min(max(len(row.name) for row in kept) * 7 + 16, 220)
    height = 26 * len(kept)
    limits = _limits([0.0, *(v for row in kept for v in (row.low, row.high))])
    plot = Plot(limits, (0, len(kept)), (names, 4, width - names - 16, height))
    drawn = [_x_axis(plot, x_label), plot.segment("zero", (0, 0), (0, len(kept)))]
    drawn += [_interval(plot, row, len(kept) - n - 0.5) for n, row in enumerate(kept)]
    label = "; ".join(f"{r.name}: {number(r.value)} ({number(r.low)} to {number(r.high)})" for r in kept)
    return _figure(svg("".join(drawn), (width, height + 50), f"{x_label} {label}".strip()))


def legend(names: Sequence[str]) -> Html:
    """The key to a chart's series, in the order of their colours."""
    keys = (
        f'<span><svg width="22" height="8" aria-hidden="true" class="s{colour(n)}">'
        f'<path class="stroke" d="M1 4H21"{_dash(n)}/></svg>{escape(name)}</span>'
        for n, name in enumerate(names)
    )
    return Html(f'<div class="key">{"".join(keys)}</div>')


def _axes(plot: Plot, x_label: str, y_label: str) -> str:
    left, right = plot.x
    drawn = [_x_axis(plot, x_label)]
    for tick, said in _ticks(*plot.y):
        drawn.append(plot.segment("grid", (left, tick), (right, tick)))
        drawn.append(plot.text((left, tick), (-8, 4), "end", said))
    drawn.append(plot.segment("axis", (left, plot.y[0]), (left, plot.y[1])))
    _, top, _, height = plot.box
    middle = top + height / 2
    turned = f'<text x="13" y="{px(middle)}" transform="rotate(-90 13 {px(middle)})" text-anchor="middle">'
    return "".join(drawn) + f"{turned}{html.escape(y_label)}</text>"


def _x_axis(plot: Plot, label: str) -> str:
    low, high = plot.y
    drawn = []
    for tick, said in _ticks(*plot.x):
        drawn.append(plot.segment("grid", (tick, low), (tick, high)))
        drawn.append(plot.text((tick, low), (0, 17), "middle", said))
    drawn.append(plot.segment("axis", (plot.x[0], low), (plot.x[1], low)))
    drawn.append(plot.text(((plot.x[0] + plot.x[1]) / 2, low), (0, 38), "middle", label))
    return "".join(drawn)


def _curve(plot: Plot, points: Sequence[Point], series: int, markers: bool) -> str:
    thinned = _thinned(points)
    path = "L".join(plot.at(point) for point in thinned)
    drawn = f'<path class="stroke" d="M{path}"{_dash(series)}/>' if path else ""
    if markers or len(thinned) == 1:
        places = (plot.at(point).split() for point in thinned)
        drawn += "".join(f'<circle class="fill" cx="{x}" cy="{y}" r="3"/>' for x, y in places)
    return f'<g class="s{colour(series)}">{drawn}</g>'


def _interval(plot: Plot, row: Interval, y: float) -> str:
    colour = 1 if row.low > 0 else 2 if row.high < 0 else 0
    x, down = plot.at((row.value, y)).split()
    dot = f'<circle class="fill" cx="{x}" cy="{down}" r="4.5"/>'
    if colour == 2:
        dot = f'<rect class="fill" x="{px(float(x) - 4.2)}" y="{px(float(down) - 4.2)}" width="8.4" height="8.4"/>'
    name = row.name if len(row.name) <= 29 else row.name[:28] + "…"
    said = f"{row.name}: {number(row.value)} ({number(row.low)} to {number(row.high)})"
    whisker = plot.segment("stroke", (row.low, y), (row.high, y))
    return (
        f'<g class="s{colour}"><title>{html.escape(said)}</title>{whisker}{dot}'
        f'<text class="name" x="0" y="{px(float(down) + 4)}">{html.escape(name)}</text></g>'
    )


def _ticks(low: float, high: float, about: int = 5) -> list[tuple[float, str]]:
    """Round positions (1, 2 or 5 times a power of ten apart) between two limits, with their texts."""
    step = _step(high - low, about)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    small = digits <= 5 and max(abs(low), abs(high)) < 1e7
    return [(n * step, f"{n * step + 0.0:,.{digits}f}" if small else f"{n * step:.3g}") for n in range(first, last + 1)]


def _step(span: float, about: int) -> float:
    power = 10.0 ** math.floor(math.log10(span / about))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= span / about * 0.999)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Limits at round numbers around the data."""
    low, high = spread(min(values), max(values))
    step = _step(high - low, 5)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def _thinned(points: Sequence[Point]) -> list[Point]:
    """At most `_MOST_POINTS` points and the last: a screen shows no more, and the page stays small."""
    stride = max(1, math.ceil(len(points) / _MOST_POINTS))
    kept = list(points[::stride])
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]


def _figure(chart: Html, title: str = "", key: Html | None = None) -> Html:
    heading = f'<span class="title">{html.escape(title)}</span>' if title else ""
    caption = f"<figcaption>{heading}{key or ''}</figcaption>" if heading or key else ""
    return Html(f"<figure>{caption}{chart}</figure>")


def _dash(series: int) -> str:
    dash = _DASHES[series % len(_DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""
