"""Sends rows to a running service, in batches and one by one from several clients, and times the answers."""

import concurrent.futures
import dataclasses
import time
from typing import Any

import numpy as np

from kfp_ct.components.validate_infra.client import Client, Server
from kfp_ct.components.validate_infra.settings import Infra


@dataclasses.dataclass(frozen=True)
class LoadTest:
    """Predictions in the order of the rows, and how long they took."""

    batched: list[Any]
    single: list[Any]
    latencies_ms: list[float]
    batch_seconds: float

    def measured(self) -> dict[str, float]:
        """Returns percentiles of the latency of a single row, and the rows answered a second in batches."""
        p50, p99 = np.percentile(self.latencies_ms, [50, 99])
        return {"p50_ms": float(p50), "p99_ms": float(p99), "rows_per_s": len(self.batched) / self.batch_seconds}


def run(server: Server, instances: list[Any], alone: list[Any], settings: Infra) -> LoadTest:
    """Sends every row twice: in batches, then alone.

    Args:
        server: Where to.
        instances: The rows as they are sent in batches.
        alone: The same rows as each is sent by itself.
        settings: Rows of a batch, and clients at a time.

    Raises:
        ServerError: A request is not answered.
    """
    batched, batch_seconds = _batches(server, instances, settings)
    shares = [range(start, len(instances), settings.concurrency) for start in range(settings.concurrency)]
    single: list[Any] = [None] * len(instances)
    latencies = [0.0] * len(instances)

    def ask(share: range) -> None:
        client = Client(server.url, settings.request_s)
        try:
            for row in share:
                begin = time.perf_counter()
                single[row] = client.predict([alone[row]], settings.signature)[0]
                latencies[row] = 1000 * (time.perf_counter() - begin)
        finally:
            client.close()

    with concurrent.futures.ThreadPoolExecutor(settings.concurrency) as pool:
        list(pool.map(ask, shares))
    return LoadTest(batched, single, latencies, batch_seconds)


def _batches(server: Server, instances: list[Any], settings: Infra) -> tuple[list[Any], float]:
    client = Client(server.url, settings.request_s)
    try:
        client.predict(instances[: settings.batch_rows], settings.signature)  # the first one traces and allocates
        begin = time.perf_counter()
        answers: list[Any] = []
        for start in range(0, len(instances), settings.batch_rows):
            answers += client.predict(instances[start : start + settings.batch_rows], settings.signature)
        return answers, time.perf_counter() - begin
    finally:
        client.close()
