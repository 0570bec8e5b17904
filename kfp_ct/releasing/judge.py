"""Judges a release's candidate on live traffic: `python -m kfp_ct.releasing.judge`, in the component environment.

It reads a release's state (JSON) from standard input, and writes what it found and what it says of the step.
"""

import dataclasses
import datetime
import json
import math
import sys
from typing import Any

import numpy as np

from kfp_ct.base.errors import ComponentError
from kfp_ct.components.monitor import remote_log
from kfp_ct.models.release_state import State
from kfp_ct.models.settings import Judge
from kfp_ct.releasing import bounds, decide, differences, evidence
from kfp_ct.releasing.decide import Criterion
from kfp_ct.releasing.differences import Difference, Side
from kfp_ct.releasing.evidence import Share

ERRORS, LATENCY, PREDICTIONS, QUALITY = "errors", "latency", "predictions", "quality"
# Every share has its own bound of the predictions' distance; a policy has no more steps.
_MOST_SHARES = 10
CRITERIA = (ERRORS, LATENCY, PREDICTIONS, QUALITY)


def main() -> int:
    """Judges what standard input says; returns the exit code."""
    state = State(**json.load(sys.stdin))
    try:
        found = judge(state, datetime.datetime.now(datetime.UTC))
    except ComponentError as error:
        found = {"error": str(error)}
    print(json.dumps(found))
    return 0


def judge(state: State, now: datetime.datetime) -> dict[str, Any]:
    """Returns rows, criteria, verdict and reason of a look at a running release.

    Raises:
        ComponentError: The log or the labels cannot be read.
    """
    rules = state.rules.judge
    moments = evidence.moments(state, now)
    with remote_log.local(rules.request_log, rules.log, state.model, moments) as log_root:
        return look(state, evidence.read(state, log_root, now), now)


def look(state: State, shares: list[Share], now: datetime.datetime) -> dict[str, Any]:
    """Returns the same of what was read: the shares that the candidate has had, the present one last."""
    rules = state.rules.judge
    criteria = [
        _errors(shares, rules),
        _predictions(shares, rules),
        *([] if state.shadow else [_latency(shares, rules)]),  # a shadow's latency is that of the model alone
        *([_quality(shares, rules, bool(state.shadow))] if rules.labels else []),
    ]
    present = shares[-1]
    unknown = sorted({each for share in shares for side in share.sides for each in side.traffic.unknown})
    waits = unknown if rules.log.metrics else ()
    seen = decide.Seen(len(present.candidate.traffic.rows), len(present.candidate.labelled), criteria, tuple(waits))
    verdict, reason = decide.decide(state, seen, now)
    return {
        "at": now.isoformat(),
        "rows": seen.rows,
        "live_rows": len(present.live.traffic.rows),
        "labelled": seen.labelled,
        **({"unknown": unknown} if unknown else {}),
        "criteria": [dataclasses.asdict(criterion) for criterion in criteria],
        "verdict": verdict,
        "reason": reason,
    }


def _errors(shares: list[Share], rules: Judge) -> Criterion:
    found = [differences.of_shares(share.candidate.errors(rules), share.live.errors(rules)) for share in shares]
    return _criterion(ERRORS, found, rules.max_error_rise, rules)


def _latency(shares: list[Share], rules: Judge) -> Criterion:
    found = [differences.of_means(share.candidate.latencies(), share.live.latencies()) for share in shares]
    return _criterion(LATENCY, found, math.log1p(rules.max_latency_rise), rules)


def _quality(shares: list[Share], rules: Judge, paired: bool) -> Criterion:
    found = [_quality_within(share, rules, paired) for share in shares]
    return _criterion(QUALITY, [each for each in found if each], rules.max_loss, rules)


def _quality_within(share: Share, rules: Judge, paired: bool) -> Difference | None:
    if paired:
        pair = share.paired(rules)
        return differences.of_paired_quality(rules.metric, rules.task, *pair) if pair else None
    ours, theirs = share.candidate.judged(rules), share.live.judged(rules)
    return differences.of_quality(rules.metric, rules.task, ours, theirs) if ours and theirs else None


def _criterion(name: str, found: list[Difference], allowed: float, rules: Judge) -> Criterion:
    average = differences.average(found)
    if average is None:
        return Criterion(name, allowed)
    first = rules.min_labelled if name == QUALITY else rules.min_rows
    reach = bounds.radius(average.variance**0.5, average.requests, first, _level(rules))
    if not math.isfinite(reach):
        return Criterion(name, allowed, average.value)
    return Criterion(name, allowed, average.value, average.value - reach, average.value + reach)


def _predictions(shares: list[Share], rules: Judge) -> Criterion:
    """Compares distributions within the present share; every share has its part of the level."""
    ours, theirs = (side.predictions(rules) for side in (shares[-1].candidate, shares[-1].live))
    if ours is None or theirs is None:
        return Criterion(PREDICTIONS, rules.max_prediction_distance)
    columns = [side.values.reshape(len(side.values), -1) for side in (ours, theirs)]
    width = columns[0].shape[1]
    if width != columns[1].shape[1]:
        return Criterion(PREDICTIONS, rules.max_prediction_distance, 1.0, 1.0, 1.0)
    found = max(differences.distance(columns[0][:, column], columns[1][:, column]) for column in range(width))
    level = _level(rules) / _MOST_SHARES / width / 2
    reach = sum(bounds.distribution_radius(_requests(side), level) for side in (ours, theirs))
    return Criterion(PREDICTIONS, rules.max_prediction_distance, found, found - reach, found + reach)


def _requests(side: Side) -> int:
    return int(np.count_nonzero(np.bincount(side.requests)))


def _level(rules: Judge) -> float:
    return rules.false_back_out / len(CRITERIA)


if __name__ == "__main__":
    sys.exit(main())
