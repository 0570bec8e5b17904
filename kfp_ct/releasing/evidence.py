"""Reads what both versions of a release answered, by the share of the traffic that was the candidate's then."""

import dataclasses
import datetime
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_ct.components.monitor import labels, quality, request_log
from kfp_ct.components.monitor.quality import BaselineMetric
from kfp_ct.components.monitor.request_log import Period, Traffic
from kfp_ct.models.release_state import State
from kfp_ct.models.settings import Judge
from kfp_ct.releasing.differences import Requests, Side


@dataclasses.dataclass(frozen=True)
class Answers:
    """One version's answers within one share: rows as logged, and those of them that have a label."""

    traffic: Traffic
    labelled: pa.Table

    def errors(self, rules: Judge) -> tuple[int, int]:
        """Returns the requests that failed, of so many; an answer that is no number is a failure."""
        failed = sum(number for name, number in self.traffic.counts.items() if name.startswith("error_"))
        found = self._all(rules)
        bad = len(np.unique(found.requests[~found.finite])) if found else 0
        # Where requests are sampled for the log, those in it stand for all.
        sampled = self.traffic.counts.get("sampled") or 0
        answered = self.traffic.counts["requests"] - failed
        return failed + round(bad * (answered / sampled if sampled else 1)), self.traffic.counts["requests"]

    def predictions(self, rules: Judge) -> Side | None:
        """Returns the predictions of all rows that are numbers; None where there are none, or no output can be one."""
        found = self._all(rules)
        return found.on(found.finite) if found and found.finite.any() else None

    def judged(self, rules: Judge) -> Side | None:
        """Returns the predictions of labelled rows that are numbers, with their labels."""
        found = self.all_judged(rules)
        return found.on(found.finite) if found and found.finite.any() else None

    def all_judged(self, rules: Judge) -> Side | None:
        """Returns the predictions of labelled rows, with their labels."""
        found = _side(self.labelled, rules, _ids)
        return found and dataclasses.replace(found, labels=quality.labels_of(self.labelled, _looked_at(rules)))

    def latencies(self) -> Side:
        """Returns the logarithm of each request's latency."""
        rows = self.traffic.rows
        if times := self.traffic.latencies:
            values = np.repeat([max(each, 1e-3) for each, _ in times], [number for _, number in times])
            return Side(np.log(values), np.arange(len(values)))
        if not len(rows) or rows["latency_ms"].null_count:
            return Side(np.empty(0), np.empty(0, np.int64))
        first = rows["row"].to_numpy() == 0
        milliseconds = np.maximum(rows["latency_ms"].to_numpy()[first].astype(np.float64), 1e-3)
        return Side(np.log(milliseconds), self._requests[first])

    @functools.cached_property
    def _requests(self) -> Requests:
        return _ids(self.traffic.rows)

    def _all(self, rules: Judge) -> Side | None:
        return _side(self.traffic.rows, rules, lambda rows: self._requests)


@dataclasses.dataclass(frozen=True)
class Share:
    """What both versions answered while the candidate had one share of the traffic."""

    percent: int
    candidate: Answers
    live: Answers

    @property
    def sides(self) -> tuple[Answers, Answers]:
        """Both versions'."""
        return self.candidate, self.live

    def paired(self, rules: Judge) -> tuple[Side, Side] | None:
        """Returns the labelled rows that both versions answered, in one order."""
        ours, theirs = self.candidate.labelled, self.live.labelled
        if not len(ours) or not len(theirs):
            return None
        places = {key: place for place, key in enumerate(_keys(theirs))}
        pairs = [(place, places[key]) for place, key in enumerate(_keys(ours)) if key in places]
        if not pairs:
            return None
        places_of_both = zip(*pairs, strict=True)
        tables = (each.take(pa.array(side)) for each, side in zip((ours, theirs), places_of_both, strict=True))
        first, second = (Answers(self.live.traffic, table).all_judged(rules) for table in tables)
        if not first or not second:
            return None
        finite = first.finite & second.finite
        return (first.on(finite), second.on(finite)) if finite.any() else None


def read(state: State, log_root: str, now: datetime.datetime) -> list[Share]:
    """Reads every share that the candidate has had since the release began; the last is the present one.

    Raises:
        ComponentError: The log or the labels cannot be read.
    """
    if not Path(log_root).is_dir():
        raise request_log.no_log(log_root)
    return [_share(state, log_root, period, percent) for percent, period in _periods(state, now)]


def moments(state: State, now: datetime.datetime) -> list[datetime.datetime]:
    """Returns when the release began, when its steps did, and its end as far as it can be seen."""
    return sorted({moment for _, period in _periods(state, now) for moment in (period.start, period.end)})


def _periods(state: State, now: datetime.datetime) -> list[tuple[int, Period]]:
    """Returns each share that the candidate has had, and which rows may be of it."""
    end = (now + datetime.timedelta(minutes=1)).isoformat()
    steps = [(step["percent"], step["from"], step["to"]) for step in state.steps]
    steps += [(state.percent, state.since, end)]
    if not state.by_time:
        steps = [(percent, state.started, end) for percent, *_ in steps]
    at = datetime.datetime.fromisoformat
    return [(percent, Period(at(start), at(to))) for percent, start, to in steps]


def _share(state: State, log_root: str, period: Period, step_percent: int) -> Share:
    rules, percent = state.rules.judge, state.shadow or step_percent

    def chosen(metadata: Mapping[str, Any]) -> bool:
        return state.by_time or (metadata.get("release") == state.id and metadata.get("percent") == percent)

    found = []
    for version in (state.candidate, state.live):
        limits = (rules.max_rows, rules.signature)
        traffic = request_log.read(log_root, state.model, version, period, limits, chosen)
        found.append(Answers(traffic, labels.join(traffic.rows, rules.labels).rows))
    return Share(percent, *found)


def _side(rows: pa.Table, rules: Judge, requests: Callable[[pa.Table], Requests]) -> Side | None:
    found = quality.predictions_of(rows, _looked_at(rules)) if len(rows) else None
    return None if found is None else Side(found, requests(rows))


def _looked_at(rules: Judge) -> BaselineMetric:
    return BaselineMetric(rules.task, rules.metric, None, 0.0, rules.output, rules.classes, "label")


def _ids(rows: pa.Table) -> Requests:
    """Returns a number for each row's request."""
    encoded = rows["request_id"].combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(), np.int64)


def _keys(rows: pa.Table) -> list[tuple[str, int]]:
    return list(zip(rows["request_id"].to_pylist(), rows["row"].to_pylist(), strict=True))
