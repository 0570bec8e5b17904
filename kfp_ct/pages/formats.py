"""Numbers, times and counts as text for people. Templates use these functions as filters of the same names."""

import datetime
import math
from typing import Any

MISSING = "–"
_UNITS = ("B", "kB", "MB", "GB", "TB")


def number(value: Any) -> str:
    """Formats a value for reading: `336,776`, `0.7491`, `1.2e-05`, `yes`; NaN, infinity and None as a dash."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _float(value)
    return value if isinstance(value, str) else str(value)  # finished markup stays markup


def _float(value: float) -> str:
    if not math.isfinite(value):
        return MISSING
    if value == 0 or 1e-4 <= abs(value) < 1000:
        return f"{value + 0.0:.4g}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def percent(fraction: float | None) -> str:
    """Formats a fraction as a percentage that never rounds something to nothing: `76 %`, `0.4 %`, `< 0.1 %`."""
    if fraction is None or not math.isfinite(fraction):
        return MISSING
    share = 100 * fraction
    if 0 < share < 0.1:
        return "< 0.1 %"
    if 99.9 < share < 100:
        return "> 99.9 %"
    return f"{share:.1f} %" if share % 1 and (share < 10 or share > 99) else f"{share:.0f} %"


def quoted(value: Any, most: int = 60) -> str:
    """Formats a value of the data as an example: as Python writes it; of a long text its beginning and its length."""
    if isinstance(value, str | bytes) and len(value) > most:
        return f"{value[:most]!r}… ({len(value):,} characters)"
    return repr(value)


def metric(value: Any, digits: int = 4) -> str:
    """Formats a metric with a fixed number of digits, whole numbers with separators; a dash where there is none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return MISSING
    if float(value).is_integer() and abs(value) > 1:
        return f"{value:,.0f}"
    return f"{value:.{digits}f}".replace("-", "−")


def change(value: Any, digits: int = 4) -> str:
    """Formats a difference with its sign."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return MISSING
    text = f"{value:+.{digits}f}"
    return (text[1:] if float(text) == 0 else text).replace("-", "−")


def duration(seconds: float | None) -> str:
    """Formats seconds: `0.3 s`, `62 s`, `2 min 5 s`, `1 h 10 min`; a dash where there are none."""
    if seconds is None:
        return MISSING
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(amount: float) -> str:
    """Formats an amount of bytes: `512 B`, `1.5 MB`."""
    unit = 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else f"{amount:.0f} B"


def moment(iso: str) -> str:
    """Formats an ISO 8601 time in UTC, to the second; a text that is no time stays as it is."""
    try:
        return f"{datetime.datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return iso


def minute(iso: str) -> str:
    """Formats an ISO 8601 time to the minute, without its zone."""
    return f"{datetime.datetime.fromisoformat(iso):%Y-%m-%d %H:%M}"


def day(iso: str) -> str:
    """Formats an ISO 8601 time without a time of midnight."""
    return iso.removesuffix("Z").removesuffix("+00:00").removesuffix("T00:00:00").removesuffix(" 00:00:00")


def plural(amount: int, singular: str) -> str:
    """Formats an amount of something: `1 step`, `2 steps`."""
    return f"{amount:,} {singular}{'' if amount == 1 else 's'}"


def version(name: str) -> str:
    """Formats a model's version: `v3`."""
    return f"v{name}" if name[:1].isdigit() else name


def level(confidence: float) -> str:
    """Formats a confidence level: `95 %`."""
    return f"{100 * confidence:g} %"


def px(value: float) -> str:
    """Formats pixels for an SVG, as short as hundredths allow."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
