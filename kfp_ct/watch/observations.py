"""What triggers look at, and the runs that they started: manual requests, jobs, new data, monitored periods."""

import dataclasses
import datetime
from collections.abc import Iterable

from kfp_ct.watch import policy as policies

RUNNING, SUCCEEDED, FAILED = "RUNNING", "SUCCEEDED", "FAILED"
# What the keys of manual requests and of job firings begin with.
MANUAL, JOB = "manual", "job"


@dataclasses.dataclass(frozen=True)
class ManualRequest:
    """A person, or a message, asks for a run."""

    id: str
    by: str = ""
    cause: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """Names it in the history, once it is answered."""
        return (f"{MANUAL}:{self.id}",)


@dataclasses.dataclass(frozen=True)
class JobFiring:
    """A scheduler elsewhere, such as Cloud Scheduler, fires a job."""

    id: str
    job: str
    at: datetime.datetime

    @property
    def keys(self) -> tuple[str, ...]:
        """Names it in the history, once it is answered."""
        return (f"{JOB}:{self.id}",)


@dataclasses.dataclass(frozen=True)
class Span:
    """A file or object of the sources, with an id that changes with its content.

    Attributes:
        id: Path or URI, and what tells contents apart.
        arrived: When it was written.
        rows: Its rows; None where they cannot be counted without reading it.
        markers: Names of files beside it that say it is complete, such as _SUCCESS.
    """

    id: str
    arrived: datetime.datetime
    rows: int | None = None
    markers: frozenset[str] = frozenset()

    @property
    def keys(self) -> tuple[str, ...]:
        """Names it in the history, once it is answered."""
        return (f"span:{self.id}",)


@dataclasses.dataclass(frozen=True)
class Period:
    """What the monitor component measured in a period: the live metric with its interval, and drifted features.

    `baseline` is what the evaluation measured; `higher_is_better` is False for losses.
    """

    id: str
    end: datetime.datetime
    metric: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    drifted: tuple[str, ...] = ()
    higher_is_better: bool = True

    @property
    def keys(self) -> tuple[str, ...]:
        """Names it in the history, once it is answered: once for each kind of trigger."""
        return (f"{policies.PERFORMANCE}:{self.id}", f"{policies.DISTRIBUTION}:{self.id}")


@dataclasses.dataclass(frozen=True)
class Observations:
    """Everything that triggers look at; each part may be empty."""

    manual_requests: tuple[ManualRequest, ...] = ()
    spans: tuple[Span, ...] = ()
    periods: tuple[Period, ...] = ()
    job_firings: tuple[JobFiring, ...] = ()

    def with_messages(
        self, received: Iterable[ManualRequest | Span | JobFiring | Period], listed: bool
    ) -> "Observations":
        """Adds what messages tell.

        Args:
            received: What the messages hold.
            listed: Whether the sources' objects are known from listings; then messages tell nothing new of them.
        """
        told = tuple(received)
        spans = {each.id: each for each in told if isinstance(each, Span) and not listed}
        spans |= {each.id: each for each in self.spans}
        return Observations(
            manual_requests=(*self.manual_requests, *(each for each in told if isinstance(each, ManualRequest))),
            spans=tuple(spans.values()),
            periods=(*self.periods, *(each for each in told if isinstance(each, Period))),
            job_firings=(*self.job_firings, *(each for each in told if isinstance(each, JobFiring))),
        )


@dataclasses.dataclass(frozen=True)
class Firing:
    """A run that was started: when, by which triggers, and the keys it answers, so that nothing is answered twice."""

    at: datetime.datetime
    triggers: tuple[str, ...]
    keys: tuple[str, ...]
    state: str = SUCCEEDED
    run: str = ""

    @property
    def automatic(self) -> bool:
        """Whether no person asked for it."""
        return not any(is_manual(key) for key in self.keys)


def is_manual(key: str) -> bool:
    """Whether a key is that of a person's request."""
    return key.startswith(f"{MANUAL}:")
