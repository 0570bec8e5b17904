"""Durations as settings, for every environment; zones and cron expressions are in `time_settings`."""

from typing import Annotated

from kfp_ct.base.settings import matching
from kfp_ct.clock.durations import PATTERN

_DURATION = "a duration such as 90s, 15m, 12h or 7d"
Duration = Annotated[str, matching(f"^{PATTERN.pattern}$", _DURATION)]
DurationOrNone = Annotated[str, matching(f"^({PATTERN.pattern})?$", f"{_DURATION}, or an empty text")]
