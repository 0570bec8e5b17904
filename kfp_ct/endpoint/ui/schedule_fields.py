"""Fields that say when a schedule starts runs, and what a person wrote into them."""

from collections.abc import Mapping
from typing import Any

from kfp_ct.endpoint.ui.input_fields import Field

# What stands in the fields of a new schedule.
EXAMPLE = {"cron": "0 30 4 * * *", "concurrency": "1"}


def fields(filled: Mapping[str, str]) -> list[Field]:
    """Makes the fields.

    Args:
        filled: What was written before, by field name.
    """

    def value(name: str) -> str:
        return filled.get(name, "")

    missed = [("no", "run only the latest"), ("yes", "run all of them, oldest first")]
    return [
        Field("cron", "Cron expression", value("cron"),
              help="Six fields, seconds first, in UTC: 0 30 4 * * * is 04:30 every day. "
                   "Another time zone goes before them: TZ=Europe/Berlin 0 30 4 * * *."),
        Field("interval", "Interval in seconds", value("interval"), help="Used instead of the cron expression."),
        Field("start_time", "Start", value("start_time"), help="Such as 2026-12-01T00:00:00Z; empty: now."),
        Field("end_time", "End", value("end_time"), help="Empty: never."),
        Field("concurrency", "Concurrent runs", value("concurrency") or "1", help="At most this many, 1 to 10."),
        Field("catchup", "Missed firings", value("catchup") or "no", control="choice", options=missed),
    ]  # fmt: skip


def read(filled: Mapping[str, str]) -> dict[str, Any]:
    """Returns what `store_recurring.create` takes as a schedule."""
    times = {name: filled[name].strip() for name in ("start_time", "end_time") if filled.get(name, "").strip()}
    if filled.get("interval", "").strip():
        trigger = {"periodic_schedule": {"interval_second": filled["interval"].strip(), **times}}
    else:
        trigger = {"cron_schedule": {"cron": filled.get("cron", ""), **times}}
    most = filled.get("concurrency", "").strip()
    return {
        "trigger": trigger,
        "max_concurrency": int(most) if most.isdecimal() else 0,
        "no_catchup": filled.get("catchup") != "yes",
        "enabled": True,
    }
