"""Charts that stand in a table's cell: bars, distributions and shares."""

import dataclasses
import html
from collections.abc import Mapping, Sequence

from kfp_ct.pages.html import Html, number, percent
from kfp_ct.pages.svg import Plot, colour, drawable, nothing, px, spread, svg


@dataclasses.dataclass(frozen=True)
class Bucket:
    """A bar of a histogram: a range of values and how many (or what share) fall into it."""

    low: float
    high: float
    count: float


@dataclasses.dataclass(frozen=True)
class Share:
    """A value and its share of the rows in each series; None where it is unknown."""

    name: str
    fractions: Sequence[float | None]


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
    heights = [value if drawable(value) and value > 0 else 0.0 for value in values]
    width, height = size
    step, top = width / max(len(heights), 1), max(heights, default=0) or 1
    drawn = ""
    for n, (value, name) in enumerate(zip(heights, names or [""] * len(heights), strict=True)):
        tall = value / top * height
        place = f'x="{px(n * step)}" y="{px(height - tall)}" width="{px(max(step - 1, 0.6))}" height="{px(tall)}"'
        drawn += f'<rect class="fill" {place}><title>{_hover(name, value)}</title></rect>'
    return svg(f'<g class="s1">{drawn}</g>{_ground(width, height)}', size, label or "bar chart")


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
    shown = {name: kept for name, buckets in series.items() if (kept := _proportions(buckets))}
    if not shown:
        return nothing()
    low = min(bucket.low for buckets in shown.values() for bucket in buckets)
    high = max(bucket.high for buckets in shown.values() for bucket in buckets)
    limits = spread(low, high)
    drawn_buckets = {name: _widened(buckets, limits) for name, buckets in shown.items()}
    top = max(bucket.count for buckets in drawn_buckets.values() for bucket in buckets)
    plot = Plot(limits, (0, top), (0, 1, *size))
    numbers = {name: n for n, name in enumerate(series)}
    drawn = "".join(_steps(plot, buckets, numbers[name]) for name, buckets in drawn_buckets.items())
    width, height = size
    ends = f'<text x="0" y="{height + 14}">{number(low)}</text>'
    ends += f'<text x="{width}" y="{height + 14}" text-anchor="end">{number(high)}</text>'
    content = f"{drawn}{_ground(width, height + 1)}{ends if labels else ''}"
    return svg(content, (width, height + (17 if labels else 2)), label or f"distribution of {', '.join(series)}")


def shares(rows: Sequence[Share], width: int = 300) -> Html:
    """Horizontal bars: every row's share in each series, the largest as long as the space allows."""
    known = [fraction for row in rows for fraction in row.fractions if fraction is not None]
    if not known:
        return nothing()
    names = min(max(len(row.name) for row in rows) * 8 + 12, 120)
    longest = max(*known, 1e-9)
    drawn, top = "", 0
    for row in rows:
        thick = 4 if len(row.fractions) > 1 else 8
        for n, fraction in enumerate(row.fractions):
            long = (fraction or 0) / longest * (width - names - 56)
            place = f'x="{names}" y="{top + 4 + n * (thick + 1)}" width="{px(max(long, 0.6))}" height="{thick}"'
            drawn += f'<rect class="fill s{colour(n)}" {place}/>' if fraction is not None else ""
        drawn += _share_texts(row, (names, width), top + 12)
        top += max(18, 6 + len(row.fractions) * (thick + 1))
    said = "; ".join(f"{row.name}: {_listed(row)}" for row in rows)
    return svg(drawn, (width, top + 2), said)


def _share_texts(row: Share, edges: tuple[int, int], y: int) -> str:
    name = row.name if len(row.name) <= 14 else row.name[:13] + "…"
    return (
        f'<text class="name" x="0" y="{y}">{html.escape(name)}<title>{html.escape(row.name)}</title></text>'
        f'<text x="{edges[1]}" y="{y}" text-anchor="end">{percent(row.fractions[0])}'
        f"<title>{html.escape(_listed(row))}</title></text>"
    )


def _listed(row: Share) -> str:
    return ", ".join(percent(fraction) for fraction in row.fractions)


def _proportions(buckets: Sequence[Bucket]) -> list[Bucket]:
    """Shares of a series' total, without what is not finite."""
    finite = [b for b in buckets if drawable(b.low, b.high, b.count) and b.high >= b.low and b.count >= 0]
    total = sum(bucket.count for bucket in finite)
    return [Bucket(b.low, b.high, b.count / total) for b in finite] if total > 0 else []


def _widened(buckets: Sequence[Bucket], limits: tuple[float, float]) -> list[Bucket]:
    """Turns shares into densities; what is nearly a single value is drawn as wide as a bucket of the whole range."""
    least = (limits[1] - limits[0]) / 12
    wide = [b if b.high - b.low > least / 1000 else _around(b, least, limits) for b in buckets]
    return [Bucket(b.low, b.high, b.count / (b.high - b.low)) for b in wide]


def _around(bucket: Bucket, width: float, limits: tuple[float, float]) -> Bucket:
    low = min(max(bucket.low - width / 2, limits[0]), limits[1] - width)
    return Bucket(low, low + width, bucket.count)


def _steps(plot: Plot, buckets: Sequence[Bucket], series: int) -> str:
    path = f"M{plot.at((buckets[0].low, 0))}"
    for bucket in buckets:
        path += f"L{plot.at((bucket.low, bucket.count))}L{plot.at((bucket.high, bucket.count))}"
    path += f"L{plot.at((buckets[-1].high, 0))}"
    style = '"pale"' if series == 0 else '"stroke" style="stroke-width:1.4"'
    return f'<g class="s{colour(series)}"><path class={style} d="{path}"/></g>'


def _ground(width: int, height: int) -> str:
    return f'<path class="axis" d="M0 {height}H{width}"/>'


def _hover(name: str, value: float) -> str:
    return html.escape(f"{name}: {number(value)}" if name else number(value))
