"""Zones and cron expressions as settings: checked when they are read, and kept as they are written."""

from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

from kfp_ct.base.errors import UsageError
from kfp_ct.base.settings import expected, matching, misfit
from kfp_ct.clock import cron

_ZONE = "a time zone such as UTC or Europe/Berlin"
_CRON = "minute hour day month weekday, such as 0 6 * * 1"
_SIX_FIELDS = f"{_CRON}, or six fields with seconds first"


def _zone(name: str) -> str:
    try:
        cron.zone(name)
    except UsageError:
        raise misfit(f"expected {_ZONE}") from None
    return name


def _five_fields(expression: str) -> str:
    try:
        if expression:
            CronSim(expression, cron.SOME_DAY)
    except CronSimError as error:
        raise misfit(f"it is no cron expression ({error}); expected {_CRON}") from None
    return expression


def _six_fields(expression: str) -> str:
    try:
        if expression:
            cron.six_fields(expression)
    except UsageError:
        raise misfit(f"it is no cron expression that every service reads; expected {_SIX_FIELDS}") from None
    return expression


TimesOfDay = Annotated[
    str, matching(r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$", "times of day such as 22:00-06:00")
]
Zone = Annotated[str, AfterValidator(_zone), expected(_ZONE)]
Cron = Annotated[str, AfterValidator(_five_fields), expected(_CRON)]
ServiceCron = Annotated[str, AfterValidator(_six_fields), expected(_SIX_FIELDS)]
