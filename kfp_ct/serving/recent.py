"""What each version did lately, for the service's page: requests, errors and the latency of the last answers."""

import collections
import dataclasses
import threading

import numpy as np

# Answers whose latency is shown.
_KEPT = 1_000


@dataclasses.dataclass
class Answers:
    """The answers of one version in one role since the service started."""

    requests: int = 0
    errors: int = 0
    seconds: collections.deque[float] = dataclasses.field(default_factory=lambda: collections.deque(maxlen=_KEPT))

    def milliseconds(self, quantile: float) -> float | None:
        """Returns a quantile of the latency of the last answers."""
        return 1000 * float(np.quantile(list(self.seconds), quantile)) if self.seconds else None


class Recent:
    """Counts by model, version and role; every method may be called from any thread."""

    def __init__(self) -> None:
        """Starts with nothing."""
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, int, str], Answers] = {}

    def answered(self, model: str, version: int, role: str, seconds: float) -> None:
        """Counts an answer."""
        with self._lock:
            found = self._of(model, version, role)
            found.requests += 1
            found.seconds.append(seconds)

    def failed(self, model: str, version: int, role: str) -> None:
        """Counts a request that the version did not answer."""
        with self._lock:
            found = self._of(model, version, role)
            found.requests += 1
            found.errors += 1

    def of(self, model: str) -> dict[tuple[int, str], Answers]:
        """Returns a model's answers by version and role."""
        with self._lock:
            return {
                (version, role): dataclasses.replace(answers, seconds=answers.seconds.copy())
                for (name, version, role), answers in self._answers.items()
                if name == model
            }

    def _of(self, model: str, version: int, role: str) -> Answers:
        return self._answers.setdefault((model, version, role), Answers())
