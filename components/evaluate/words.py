"""How numbers and metrics are said in reasons and findings."""

from components.evaluate.comparison import Interval

_TITLES = {"auc": "AUC", "auc_precision_recall": "AUC-PR"}


def title(metric: str) -> str:
    """Returns a metric's name for people."""
    return _TITLES.get(metric, metric.replace("_", " "))


def number(value: float, digits: int = 3) -> str:
    """Returns a number with a typographic minus."""
    return f"{value:.{digits}f}".replace("-", "−")


def change(value: float) -> str:
    """Returns a signed number; more digits where three would say nothing."""
    digits = 3 if abs(value) >= 0.0005 or value == 0 else 5
    return f"{value:+.{digits}f}".replace("-", "−")


def interval(gain: Interval, confidence: float) -> str:
    """Returns an interval of a gain."""
    return f"{100 * confidence:g} % interval {change(gain.low)} to {change(gain.high)}"


def listed(items: list[str], shown: int = 3) -> str:
    """Joins the first items and counts the others."""
    more = f"; and {len(items) - shown} more" if len(items) > shown else ""
    return "; ".join(items[:shown]) + more
