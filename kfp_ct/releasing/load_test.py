"""Drives a served model with recorded requests at a steady rate, and says whether it bears them.

The rate is the clients': a request is due at its time whether or not those before it were answered, and its latency
counts from then. So a service that is slower than it is asked cannot look fast by being asked less (coordinated
omission), and a machine that cannot send so many says no rather than yes.
"""

import dataclasses
import itertools
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kfp_ct.releasing import recorded_requests

# So much of the rate that was asked for, by what was answered a second after the last request was due at the latest.
NEARLY, _GRACE_SECONDS = 0.95, 1.0
_CLIENTS = 64


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is sent, and what has to come of it.

    Attributes:
        qps: Requests a second.
        seconds: For so long.
        p50_ms: Budget of the median latency; None for none.
        p99_ms: Budget of the latency that 99 of 100 requests stay below; None for none.
        max_errors: Share of the requests that may fail.
        warm_up: Requests that are sent first, one by one, and do not count.
        timeout: Seconds that a request may take.
    """

    qps: float
    seconds: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    max_errors: float = 0.0
    warm_up: int = 5
    timeout: float = 10.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of it; `problems` is empty where the service bears it."""

    sent: int
    answered: int
    qps: float
    p50_ms: float
    p99_ms: float
    errors: Mapping[str, int]
    problems: Sequence[str]


@dataclasses.dataclass(frozen=True)
class _Answer:
    latency_ms: float
    ended: float
    error: str


class _Client:
    """A connection of its own a thread."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        import requests

        self._url, self._timeout = url, timeout
        self._session = requests.Session()
        self._session.headers.update({"Content-Type": "application/json", **headers})

    def ask(self, body: bytes) -> str:
        """Sends a request; returns what is wrong with the answer, empty for nothing."""
        import requests

        try:
            answer = self._session.post(self._url, data=body, timeout=self._timeout)
        except requests.RequestException as error:
            return type(error).__name__
        if answer.status_code != requests.codes.ok:
            return f"{answer.status_code} {answer.text[:200].strip()}"
        try:
            predictions = answer.json()["predictions"]
            whole = len(predictions) == recorded_requests.instances(body)
        except (ValueError, KeyError, TypeError):
            return "an answer without predictions"
        return "" if whole and _finite(predictions) else "predictions that are missing or not finite"


def run(address: str, bodies: Sequence[bytes], plan: Plan, headers: Mapping[str, str]) -> Outcome:
    """Drives a service, and judges it.

    Args:
        address: The model's address: `http://HOST:8501/v1/models/NAME`, or a Vertex AI endpoint's.
        bodies: Recorded requests, sent in turn again and again.
        plan: The rate, and the budgets.
        headers: Headers of every request, such as Authorization.
    """
    url = address if address.endswith(":predict") else f"{address.rstrip('/')}:predict"
    first = _Client(url, headers, plan.timeout)
    for body in itertools.islice(itertools.cycle(bodies), plan.warm_up):
        first.ask(body)
    total = max(1, round(plan.qps * plan.seconds))
    due, lock, began = iter(range(total)), threading.Lock(), time.perf_counter()

    def drive(_: int) -> list[_Answer]:
        client, answers = _Client(url, headers, plan.timeout), list[_Answer]()
        while True:
            with lock:
                number = next(due, None)
            if number is None:
                return answers
            at = began + number / plan.qps
            time.sleep(max(0.0, at - time.perf_counter()))
            error = client.ask(bodies[number % len(bodies)])
            ended = time.perf_counter()
            answers.append(_Answer(1000 * (ended - at), ended - began, error))

    clients = min(_CLIENTS, total)
    with ThreadPoolExecutor(clients) as pool:
        answers = [each for part in pool.map(drive, range(clients)) for each in part]
    return judge(answers, plan)


def judge(answers: Sequence[_Answer], plan: Plan) -> Outcome:
    """Returns what answers come to, by the plan's budgets."""
    good = [each for each in answers if not each.error]
    latencies = sorted(each.latency_ms for each in answers)
    planned = len(answers) / plan.qps
    in_time = sum(each.ended <= planned + _GRACE_SECONDS for each in good)
    measured = Outcome(
        len(answers), len(good), in_time / planned, _percentile(latencies, 50), _percentile(latencies, 99),
        dict(Counter(each.error for each in answers if each.error)), (),
    )  # fmt: skip
    return dataclasses.replace(measured, problems=tuple(_problems(measured, plan)))


def _problems(found: Outcome, plan: Plan) -> list[str]:
    problems = []
    failed = found.sent - found.answered
    if failed > plan.max_errors * found.sent:
        error, times = max(found.errors.items(), key=lambda each: each[1])
        most = f"at most {plan.max_errors:.2%} allowed"
        problems.append(f"{failed} of {found.sent} requests failed, {most}; {times} times: {error}")
    if found.qps < NEARLY * (1 - plan.max_errors) * plan.qps:
        problems.append(f"{found.qps:.4g} requests a second were answered, {plan.qps:g} wanted")
    for name, value, budget in (("median", found.p50_ms, plan.p50_ms), ("p99", found.p99_ms, plan.p99_ms)):
        if budget is not None and value > budget:
            problems.append(f"latency {name} {value:.4g} ms, at most {budget:g} ms allowed")
    return problems


def _percentile(ordered: Sequence[float], percent: int) -> float:
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list | dict):
        return all(_finite(each) for each in (value.values() if isinstance(value, dict) else value))
    return value is not None


def as_json(outcome: Outcome, plan: Plan) -> str:
    """Returns plan and outcome as evidence."""
    return json.dumps({"plan": dataclasses.asdict(plan), "outcome": dataclasses.asdict(outcome)}, indent=1) + "\n"
