"""KFP's expressions in parameters, such as [[ScheduledTime]], filled in when a run is created.

Source: kubeflow/pipelines, backend/src/common/util/parameter_formatter.go. A run that no schedule started knows its id
and the time only; what it does not know, and any other text, stays as it is.
"""

import dataclasses
import datetime
import re
from typing import Any

_MACRO = re.compile(r"\[\[(.*?)\]\]|\{\{\$\.(.*?)\}\}")
_DEFAULT = "%Y%m%d%H%M%S"
_STRFTIME = re.compile(r"(scheduledTime|currentTime)\.strftime\('(.*)'\)", re.DOTALL)
# What Go writes for a moment, longest first, by what Python writes. All times are in UTC.
_GO = {
    "January": "%B", "Jan": "%b", "Monday": "%A", "Mon": "%a", "MST": "UTC", "2006": "%Y", "-07:00": "+00:00",
    "-0700": "+0000", "-07": "+00", "Z07:00": "Z", "Z0700": "Z", "01": "%m", "02": "%d", "03": "%I", "04": "%M",
    "05": "%S", "06": "%y", "002": "%j", "15": "%H", "PM": "%p", "pm": "%P", "_2": "%e", "1": "%-m", "2": "%-d",
    "3": "%-I", "4": "%-M", "5": "%-S",
}  # fmt: skip
_GO_PART = re.compile("|".join(re.escape(part) for part in sorted(_GO, key=len, reverse=True)))
_KNOWN_VERBS = set("AaBbCcDdeFHIjklMmnpRrSTtUuVvWwXxYyZz%s")


@dataclasses.dataclass(frozen=True)
class Macros:
    """What the expressions of one run stand for.

    Attributes:
        run: The run's id.
        current: When it is created.
        scheduled: When it was due; None of a run that no schedule started.
        index: Which firing of its schedule it is, from 1; None of a run that no schedule started.
    """

    run: str
    current: datetime.datetime
    scheduled: datetime.datetime | None = None
    index: int | None = None

    def fill(self, value: Any) -> Any:
        """Returns a value with the expressions in its texts filled in."""
        if isinstance(value, dict):
            return {key: self.fill(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.fill(each) for each in value]
        return _MACRO.sub(self._one, value) if isinstance(value, str) else value

    def _one(self, match: re.Match[str]) -> str:
        name, dot, form = (match[1] or "").partition(".")
        if name == "RunUUID" and not dot:
            return self.run
        if name == "Index" and not dot and self.index is not None:
            return str(self.index)
        when = {"ScheduledTime": self.scheduled, "CurrentTime": self.current}.get(name)
        if when is not None:
            return _in_go(when, form) if dot else _utc(when).strftime(_DEFAULT)
        return self._by_strftime(match)

    def _by_strftime(self, match: re.Match[str]) -> str:
        found = _STRFTIME.fullmatch(match[2] or "")
        when = (self.scheduled if found[1] == "scheduledTime" else self.current) if found else None
        if found is None or when is None or not set(re.findall("%(.)", found[2])) <= _KNOWN_VERBS:
            return match[0]
        seconds = str(int(when.timestamp()))
        form = re.sub("%(.)", lambda verb: seconds if verb[1] == "s" else verb[0], found[2])
        return _utc(when).strftime(form)


def _in_go(when: datetime.datetime, form: str) -> str:
    pieces: list[str] = []
    end = 0
    for part in _GO_PART.finditer(form):
        pieces += [form[end : part.start()], _utc(when).strftime(_GO[part[0]])]
        end = part.end()
    return "".join([*pieces, form[end:]])


def _utc(when: datetime.datetime) -> datetime.datetime:
    return when.astimezone(datetime.UTC)
