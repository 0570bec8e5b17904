"""Durations as settings write them."""

import re

PATTERN = re.compile(r"(\d+)([smhd])")
# A hundred years: added to or taken from a date of today, it is in the calendar still.
LONGEST = "36500d"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text: str) -> float:
    """Returns a duration such as 90s, 15m, 12h or 7d in seconds."""
    match = PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return float(match[1]) * _UNITS[match[2]]
