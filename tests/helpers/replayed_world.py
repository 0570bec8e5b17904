"""A small world to replay: rows whose meaning turns with time, linear models, no TensorFlow and no process."""

import dataclasses
import datetime

import numpy as np

from kfp_ct.components.monitor import metrics
from kfp_ct.replay.plan import text
from kfp_ct.replay.results import Answered, Quality, Trained
from kfp_ct.watch.observations import Period

ROWS_A_DAY = 20
DAY = datetime.timedelta(days=1)
BEGUN = datetime.datetime(2013, 1, 1, tzinfo=datetime.UTC)


class Killed(BaseException):
    """The process is gone."""


def rows(start, end, turn=0.012):
    """The features and labels of the rows from one day to another; what a feature says turns by `turn` a day."""
    days = np.arange(max((start - BEGUN) // DAY, 0), (end - BEGUN) // DAY)
    random = [np.random.default_rng(int(day)) for day in days]
    x = np.concatenate([np.zeros((0, 2)), *(each.normal(size=(ROWS_A_DAY, 2)) for each in random)])
    angle = np.repeat(days * turn, ROWS_A_DAY)
    logit = 2 * (x[:, 0] * np.cos(angle) + x[:, 1] * np.sin(angle))
    chance = np.concatenate([np.zeros(0), *(each.random(ROWS_A_DAY) for each in random)])
    return x, (chance < 1 / (1 + np.exp(-logit))).astype(float)


@dataclasses.dataclass
class World:
    """What outlives a killed process: models, the served one, what monitoring found. And how many calls are left."""

    turn: float = 0.012
    memory: int = 60  # days of rows that a model is fitted to
    calls_left: int = 10**9
    models: dict = dataclasses.field(default_factory=dict)
    keys: dict = dataclasses.field(default_factory=dict)
    served: str = ""
    found: dict = dataclasses.field(default_factory=dict)
    read: list = dataclasses.field(default_factory=list)

    def _call(self):
        self.calls_left -= 1
        if self.calls_left < 0:
            raise Killed

    def train(self, data, decided):
        self._call()
        x, y = rows(data.end - self.memory * DAY, data.end, self.turn)
        # An unchanged training gives the registered model again, as the registry does.
        version = self.keys.setdefault(text(data.end), str(len(self.keys) + 1))
        self.models[version] = (np.linalg.lstsq(x, y - 0.5, rcond=None)[0], text(data.end))
        self.read.append((decided.at, data.end))
        self._call()
        self.served = version
        return Trained(
            f"run-{decided.at}", text(data.end), "SUCCEEDED", True, version, f"model-{version}", len(y), 2.0, 1.0
        )

    def answer(self, span):
        self._call()
        _, until = self.models[self.served]
        return Answered(*span.texts, len(rows(span.start, span.end, self.turn)[1]), self.served, until, "")

    def measure(self, answered):
        return self._quality(answered, [each.version for each in answered])

    def measure_version(self, answered, version):
        return self._quality(answered, [version] * len(answered))

    def monitor(self, window, labelled):
        self._call()
        own = tuple(each for each in labelled if each.version == self.served)
        quality = self.measure(own) if own else None
        said = {"value": quality.value, "low": quality.low, "high": quality.high} if quality else {}
        period = Period(f"{self.served}/{window.start}", window.end, "auc", **said, baseline=0.85)
        self.found[period.id] = period
        return {"state": "OK", **said}

    def periods(self):
        return tuple(self.found.values())

    def _quality(self, answered, versions):
        labels, scores = [], []
        for each, version in zip(answered, versions, strict=True):
            span = [datetime.datetime.fromisoformat(at).replace(tzinfo=datetime.UTC) for at in (each.start, each.end)]
            x, y = rows(*span, self.turn)
            labels.append(y)
            scores.append(x @ self.models[version][0])
        found = metrics.estimate("binary", "auc", np.concatenate(labels), np.concatenate(scores))
        reach = 1.96 * found.error
        return Quality("auc", found.value, found.value - reach, found.value + reach, sum(map(len, labels)))
