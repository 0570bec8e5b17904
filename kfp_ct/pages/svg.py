"""What charts are drawn with: data mapped to pixels, and the SVG around it."""

import dataclasses
import html
import math

from kfp_ct.pages.html import Html

Point = tuple[float, float]
# Beyond it, differences and squares of values leave what a float can hold.
_EXTREME = 1e100


@dataclasses.dataclass(frozen=True)
class Plot:
    """Maps data to pixels: `box` is left, top, width and height of the area inside the axes."""

    x: tuple[float, float]
    y: tuple[float, float]
    box: tuple[float, float, float, float]

    def at(self, point: Point) -> str:
        """Returns the pixels of a point, as `x y`."""
        left, top, width, height = self.box
        across = left + (point[0] - self.x[0]) / (self.x[1] - self.x[0]) * width
        down = top + height - (point[1] - self.y[0]) / (self.y[1] - self.y[0]) * height
        return f"{px(across)} {px(down)}"

    def segment(self, style: str, start: Point, end: Point) -> str:
        """Draws a straight line between two points, in a class of the style sheet."""
        return f'<path class="{style}" d="M{self.at(start)}L{self.at(end)}"/>'

    def text(self, at: Point, shift: Point, anchor: str, said: str) -> str:
        """Writes a text so many pixels away from a point; `anchor` is start, middle or end."""
        x, y = map(float, self.at(at).split())
        return f'<text x="{px(x + shift[0])}" y="{px(y + shift[1])}" text-anchor="{anchor}">{html.escape(said)}</text>'


def drawable(*values: float) -> bool:
    """Whether all values can be placed: finite and not astronomic."""
    return all(math.isfinite(value) and abs(value) < _EXTREME for value in values)


def spread(low: float, high: float) -> tuple[float, float]:
    """Returns limits that are apart: those given, or some room around a single value."""
    if high - low > max(abs(low), abs(high)) * 1e-9 + 1 / _EXTREME:
        return low, high
    return low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)


def colour(series: int) -> int:
    """Returns the number of a series' colour in the style sheet: classes s1 to s6."""
    return series % 6 + 1


def px(value: float) -> str:
    """Formats pixels, as short as hundredths allow."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def svg(content: str, size: tuple[int, int], label: str) -> Html:
    """Wraps drawn content into an image of its own that screen readers call by its label."""
    width, height = size
    return Html(
        f'<svg role="img" aria-label="{html.escape(label)}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">{content}</svg>'
    )


def nothing() -> Html:
    """Says that there is nothing to draw."""
    return Html('<span class="muted">no data</span>')
