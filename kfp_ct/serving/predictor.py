"""One prediction from request to answer, whatever protocol it came by: limits, batching, log and metrics."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Generic, TypeVar

import numpy as np

from kfp_ct.serving.batching import Batcher, Batching, common_rows
from kfp_ct.serving.errors import (
    BodyTooLargeError,
    OverloadedError,
    ServingError,
    TooSlowError,
)
from kfp_ct.serving.limits import Limits
from kfp_ct.serving.metrics import Metrics
from kfp_ct.serving.request_files import Answered, Key
from kfp_ct.serving.request_log import RequestLog
from kfp_ct.serving.values import Inputs
from kfp_ct.serving.versions import Model, Versions

Arrays = dict[str, np.ndarray]
Encoded = TypeVar("Encoded")
# What is smaller is converted on the event loop: handing it to a thread takes longer.
_SMALL_BYTES = 32_768
_SMALL_VALUES = 4_096
# The size of a request whose body has not been read.
UNREAD = -1


@dataclasses.dataclass(frozen=True)
class Call:
    """A request for a prediction.

    Attributes:
        model: Name of the model.
        version: Number of the version, or a label; None for the one that answers.
        request_id: What the answer and the log are known by.
        protocol: "rest", "grpc", "oip-rest" or "oip-grpc", for the metrics.
        size: Bytes of the request; UNREAD before its body has come.
    """

    model: str
    version: int | str | None
    request_id: str
    protocol: str
    size: int


@dataclasses.dataclass(frozen=True)
class Codec(Generic[Encoded]):
    """How a protocol's request becomes a signature's inputs, and the outputs (by version and signature) an answer."""

    decode: Callable[[Model], tuple[str, Inputs]]
    encode: Callable[[Model, int, Arrays], Encoded]


class Predictor:
    """Answers calls from the versions that are loaded; to be used from one event loop."""

    def __init__(
        self, versions: Versions, limits: Limits, batching: Batching, request_log: RequestLog | None = None
    ) -> None:
        """Starts the threads that models run in."""
        self.versions = versions
        self.limits = limits
        self.metrics = Metrics(versions, request_log)
        self._log = request_log
        self.draining = False
        self._pending = 0
        # Inference is kept off the event loop, which goes on accepting and answering.
        self._workers = concurrent.futures.ThreadPoolExecutor(limits.threads, "predict")
        self._batcher = Batcher(batching, self._workers, self.metrics.batch)

    def ready(self) -> bool:
        """Whether every model below the root has a version that answers, there is one, and the server stays."""
        return bool(self.versions.serving()) and not self.versions.waiting() and not self.draining

    @contextlib.asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """Counts a request as waiting, from before its body is read.

        Raises:
            OverloadedError: As many wait as may.
        """
        if self._pending >= self.limits.pending:
            raise OverloadedError(f"{self._pending} requests are waiting already; try again in a moment")
        self._pending += 1
        self.metrics.pending(self._pending)
        try:
            yield
        finally:
            self._pending -= 1
            self.metrics.pending(self._pending)

    async def answer(self, call: Call, codec: Codec[Encoded]) -> Encoded:
        """Answers a call.

        Raises:
            ServingError: What is wrong with it.
        """
        started = time.perf_counter()
        with self._counted(call, started), self.versions.leased(call.model, call.version) as (model, version):
            try:
                async with asyncio.timeout(self.limits.seconds):
                    return await self._predict(call, codec, model, version)
            except TimeoutError:
                raise TooSlowError(f"the answer took longer than {self.limits.seconds:g} s") from None

    async def _predict(self, call: Call, codec: Codec[Encoded], model: Model, version: int) -> Encoded:
        started = time.perf_counter()
        small = call.size <= _SMALL_BYTES
        signature, inputs = codec.decode(model) if small else await self._in_worker(codec.decode, model)
        rows = common_rows(inputs)
        if rows > self.limits.rows:
            raise BodyTooLargeError(
                f"the request has {rows} rows\nexpected: at most {self.limits.rows}; send fewer rows at a time"
            )
        outputs = await self._batcher.run(model, signature, inputs)
        if sum(array.size for array in outputs.values()) <= _SMALL_VALUES:
            encoded = codec.encode(model, version, outputs)
        else:
            encoded = await self._in_worker(codec.encode, model, version, outputs)
        taken = time.perf_counter() - started
        self.metrics.answered(call.protocol, (call.model, version, signature), rows, taken)
        if self._log is not None:
            answered = Answered(call.request_id, time.time(), 1000 * taken, inputs, outputs)
            self._log.answered(Key(call.model, version, signature), answered)
        return encoded

    async def _in_worker(self, function: Callable[..., Encoded], *arguments: object) -> Encoded:
        return await asyncio.get_running_loop().run_in_executor(self._workers, function, *arguments)

    @contextlib.contextmanager
    def _counted(self, call: Call, started: float) -> Iterator[None]:
        try:
            yield
        except ServingError as error:
            self.count_error(call, error.status, type(error).__name__)
            raise
        except Exception as error:
            self.count_error(call, 500, type(error).__name__)
            raise

    def count_error(self, call: Call, status: int, kind: str) -> None:
        """Counts a request that got no prediction."""
        self.metrics.failed(call.protocol, call.model, kind)
        if self._log is None:
            return
        version = self.versions.serving().get(call.model)
        if version is not None:
            self._log.refused(call.model, version, status)
