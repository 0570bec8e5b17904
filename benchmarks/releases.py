"""What releases come to, in simulated time: `python benchmarks/releases.py [RELEASES]`.

Candidates that are equal to the live version, worse only on live traffic, and better. Labels come an hour late, the
judge looks every ten minutes, and the state machine is the real one, on a folder. Prints how many of each were
promoted and backed out, and at which share; with fixed intervals instead of bounds for every look, for comparison.
"""

import collections
import datetime
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from kfp_ct.components.monitor.request_log import Traffic
from kfp_ct.models import release_state, releases
from kfp_ct.models.release_state import RUNNING, State
from kfp_ct.releasing import bounds, judge
from kfp_ct.releasing.evidence import Answers, Share
from kfp_ct.serving.routing import CANARY, Routing

EQUAL, WORSE, BETTER = "equal", "worse", "better"
NOISE = {EQUAL: 1.0, WORSE: 2.5, BETTER: 0.3}
REQUESTS = 1_500  # in ten minutes
STEP = datetime.timedelta(minutes=10)
LABEL_DELAY = datetime.timedelta(hours=1)
START = datetime.datetime(2013, 6, 1, tzinfo=datetime.UTC)
POLICY = {
    "canary": [1, 10, 50], "every": "30m", "equal": "promote",
    "judge": {"request_log": "log", "labels": "labels", "min_rows": 150, "min_labelled": 300, "max_wait": "8h"},
}  # fmt: skip


class Simulated:
    """Traffic of two versions: what was asked so far, by share, version and time."""

    def __init__(self, kind: str, seed: int) -> None:
        """Nobody has asked yet."""
        self._noise = {"1": NOISE[EQUAL], "2": NOISE[kind]}
        self._random = np.random.default_rng(seed)
        self._asked = 0
        self._found: dict[tuple[int, str], list[pa.Table]] = collections.defaultdict(list)
        self._errors: collections.Counter[tuple[int, str]] = collections.Counter()

    def ask(self, state: State, now: datetime.datetime) -> None:
        """Has ten minutes of requests answered, split as the service splits them."""
        routing = Routing(state.id, int(state.candidate), state.percent, 0, "")
        ids = np.arange(self._asked, self._asked + REQUESTS)
        self._asked += REQUESTS
        canary = np.array([routing.role(each.tobytes()) == CANARY for each in ids])
        truth = self._random.normal(0, 1.5, REQUESTS)
        labels = (self._random.random(REQUESTS) < _logistic(truth)).astype(np.float64)
        for version, chosen in (("1", ~canary), ("2", canary)):
            noise = self._random.normal(0, self._noise[version], REQUESTS)
            answers = pa.StructArray.from_arrays([pa.array(_logistic(truth + noise)[chosen])], ["probability"])
            rows = int(chosen.sum())
            latency = self._random.lognormal(1, 0.5, rows)
            table = pa.table({
                "request_id": ids[chosen], "row": np.zeros(rows, np.int32), "latency_ms": latency,
                "outputs": answers, "label": labels[chosen], "asked": np.full(rows, now.timestamp()),
            })  # fmt: skip
            self._found[state.percent, version].append(table)
            self._errors[state.percent, version] += int(self._random.binomial(rows, 0.002))

    def shares(self, state: State, now: datetime.datetime) -> list[Share]:
        """Returns what the judge reads from log and labels."""
        percents = [step["percent"] for step in state.steps] + [state.percent]
        return [
            Share(percent, self._answers(percent, "2", now), self._answers(percent, "1", now)) for percent in percents
        ]

    def _answers(self, percent: int, version: str, now: datetime.datetime) -> Answers:
        rows = pa.concat_tables(self._found[percent, version])
        known = int(np.searchsorted(rows["asked"].to_numpy(), (now - LABEL_DELAY).timestamp(), side="right"))
        counts = {"requests": len(rows), "error_500": self._errors[percent, version]}
        return Answers(Traffic(rows.drop(["label"]), len(rows), counts, []), rows.slice(0, known))


def release(kind: str, seed: int) -> State:
    """Runs one release to its end."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("1", "candidate/2"):
            (Path(folder) / "m" / name).mkdir(parents=True)
            (Path(folder) / "m" / name / "saved_model.pb").write_text(name)
        at = START.isoformat()
        state = State(f"2-{seed}", "m", "1", "2", RUNNING, 1, 0, "", 0, at, at, POLICY, "", {})
        kept = release_state.write(folder, state, None)
        running = releases.Releases(folder, releases.FolderTraffic(folder), lambda state: None, lambda state: None)
        traffic, now = Simulated(kind, seed), START
        while kept.state.unfinished:
            traffic.ask(kept.state, now)
            now += STEP
            running.apply(kept, judge.look(kept.state, traffic.shares(kept.state, now), now), now)
            kept = release_state.read(folder, "m") or kept
        return kept.state


def main(number: int) -> None:
    """Prints what each kind of candidate came to."""
    for bound in ("every look", "fixed"):
        if bound == "fixed":  # as if each look were the only one
            bounds.radius = lambda error, rows, first, level: error * 1.96  # type: ignore[assignment]
        for kind in NOISE:
            started = time.process_time()
            ended = collections.Counter()
            for seed in range(number):
                state = release(kind, seed)
                ended[f"{state.state} at {state.steps[-1]['percent']} %"] += 1
            seconds = (time.process_time() - started) / number
            found = {"bounds": bound, "candidate": kind, "releases": number, **dict(sorted(ended.items()))}
            print(json.dumps({**found, "cpu_seconds": round(seconds, 2)}), flush=True)


def _logistic(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
