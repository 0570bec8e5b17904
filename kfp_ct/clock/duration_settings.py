"""Durations as settings, for every environment; zones and cron expressions are in `time_settings`."""

from typing import Annotated

from pydantic import AfterValidator

from kfp_ct.base.settings import matching, misfit
from kfp_ct.clock.durations import LONGEST, PATTERN, duration

_DURATION = f"a duration such as 90s, 15m, 12h or 7d, at most {LONGEST}"


def _within_the_calendar(text: str) -> str:
    if text and duration(text) > duration(LONGEST):
        raise misfit(f"expected {_DURATION}")
    return text


_LIMIT = AfterValidator(_within_the_calendar)
Duration = Annotated[str, matching(f"^{PATTERN.pattern}$", _DURATION), _LIMIT]
DurationOrNone = Annotated[str, matching(f"^({PATTERN.pattern})?$", f"{_DURATION}, or an empty text"), _LIMIT]
