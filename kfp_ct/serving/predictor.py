"""One prediction from request to answer, whatever protocol it came by: limits, batching, log and metrics."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import numpy as np

from kfp_ct.serving.batching import Batcher, Batching
from kfp_ct.serving.errors import (
    BodyTooLargeError,
    OverloadedError,
    ServingError,
    TooSlowError,
)
from kfp_ct.serving.limits import Limits
from kfp_ct.serving.loaded_version import Model
from kfp_ct.serving.metrics import Metrics
from kfp_ct.serving.online_features import OnlineFeatures
from kfp_ct.serving.recent import Recent
from kfp_ct.serving.request_files import NO_RELEASE, Answered, Key, Part
from kfp_ct.serving.request_log import RequestLog
from kfp_ct.serving.routing import CANARY, LIVE, SHADOW, request_key
from kfp_ct.serving.shadows import Shadows
from kfp_ct.serving.values import Inputs, common_rows
from kfp_ct.serving.versions import Versions

Arrays = dict[str, np.ndarray]
Encoded = TypeVar("Encoded")
Result = TypeVar("Result")
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
        # Where features come from that requests leave out; None: nowhere.
        self.features: OnlineFeatures | None = None
        self._pending = 0
        # Inference is kept off the event loop, which goes on accepting and answering.
        self._workers = concurrent.futures.ThreadPoolExecutor(limits.threads, "predict")
        self._batcher = Batcher(batching, self._workers, self.metrics.batch)
        self.recent = Recent()
        self._shadows = Shadows(versions, self.recent, request_log)

    def ready(self) -> bool:
        """Whether every model below the root has a version that answers, there is one, and the server stays."""
        return bool(self.versions.serving()) and not self.versions.waiting() and not self.draining

    @contextlib.contextmanager
    def admitted(self) -> Iterator[None]:
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
        """Answers a call, by the live version or by a release's candidate.

        Raises:
            ServingError: What is wrong with it.
        """
        started, asked = time.perf_counter(), _Asked(call)
        with self._counted(asked), self.versions.leased(call.model, call.version) as (model, version):
            try:
                async with asyncio.timeout(self.limits.seconds):
                    return await self._routed(asked, codec, _Answering(model, version, started))
            except TimeoutError:
                raise TooSlowError(f"the answer took longer than {self.limits.seconds:g} s") from None

    async def _routed(self, asked: "_Asked", codec: Codec[Encoded], live: "_Answering") -> Encoded:
        call = asked.call
        question = await self._decoded(call, codec, live.model)
        routing = self.versions.routing(call.model) if call.version is None else None
        if routing is None or routing.candidate == live.version:
            return await self._predicted(call, codec, question, live)
        role = routing.role(request_key.get().encode() or routing.key_of(question[1]))
        if role == CANARY:
            canary = Part(CANARY, routing.release, routing.percent)
            asked.part, asked.version = canary, routing.candidate
            try:
                candidate = dataclasses.replace(live, version=routing.candidate, part=canary)
                return await self._by_candidate(call, codec, question, candidate)
            except Exception as error:  # whatever a candidate does, the live version answers
                self._count_candidate_error(asked, error)
        share = routing.shadow or routing.percent
        asked.part, asked.version = Part(LIVE, routing.release, share), None
        answer = await self._predicted(call, codec, question, dataclasses.replace(live, part=asked.part))
        if role == SHADOW:
            self._shadows.ask(call, question, routing)
        return answer

    async def _by_candidate(
        self, call: Call, codec: Codec[Encoded], question: tuple[str, Inputs], asked: "_Answering"
    ) -> Encoded:
        with self.versions.leased(call.model, asked.version) as (model, _):
            if model.specs != asked.model.specs:
                question = await self._decoded(call, codec, model)
            return await self._predicted(call, codec, question, dataclasses.replace(asked, model=model))

    async def _decoded(self, call: Call, codec: Codec[Encoded], model: Model) -> tuple[str, Inputs]:
        small = call.size <= _SMALL_BYTES
        ask = self._completed
        signature, inputs = ask(codec, model) if small else await self._in_worker(ask, codec, model)
        rows = common_rows(inputs)
        if rows > self.limits.rows:
            raise BodyTooLargeError(
                f"the request has {rows} rows\nexpected: at most {self.limits.rows}; send fewer rows at a time"
            )
        return signature, inputs

    def _completed(self, codec: Codec[Encoded], model: Model) -> tuple[str, Inputs]:
        signature, inputs = codec.decode(model)
        if self.features is not None:
            inputs = self.features.complete(inputs, model.specs.get(signature, {}))
        return signature, inputs

    async def _predicted(
        self, call: Call, codec: Codec[Encoded], question: tuple[str, Inputs], asked: "_Answering"
    ) -> Encoded:
        signature, inputs = question
        model, version = asked.model, asked.version
        outputs = await self._batcher.run(model, signature, inputs)
        if sum(array.size for array in outputs.values()) <= _SMALL_VALUES:
            encoded = codec.encode(model, version, outputs)
        else:
            encoded = await self._in_worker(codec.encode, model, version, outputs)
        taken = time.perf_counter() - asked.started
        self.metrics.answered(call.protocol, (call.model, version, signature), common_rows(inputs), taken)
        self.recent.answered(call.model, version, asked.part.role, taken)
        if self._log is not None:
            answered = Answered(call.request_id, time.time(), 1000 * taken, inputs, outputs)
            self._log.answered(Key(call.model, version, signature, asked.part), answered)
        return encoded

    async def _in_worker(self, function: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._workers, function, *arguments)

    @contextlib.contextmanager
    def _counted(self, asked: "_Asked") -> Iterator[None]:
        try:
            yield
        except ServingError as error:
            self.count_error(asked.call, error.status, type(error).__name__, asked)
            raise
        except Exception as error:
            self.count_error(asked.call, 500, type(error).__name__, asked)
            raise

    def count_error(self, call: Call, status: int, kind: str, asked: "_Asked | None" = None) -> None:
        """Counts a request that got no prediction."""
        self.metrics.failed(call.protocol, call.model, kind)
        version = asked.version if asked and asked.version else self.versions.serving().get(call.model)
        if version is None:
            return
        part = asked.part if asked else NO_RELEASE
        self.recent.failed(call.model, version, part.role)
        if self._log is not None:
            self._log.refused(call.model, version, status, part)

    def _count_candidate_error(self, asked: "_Asked", error: Exception) -> None:
        candidate = asked.version or 0
        self.metrics.candidate_failed(asked.call.model, candidate, type(error).__name__)
        self.recent.failed(asked.call.model, candidate, asked.part.role)
        if self._log is not None:
            status = error.status if isinstance(error, ServingError) else 500
            self._log.refused(asked.call.model, candidate, status, asked.part)


@dataclasses.dataclass
class _Asked:
    """A call, and which version in what part is answering it; None for the live one."""

    call: Call
    version: int | None = None
    part: Part = NO_RELEASE


@dataclasses.dataclass(frozen=True)
class _Answering:
    """The version that answers a call, since when, and its part in a release."""

    model: Model
    version: int
    started: float
    part: Part = NO_RELEASE
