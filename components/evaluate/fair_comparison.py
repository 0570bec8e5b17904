"""Whether the champion may have been trained on rows that it is now judged on.

What it was trained on stands in its model's `Training/manifest.json`. In the ordinary sequence the windows move on:
what is held out now begins where the champion's training ended, or later. A rerun of an older window holds out what a
newer champion has learnt, and a split by other rules lets rows cross: such a champion would win by memory.
"""

import calendar
import dataclasses
import datetime
import json
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import DataError
from kfp_ct.components.evaluate.settings import Gates
from kfp_ct.data import layouts
from kfp_ct.data.layouts import Manifest
from kfp_ct.models.blessing import Check

FAIR, SAW, UNKNOWN = "fair", "saw rows", "unknown"
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
# Splits that put a key on the same side in every run, whatever the other rows are.
_STEADY = ("hash", "column")
# What a split says beside how it splits: what ingest checks for leaks.
_CHECKED = ("keys", "time")


@dataclasses.dataclass(frozen=True)
class _Span:
    """A time from `start` until before `end`; exact where rows of the split fill it."""

    start: datetime.datetime
    end: datetime.datetime
    exact: bool

    def __str__(self) -> str:
        if self.start == datetime.datetime.min:
            return "all time" if self.end == datetime.datetime.max else f"the time before {_date(self.end)}"
        if self.end == datetime.datetime.max:
            return f"the time from {_date(self.start)} on"
        return f"{_date(self.start)} to {_date(self.end)}"


@dataclasses.dataclass(frozen=True)
class Fairness:
    """Whether the comparison is fair, and why, in a clause."""

    status: str
    why: str


def check(gates: Gates, examples_path: str, champion_path: str, title: str) -> tuple[Check, dict[str, Any]]:
    """Refuses, or warns of, a comparison with a champion that may have been trained on eval rows.

    Args:
        gates: Their `if_champion_saw_rows`.
        examples_path: Dataset whose eval split is scored.
        champion_path: Model artifact.
        title: What messages call the champion.
    """
    found = _fairness(layouts.read_manifest(examples_path), champion_path)
    report = {"status": found.status, "why": found.why}
    if found.status == FAIR:
        return Check("fair_comparison", True, f"{title} was not trained on the eval rows: {found.why}"), report
    if found.status == UNKNOWN:
        message = f"whether {title} was trained on eval rows is not known: {found.why}"
        return Check("fair_comparison", True, message), report
    message = f"the comparison is unfair: {title} may have been trained on eval rows, {found.why}"
    if gates.if_champion_saw_rows == "warn":
        return Check("fair_comparison", True, f"warning: {message}; let through by gates.if_champion_saw_rows"), report
    return Check("fair_comparison", False, message), report


def _fairness(ours: Manifest, champion_path: str) -> Fairness:
    folder = Path(champion_path) / layouts.TRAINING
    if not (folder / layouts.MANIFEST).is_file():
        return Fairness(UNKNOWN, f"its model has no {layouts.TRAINING}/{layouts.MANIFEST}, as older ones have not")
    try:
        theirs = layouts.read_manifest(folder)
    except (DataError, json.JSONDecodeError, TypeError, KeyError):
        return Fairness(UNKNOWN, f"its {layouts.TRAINING}/{layouts.MANIFEST} cannot be read")
    return compare(ours, theirs)


def compare(ours: Manifest, theirs: Manifest) -> Fairness:
    """Compares the eval split of one dataset with the train split of another.

    Args:
        ours: Of the dataset whose eval split is scored.
        theirs: Of the dataset that the champion was trained on.
    """
    same_rows = ours.fingerprint == theirs.fingerprint
    if same_rows and _rule(ours) == _rule(theirs) and ours.window == theirs.window:
        return Fairness(FAIR, "both runs split the same rows in the same way")
    by_time = _method(ours) == _method(theirs) == "time"
    one_clock = not by_time or ours.split_by.get("column") == theirs.split_by.get("column")
    held_out, trained = _span(ours, layouts.EVAL, one_clock), _span(theirs, layouts.TRAIN, one_clock)
    if held_out.start >= trained.end or trained.start >= held_out.end:
        return Fairness(FAIR, f"it was trained on {trained}, and {held_out} is held out now")
    if not by_time:
        return _by_key(ours, theirs)
    if not one_clock:
        return Fairness(SAW, "since it was split by another column's time: rows may cross")
    if (held_out.exact and trained.exact) or same_rows:
        return Fairness(SAW, f"on {trained}, and {held_out} is held out now")
    return Fairness(UNKNOWN, "a manifest gives its window no end, so that they cannot be compared by time")


def _by_key(ours: Manifest, theirs: Manifest) -> Fairness:
    now, then = _method(ours), _method(theirs)
    if now != then:
        return Fairness(SAW, f"since it was split by {then}, and now it is by {now}: rows may cross")
    if now not in _STEADY:
        return Fairness(SAW, f"since a split by {now} depends on all rows, which have changed: rows may cross")
    if _rule(ours) == _rule(theirs):
        return Fairness(FAIR, f"both splits by {now} put every key on the same side")
    return _by_fraction(_rule(ours), _rule(theirs))


def _by_fraction(ours: dict[str, Any], theirs: dict[str, Any]) -> Fairness:
    """A key evaluates where its hash is below the fraction: a smaller fraction holds out some of the same keys."""
    rest = [{key: value for key, value in of.items() if key != "eval_fraction"} for of in (ours, theirs)]
    now, then = (float(of.get("eval_fraction", "nan")) for of in (ours, theirs))
    if rest[0] == rest[1] and now <= then:
        return Fairness(FAIR, f"it held out {then:g} of the keys, among them the {now:g} held out now")
    return Fairness(SAW, f"since its split was {_split_text(theirs)}, and now is {_split_text(ours)}: rows may cross")


def _span(of: Manifest, split: str, by_border: bool) -> _Span:
    """Returns the time that a split's rows lie in: the window, and its part up to or after the holdout's border.

    Args:
        of: The dataset.
        split: train or eval.
        by_border: Whether the border counts; two splits by different columns have none in common.
    """
    start, end = (_instant(of.window.get(key, "")) for key in ("start", "end"))
    whole = _Span(start or datetime.datetime.min, end or datetime.datetime.max, False)
    border = _before(end, str(of.split_by.get("holdout", ""))) if end and _method(of) == "time" and by_border else None
    if border is None:
        return whole
    border = max(border, whole.start)
    return _Span(border, whole.end, True) if split == layouts.EVAL else _Span(whole.start, border, True)


def _before(end: datetime.datetime, holdout: str) -> datetime.datetime | None:
    """Returns the end minus a holdout such as `1 month`, as ingest's engine counts: a month's last day at most."""
    number, _, unit = holdout.partition(" ")
    unit = unit.removesuffix("s")
    if not number.isdigit() or unit not in {**_MONTHS, **_SECONDS}:
        return None
    if unit in _SECONDS:
        return end - datetime.timedelta(seconds=int(number) * _SECONDS[unit])
    year, month = divmod(end.year * 12 + end.month - 1 - int(number) * _MONTHS[unit], 12)
    day = min(end.day, calendar.monthrange(year, month + 1)[1])
    return end.replace(year=year, month=month + 1, day=day)


def _instant(text: str) -> datetime.datetime | None:
    """Returns an instant in UTC without a zone, as ingest compares them; None where there is none."""
    if not text:
        return None
    found = datetime.datetime.fromisoformat(text)
    return found.astimezone(datetime.UTC).replace(tzinfo=None) if found.tzinfo else found


def _rule(of: Manifest) -> dict[str, Any]:
    """Returns how a dataset was split; a group is a hash of the columns that name it."""
    rule = {key: value for key, value in of.split_by.items() if key not in _CHECKED}
    return rule | {"method": "hash"} if rule.get("method") == "group" else rule


def _method(of: Manifest) -> str:
    return str(_rule(of).get("method", "no rule"))


def _date(instant: datetime.datetime) -> str:
    return instant.isoformat(" ", "minutes").removesuffix(" 00:00")


def _split_text(split_by: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in split_by.items())
