"""Asks a challenger what the live version was asked, after it has answered; clients see nothing of it.

One thread asks, and few requests wait for it: where it cannot keep up, copies are left out and the live version is
not slowed down. The challenger's latency is that of the model alone.
"""

import concurrent.futures
import threading
import time
from typing import Protocol

from kfp_ct.serving.errors import ServingError
from kfp_ct.serving.recent import Recent
from kfp_ct.serving.request_files import Answered, Key, Part
from kfp_ct.serving.request_log import RequestLog
from kfp_ct.serving.routing import SHADOW, Routing
from kfp_ct.serving.values import Inputs
from kfp_ct.serving.versions import Versions

_WAITING = 64


class Call(Protocol):
    """What is asked of a request: its model and its id."""

    @property
    def model(self) -> str:
        """Name of the model."""

    @property
    def request_id(self) -> str:
        """What the log knows it by, the live version's answer and the shadow's alike."""


class Shadows:
    """Copies requests to challengers."""

    def __init__(self, versions: Versions, recent: Recent, request_log: RequestLog | None) -> None:
        """Starts no thread before there is something to ask."""
        self._versions, self._recent, self._log = versions, recent, request_log
        self._asking = concurrent.futures.ThreadPoolExecutor(1, "shadow")
        self._free = threading.Semaphore(_WAITING)

    def ask(self, call: Call, question: tuple[str, Inputs], routing: Routing) -> None:
        """Has the challenger asked soon; returns at once."""
        if self._free.acquire(blocking=False):
            self._asking.submit(self._ask, call, question, routing)

    def _ask(self, call: Call, question: tuple[str, Inputs], routing: Routing) -> None:
        part = Part(SHADOW, routing.release, routing.shadow)
        try:
            self._answer(call, question, routing, part)
        except Exception as error:  # the challenger's, and no client waits for it
            self._recent.failed(call.model, routing.candidate, SHADOW)
            if self._log is not None:
                status = error.status if isinstance(error, ServingError) else 500
                self._log.refused(call.model, routing.candidate, status, part)
        finally:
            self._free.release()

    def _answer(self, call: Call, question: tuple[str, Inputs], routing: Routing, part: Part) -> None:
        signature, inputs = question
        started = time.perf_counter()
        with self._versions.leased(call.model, routing.candidate) as (model, version):
            outputs = model.run(signature, inputs)
        taken = time.perf_counter() - started
        self._recent.answered(call.model, version, SHADOW, taken)
        if self._log is not None:
            answered = Answered(call.request_id, time.time(), 1000 * taken, inputs, outputs)
            self._log.answered(Key(call.model, version, signature, part), answered)
