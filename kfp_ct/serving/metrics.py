"""What the prediction service does, as Prometheus metrics; their names begin with `serving_`."""

import os
import time
from collections.abc import Iterator
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kfp_ct.serving.request_log import RequestLog
from kfp_ct.serving.workers import METRICS_VARIABLE

_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_POWERS = tuple(float(2**power) for power in range(15))
# A caller chooses the names of models that are not there; only those that are become labels.
_UNKNOWN = ""


class ServedVersions(Protocol):
    """What is asked of the versions."""

    def serving(self) -> dict[str, int]:
        """Returns the version that answers, by model."""

    def waiting(self) -> list[str]:
        """Returns the models without one."""

    def loaded_at(self) -> dict[tuple[str, int], float]:
        """Returns since when loaded versions are there, in seconds since 1970."""


class Metrics:
    """Counts requests; every method may be called from any thread."""

    def __init__(self, versions: ServedVersions, request_log: RequestLog | None) -> None:
        """Makes a registry of its own, so that two services in one process do not meet."""
        self._versions = versions
        self._registry = CollectorRegistry()
        self._state = _State(versions)
        self._registry.register(self._state)
        of_answers = ("protocol", "model", "version", "signature")
        self._requests = Counter("serving_requests", "Predictions answered.", of_answers, registry=self._registry)
        self._rows = Counter("serving_rows", "Rows predicted.", of_answers[1:], registry=self._registry)
        self._latency = Histogram(
            "serving_latency_seconds",
            "From a request's body being there to its answer, waiting included.",
            of_answers[:2],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._errors = Counter(
            "serving_errors", "Requests without a prediction.", ("protocol", "model", "kind"), registry=self._registry
        )
        self._candidate_errors = Counter(
            "serving_candidate_errors", "Requests that a release's candidate failed, and the live version answered.",
            ("model", "version", "kind"), registry=self._registry,
        )  # fmt: skip
        self._features = Counter(
            "serving_features", "Lookups of an entity's features.", ("view", "outcome"), registry=self._registry
        )
        self._batch_requests = Histogram(
            "serving_batch_requests", "Requests that one call of a model answered.", (), buckets=_POWERS,
            registry=self._registry,
        )  # fmt: skip
        self._batch_rows = Histogram(
            "serving_batch_rows", "Rows of one call of a model.", (), buckets=_POWERS, registry=self._registry
        )
        # Looking a label up costs more than counting.
        self._answered: dict[tuple[str, str, int, str], tuple[Counter, Counter, Histogram]] = {}
        self._pending = Gauge(
            "serving_pending", "Requests that wait or run.", (), registry=self._registry, multiprocess_mode="livesum"
        )
        if request_log is not None:
            dropped = Counter("serving_log_dropped", "Requests that the log dropped.", (), registry=self._registry)
            request_log.on_drop = dropped.inc

    def answered(self, protocol: str, served: tuple[str, int, str], rows: int, seconds: float) -> None:
        """Counts a prediction of a model, version and signature."""
        counted = self._answered.get((protocol, *served)) or self._counters(protocol, served)
        requests, of_rows, latency = counted
        requests.inc()
        of_rows.inc(rows)
        latency.observe(seconds)

    def _counters(self, protocol: str, served: tuple[str, int, str]) -> tuple[Counter, Counter, Histogram]:
        labels = (served[0], str(served[1]), served[2])
        found = (
            self._requests.labels(protocol, *labels),
            self._rows.labels(*labels),
            self._latency.labels(protocol, served[0]),
        )
        self._answered[(protocol, *served)] = found
        return found

    def failed(self, protocol: str, model: str, kind: str) -> None:
        """Counts a request that got none."""
        known = model in self._versions.serving()
        self._errors.labels(protocol, model if known else _UNKNOWN, kind.removesuffix("Error")).inc()

    def features_looked_up(self, view: str, outcome: str) -> None:
        """Counts a lookup of an entity in a view of the feature store."""
        self._features.labels(view, outcome).inc()

    def candidate_failed(self, model: str, version: int, kind: str) -> None:
        """Counts a request that the live version answered in a candidate's place."""
        self._candidate_errors.labels(model, str(version), kind.removesuffix("Error")).inc()

    def batch(self, requests: int, rows: int) -> None:
        """Counts a call of a model."""
        self._batch_requests.observe(requests)
        self._batch_rows.observe(rows)

    def pending(self, number: int) -> None:
        """Says how many requests wait or run."""
        self._pending.set(number)

    def page(self) -> bytes:
        """Returns the metrics in Prometheus' text format; of several workers, what all have counted together."""
        if METRICS_VARIABLE not in os.environ:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        registry.register(self._state)  # the versions of the worker that answers
        multiprocess.MultiProcessCollector(registry)
        return generate_latest(registry)


class _State(Collector):
    """What is looked up when it is asked for."""

    def __init__(self, versions: ServedVersions) -> None:
        self._versions = versions

    def collect(self) -> Iterator[Metric]:
        """Yields the versions and their age."""
        now, serving = time.time(), self._versions.serving()
        version = GaugeMetricFamily("serving_version", "The version that answers.", labels=("model",))
        for name, number in serving.items():
            version.add_metric((name,), number)
        yield version
        age = GaugeMetricFamily("serving_model_age_seconds", "Since it was loaded.", labels=("model", "version"))
        for (name, number), since in self._versions.loaded_at().items():
            age.add_metric((name, str(number)), now - since)
        yield age
        yield GaugeMetricFamily(
            "serving_models_waiting", "Models that no version answers for.", len(self._versions.waiting())
        )

    def describe(self) -> Iterator[Metric]:
        """Yields nothing: what it collects is known when it is asked."""
        yield from ()
