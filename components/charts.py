"""Inline SVG charts for `components.html` pages: no scripts, readable by screen readers, colours by style sheet.

lines({"model": roc, "champion": old_roc}, "false positive rate", "true positive rate", UNIT_SQUARE)
"""

import dataclasses
import html
import math
from collections.abc import Mapping, Sequence

from components.html import Html, escape, number

Point = tuple[float, float]
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


@dataclasses.dataclass(frozen=True)
class Bucket:
    """A bar of a histogram: a range of values and how many (or what share) fall into it."""

    low: float
    high: float
    count: float


def bars(
    values: Sequence[float], label: str = "", names: Sequence[str] = (), size: tuple[int, int] = (160, 36)
) -> Html:
    """A small bar chart without axes, to stand in a table's cell.

    Args:
        values: Heights, not negative; those that are not finite are drawn as nothing.
        label: What it shows, for screen readers.
        names: Name of each bar, shown on hovering.
        size: Width and height in pixels.
    """
    heights = [value if math.isfinite(value) and value > 0 else 0.0 for value in values]
    width, height = size
    step, top = width / max(len(heights), 1), max(heights, default=0) or 1
    drawn = ""
    for n, (value, name) in enumerate(zip(heights, names or [""] * len(heights), strict=True)):
        tall = value / top * height
        place = f'x="{_px(n * step)}" y="{_px(height - tall)}" width="{_px(max(step - 1, 0.6))}" height="{_px(tall)}"'
        drawn += f'<rect class="fill" {place}><title>{_hover(name, value)}</title></rect>'
    return _svg(f'<g class="s1">{drawn}</g>{_ground(width, height)}', size, label or "bar chart")


def histogram(
    series: Mapping[str, Sequence[Bucket]], label: str = "", size: tuple[int, int] = (220, 44), labels: bool = True
) -> Html:
    """Distributions over one common axis: the first filled, the others as outlines, each scaled to the same area.

    Args:
        series: Name to buckets; the buckets of two series may differ.
        label: What it shows, for screen readers.
        size: Width and height in pixels, the line of labels below not included.
        labels: Write the smallest and largest value below.
    """
    shown = {name: kept for name, buckets in series.items() if (kept := _densities(buckets))}
    if not shown:
        return _nothing()
    low = min(bucket.low for buckets in shown.values() for bucket in buckets)
    high = max(bucket.high for buckets in shown.values() for bucket in buckets)
    top = max(bucket.count for buckets in shown.values() for bucket in buckets)
    plot = _Plot((low, high) if high > low else (low - 0.5, low + 0.5), (0, top), (0, 1, *size))
    numbers = {name: n for n, name in enumerate(series)}
    drawn = "".join(_steps(plot, buckets, numbers[name]) for name, buckets in shown.items())
    width, height = size
    ends = f'<text x="0" y="{height + 14}">{number(low)}</text>'
    ends += f'<text x="{width}" y="{height + 14}" text-anchor="end">{number(high)}</text>'
    content = f"{drawn}{_ground(width, height + 1)}{ends if labels else ''}"
    return _svg(content, (width, height + (17 if labels else 2)), label or f"distribution of {', '.join(series)}")


def lines(series: Mapping[str, Sequence[Point]], x_label: str, y_label: str, frame: Frame | None = None) -> Html:
    """A line chart with axes, ticks and a legend: ROC, precision-recall, calibration, loss curves.

    Args:
        series: Name to points (x, y); points that are not finite are left out.
        x_label: Name of the x axis, with its unit.
        y_label: Name of the y axis, with its unit.
        frame: Title, limits and size.
    """
    frame = frame or Frame()
    shown = {
        name: [p for p in points if math.isfinite(p[0]) and math.isfinite(p[1])] for name, points in series.items()
    }
    every = [point for points in shown.values() for point in points]
    if not every:
        return _figure(_nothing(), frame.title)
    box = (56, 10, frame.width - 56 - 14, frame.height - 10 - 46)
    plot = _Plot(
        frame.x_limits or _limits([x for x, _ in every]), frame.y_limits or _limits([y for _, y in every]), box
    )
    drawn = [_axes(plot, x_label, y_label)]
    if frame.diagonal:
        drawn.append(plot.segment("zero", (plot.x[0], plot.y[0]), (plot.x[1], plot.y[1])))
    drawn += [_curve(plot, points, n, frame.markers) for n, points in enumerate(shown.values())]
    label = f"{frame.title + ': ' if frame.title else ''}{y_label} against {x_label} for {', '.join(shown)}"
    return _figure(_svg("".join(drawn), (frame.width, frame.height), label), frame.title, legend(list(shown)))


def intervals(rows: Sequence[Interval], x_label: str = "", width: int = 560) -> Html:
    """Estimates as dots with their confidence intervals against a line at zero.

    An interval entirely above zero, entirely below, or across zero differs in colour and in its dot's shape.
    """
    kept = [row for row in rows if all(math.isfinite(v) for v in (row.low, row.value, row.high))]
    if not kept:
        return _nothing()
    names = min(max(len(row.name) for row in kept) * 7 + 16, 220)
    height = 26 * len(kept)
    limits = _limits([0.0, *(v for row in kept for v in (row.low, row.high))])
    plot = _Plot(limits, (0, len(kept)), (names, 4, width - names - 16, height))
    drawn = [_x_axis(plot, x_label), plot.segment("zero", (0, 0), (0, len(kept)))]
    drawn += [_interval(plot, row, len(kept) - n - 0.5) for n, row in enumerate(kept)]
    label = "; ".join(f"{r.name}: {number(r.value)} ({number(r.low)} to {number(r.high)})" for r in kept)
    return _figure(_svg("".join(drawn), (width, height + 50), f"{x_label} {label}".strip()))


def legend(names: Sequence[str]) -> Html:
    """The key to a chart's series, in the order of their colours."""
    keys = (
        f'<span><svg width="22" height="8" aria-hidden="true" class="s{_colour(n)}">'
        f'<path class="stroke" d="M1 4H21"{_dash(n)}/></svg>{escape(name)}</span>'
        for n, name in enumerate(names)
    )
    return Html("".join(keys))


@dataclasses.dataclass(frozen=True)
class _Plot:
    """Maps data to pixels: `box` is left, top, width and height of the area inside the axes."""

    x: tuple[float, float]
    y: tuple[float, float]
    box: tuple[float, float, float, float]

    def at(self, point: Point) -> str:
        left, top, width, height = self.box
        across = left + (point[0] - self.x[0]) / (self.x[1] - self.x[0]) * width
        down = top + height - (point[1] - self.y[0]) / (self.y[1] - self.y[0]) * height
        return f"{_px(across)} {_px(down)}"

    def segment(self, style: str, start: Point, end: Point) -> str:
        return f'<path class="{style}" d="M{self.at(start)}L{self.at(end)}"/>'

    def text(self, at: Point, shift: Point, anchor: str, said: str) -> str:
        x, y = map(float, self.at(at).split())
        return (
            f'<text x="{_px(x + shift[0])}" y="{_px(y + shift[1])}" text-anchor="{anchor}">{html.escape(said)}</text>'
        )


def _axes(plot: _Plot, x_label: str, y_label: str) -> str:
    left, right = plot.x
    drawn = [_x_axis(plot, x_label)]
    for tick, said in _ticks(*plot.y):
        drawn.append(plot.segment("grid", (left, tick), (right, tick)))
        drawn.append(plot.text((left, tick), (-8, 4), "end", said))
    drawn.append(plot.segment("axis", (left, plot.y[0]), (left, plot.y[1])))
    _, top, _, height = plot.box
    middle = top + height / 2
    turned = f'<text x="13" y="{_px(middle)}" transform="rotate(-90 13 {_px(middle)})" text-anchor="middle">'
    return "".join(drawn) + f"{turned}{html.escape(y_label)}</text>"


def _x_axis(plot: _Plot, label: str) -> str:
    low, high = plot.y
    drawn = []
    for tick, said in _ticks(*plot.x):
        drawn.append(plot.segment("grid", (tick, low), (tick, high)))
        drawn.append(plot.text((tick, low), (0, 17), "middle", said))
    drawn.append(plot.segment("axis", (plot.x[0], low), (plot.x[1], low)))
    drawn.append(plot.text(((plot.x[0] + plot.x[1]) / 2, low), (0, 38), "middle", label))
    return "".join(drawn)


def _curve(plot: _Plot, points: Sequence[Point], series: int, markers: bool) -> str:
    thinned = _thinned(points)
    path = "L".join(plot.at(point) for point in thinned)
    drawn = f'<path class="stroke" d="M{path}"{_dash(series)}/>' if path else ""
    if markers or len(thinned) == 1:
        places = (plot.at(point).split() for point in thinned)
        drawn += "".join(f'<circle class="fill" cx="{x}" cy="{y}" r="3"/>' for x, y in places)
    return f'<g class="s{_colour(series)}">{drawn}</g>'


def _interval(plot: _Plot, row: Interval, y: float) -> str:
    colour = 1 if row.low > 0 else 2 if row.high < 0 else 0
    x, down = plot.at((row.value, y)).split()
    dot = f'<circle class="fill" cx="{x}" cy="{down}" r="4.5"/>'
    if colour == 2:
        dot = f'<rect class="fill" x="{_px(float(x) - 4.2)}" y="{_px(float(down) - 4.2)}" width="8.4" height="8.4"/>'
    name = row.name if len(row.name) <= 29 else row.name[:28] + "…"
    said = f"{row.name}: {number(row.value)} ({number(row.low)} to {number(row.high)})"
    whisker = plot.segment("stroke", (row.low, y), (row.high, y))
    return (
        f'<g class="s{colour}"><title>{html.escape(said)}</title>{whisker}{dot}'
        f'<text class="name" x="0" y="{_px(float(down) + 4)}">{html.escape(name)}</text></g>'
    )


def _densities(buckets: Sequence[Bucket]) -> list[Bucket]:
    """Heights such that every series has the same area; a bucket without width stands for one value."""
    finite = [b for b in buckets if all(map(math.isfinite, (b.low, b.high, b.count))) and b.high >= b.low]
    total = sum(bucket.count for bucket in finite)
    if total <= 0:
        return []
    span = max(b.high for b in finite) - min(b.low for b in finite) or 1.0
    floor = span / 100
    return [Bucket(b.low, b.high, b.count / total / max(b.high - b.low, floor)) for b in finite]


def _steps(plot: _Plot, buckets: Sequence[Bucket], series: int) -> str:
    path = f"M{plot.at((buckets[0].low, 0))}"
    for bucket in buckets:
        high = bucket.high if bucket.high > bucket.low else bucket.low + (plot.x[1] - plot.x[0]) / 100
        path += f"L{plot.at((bucket.low, bucket.count))}L{plot.at((high, bucket.count))}"
        last = high
    path += f"L{plot.at((last, 0))}"
    style = '"pale"' if series == 0 else '"stroke" style="stroke-width:1.4"'
    return f'<g class="s{_colour(series)}"><path class={style} d="{path}"/></g>'


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
    low, high = min(values), max(values)
    if high - low <= abs(high) * 1e-9:
        low, high = low - (abs(low) * 0.1 or 1), high + (abs(high) * 0.1 or 1)
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


def _svg(content: str, size: tuple[int, int], label: str) -> Html:
    width, height = size
    return Html(
        f'<svg role="img" aria-label="{html.escape(label)}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">{content}</svg>'
    )


def _ground(width: int, height: int) -> str:
    return f'<path class="axis" d="M0 {height}H{width}"/>'


def _nothing() -> Html:
    return Html('<span class="muted">no data</span>')


def _hover(name: str, value: float) -> str:
    return html.escape(f"{name}: {number(value)}" if name else number(value))


def _colour(series: int) -> int:
    return series % 6 + 1


def _dash(series: int) -> str:
    dash = _DASHES[series % len(_DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _px(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
