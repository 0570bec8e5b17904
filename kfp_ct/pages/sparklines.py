"""Charts that stand in a table's cell: distributions and shares. `macros/charts.html` draws them."""

import dataclasses
from collections.abc import Mapping, Sequence

from kfp_ct.pages.formats import number, percent
from kfp_ct.pages.plot import Limits, Plot, apart, colour, drawable, path, shortened

_LONGEST_NAME = 14  # letters, of a value


@dataclasses.dataclass(frozen=True)
class Bucket:
    """A bar of a histogram: a range of values and how many (or what share) fall into it."""

    low: float
    high: float
    count: float


@dataclasses.dataclass(frozen=True)
class Outline:
    """A distribution as drawn."""

    colour: int
    filled: bool
    path: str


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Distributions over one axis; without any there is nothing to draw."""

    label: str = ""
    width: int = 0
    height: int = 0  # without the line of labels below
    ends: tuple[str, str] | None = None  # the smallest and the largest value, if they are written below
    outlines: Sequence[Outline] = ()


@dataclasses.dataclass(frozen=True)
class Share:
    """A value and its share of the rows in each series; None where it is unknown."""

    name: str
    fractions: Sequence[float | None]

    @property
    def percentages(self) -> str:
        """All shares in words."""
        return ", ".join(percent(fraction) for fraction in self.fractions)


@dataclasses.dataclass(frozen=True)
class ShareBar:
    """A share as drawn."""

    colour: int
    top: int
    width: float


@dataclasses.dataclass(frozen=True)
class ShareRow:
    """A value as drawn: its name, its first share in words, and a bar for each series."""

    share: Share
    name: str
    baseline: int
    bars: Sequence[ShareBar]
    thickness: int

    @property
    def percentage(self) -> str:
        """The first series' share."""
        return percent(self.share.fractions[0])


@dataclasses.dataclass(frozen=True)
class ShareChart:
    """Horizontal bars beside their names; without any there is nothing to draw."""

    label: str = ""
    width: int = 0
    height: int = 0
    indent: int = 0  # of the bars
    rows: Sequence[ShareRow] = ()


def histogram(
    series: Mapping[str, Sequence[Bucket]], label: str = "", size: tuple[int, int] = (220, 44), labels: bool = True
) -> Histogram:
    """Distributions over one common axis: the first filled, the others as outlines, each scaled to the same area.

    Args:
        series: Name to buckets; the buckets of two series may differ.
        label: What it shows, for screen readers.
        size: Width and height in pixels, the line of labels below not included.
        labels: Write the smallest and largest value below.
    """
    shown = {name: kept for name, buckets in series.items() if (kept := _proportions(buckets))}
    if not shown:
        return Histogram()
    low = min(bucket.low for buckets in shown.values() for bucket in buckets)
    high = max(bucket.high for buckets in shown.values() for bucket in buckets)
    limits = apart(low, high)
    densities = {name: _densities(buckets, limits) for name, buckets in shown.items()}
    top = max(bucket.count for buckets in densities.values() for bucket in buckets)
    plot = Plot(limits, (0, top), 0, 1, *size)
    numbers = {name: n for n, name in enumerate(series)}
    outlines = [_outline(plot, buckets, numbers[name]) for name, buckets in densities.items()]
    ends = (number(low), number(high)) if labels else None
    return Histogram(label or f"distribution of {', '.join(series)}", *size, ends, outlines)


def shares(rows: Sequence[Share], width: int = 300) -> ShareChart:
    """Horizontal bars: every row's share in each series, the largest as long as the space allows."""
    known = [fraction for row in rows for fraction in row.fractions if fraction is not None]
    if not known:
        return ShareChart()
    indent = min(max(len(row.name) for row in rows) * 8 + 12, 120)
    scale = (width - indent - 56) / max(*known, 1e-9)
    drawn, top = [], 0
    for row in rows:
        drawn.append(_share_row(row, top, scale))
        top += max(18, 6 + len(row.fractions) * (drawn[-1].thickness + 1))
    label = "; ".join(f"{row.name}: {row.percentages}" for row in rows)
    return ShareChart(label, width, top + 2, indent, drawn)


def _share_row(row: Share, top: int, scale: float) -> ShareRow:
    thickness = 4 if len(row.fractions) > 1 else 8
    bars = [
        ShareBar(colour(n), top + 4 + n * (thickness + 1), max(fraction * scale, 0.6))
        for n, fraction in enumerate(row.fractions)
        if fraction is not None
    ]
    return ShareRow(row, shortened(row.name, _LONGEST_NAME), top + 12, bars, thickness)


def _proportions(buckets: Sequence[Bucket]) -> list[Bucket]:
    """Shares of a series' total, without what is not finite."""
    finite = [b for b in buckets if drawable(b.low, b.high, b.count) and b.high >= b.low and b.count >= 0]
    total = sum(bucket.count for bucket in finite)
    return [Bucket(b.low, b.high, b.count / total) for b in finite] if total > 0 else []


def _densities(buckets: Sequence[Bucket], limits: Limits) -> list[Bucket]:
    """Turns shares into densities; what is nearly a single value is drawn as wide as a bucket of the whole range."""
    least = (limits[1] - limits[0]) / 12
    wide = [b if b.high - b.low > least / 1000 else _around(b, least, limits) for b in buckets]
    return [Bucket(b.low, b.high, b.count / (b.high - b.low)) for b in wide]


def _around(bucket: Bucket, width: float, limits: Limits) -> Bucket:
    low = min(max(bucket.low - width / 2, limits[0]), limits[1] - width)
    return Bucket(low, low + width, bucket.count)


def _outline(plot: Plot, buckets: Sequence[Bucket], series: int) -> Outline:
    steps = [(edge, bucket.count) for bucket in buckets for edge in (bucket.low, bucket.high)]
    around = [(buckets[0].low, 0.0), *steps, (buckets[-1].high, 0.0)]
    return Outline(colour(series), series == 0, path(map(plot.at, around)))
