"""Dynamic batching: requests that come at the same time are answered by one call of the model.

Requests are put together only if they ask the same signature of the same loaded version and their rows have the same
types and shapes, and only for signatures whose rows do not depend on each other (`SavedModel.batches`). A request that
the model refuses never takes others with it: the batch is then answered one by one.
"""

import asyncio
import concurrent.futures
import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, cast

import numpy as np

from kfp_ct.serving.errors import InvalidRequestError
from kfp_ct.serving.values import Inputs, Lists, common_rows, joined

OFF, ON, ADAPTIVE = "off", "on", "adaptive"
MODES = (OFF, ON, ADAPTIVE)
Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Batching:
    """How requests are put together.

    Attributes:
        mode: "off"; "on": a request waits for others, `delay_ms` at most; "adaptive": it waits only while the model
            is at work, and no longer than `delay_ms`.
        rows: Most rows of a batch; a request with as many goes alone.
        delay_ms: The longest that a request waits for others.
    """

    mode: str = ADAPTIVE
    rows: int = 512
    delay_ms: float = 5.0


class BatchModel(Protocol):
    """What is asked of a model."""

    def run(self, signature: str, inputs: Inputs) -> Arrays:
        """Returns the outputs."""

    def batches(self, signature: str) -> bool:
        """Whether the rows of a signature do not depend on each other."""


@dataclasses.dataclass
class _Waiting:
    inputs: Inputs
    rows: int
    answer: "asyncio.Future[Arrays]"


@dataclasses.dataclass
class _Lane:
    """The requests for one signature of one version with one shape of rows."""

    waiting: list[_Waiting] = dataclasses.field(default_factory=list)
    rows: int = 0
    running: int = 0
    timer: asyncio.TimerHandle | None = None


class Batcher:
    """Puts requests together; to be used from one event loop."""

    def __init__(
        self,
        settings: Batching,
        workers: concurrent.futures.Executor,
        observe: Callable[[int, int], None] = lambda requests, rows: None,
    ) -> None:
        """Runs models on `workers`; tells `observe` the requests and rows of every call."""
        self._settings = settings
        self._workers = workers
        self._observe = observe
        self._lanes: dict[Any, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, model: BatchModel, signature: str, inputs: Inputs) -> Arrays:
        """Returns a signature's outputs, as if the request had been alone.

        Raises:
            InvalidRequestError: The model refuses it.
        """
        rows = common_rows(inputs)
        alone = self._settings.mode == OFF or rows == 0 or rows >= self._settings.rows
        if alone or not model.batches(signature):
            self._observe(1, rows)
            return await self._in_worker(model.run, signature, inputs)
        key = (model, signature, tuple(inputs), tuple(map(_row_type, inputs.values())))
        lane = self._lanes.setdefault(key, _Lane())
        if self._settings.mode == ADAPTIVE and not lane.running:
            return await self._at_once(key, lane, inputs, rows)
        waiting = _Waiting(inputs, rows, asyncio.get_running_loop().create_future())
        lane.waiting.append(waiting)
        lane.rows += rows
        if lane.rows >= self._settings.rows:
            self._start(key, lane)
        elif lane.timer is None:
            self._start_later(key, lane)
        return await waiting.answer

    async def _at_once(self, key: Any, lane: _Lane, inputs: Inputs, rows: int) -> Arrays:
        model, signature, *_ = key
        self._observe(1, rows)
        lane.running += 1
        try:
            return cast(Arrays, await self._in_worker(model.run, signature, inputs))
        finally:
            lane.running -= 1
            self._after(key, lane)

    def _start_later(self, key: Any, lane: _Lane) -> None:
        loop = asyncio.get_running_loop()
        lane.timer = loop.call_later(self._settings.delay_ms / 1000, self._start, key, lane)

    def _start(self, key: Any, lane: _Lane) -> None:
        """Sends the oldest requests of a lane to a worker."""
        if lane.timer is not None:
            lane.timer.cancel()
            lane.timer = None
        count, rows = 0, 0
        for waiting in lane.waiting:
            if count and rows + waiting.rows > self._settings.rows:
                break
            count, rows = count + 1, rows + waiting.rows
        batch, lane.waiting = lane.waiting[:count], lane.waiting[count:]
        lane.rows -= rows
        if batch:
            lane.running += 1
            task = asyncio.get_running_loop().create_task(self._run(key, lane, batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if lane.waiting:
            self._start_later(key, lane)

    async def _run(self, key: Any, lane: _Lane, batch: list[_Waiting]) -> None:
        model, signature, *_ = key
        self._observe(len(batch), sum(waiting.rows for waiting in batch))
        try:
            parts = await self._in_worker(_run_together, model, signature, batch)
        except InvalidRequestError as error:
            if len(batch) == 1:
                _settle(batch[0], error)
            else:
                await asyncio.gather(*(self._one_by_one(model, signature, waiting) for waiting in batch))
        except BaseException as error:
            for waiting in batch:
                _settle(waiting, error)
        else:
            for waiting, part in zip(batch, parts, strict=True):
                _settle(waiting, part)
        lane.running -= 1
        self._after(key, lane)

    def _after(self, key: Any, lane: _Lane) -> None:
        if lane.waiting:
            if self._settings.mode == ADAPTIVE:
                self._start(key, lane)
        elif not lane.running:
            self._lanes.pop(key, None)

    async def _one_by_one(self, model: BatchModel, signature: str, waiting: _Waiting) -> None:
        try:
            _settle(waiting, await self._in_worker(model.run, signature, waiting.inputs))
        except BaseException as error:
            _settle(waiting, error)

    async def _in_worker(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._workers, function, *arguments)


def _row_type(array: np.ndarray | Lists) -> tuple[Any, ...]:
    if isinstance(array, Lists):  # of any length: a batch is filled up to its longest
        return ("lists", array.values.dtype)
    return (array.shape[1:], array.dtype)


def _settle(waiting: _Waiting, answer: Arrays | BaseException) -> None:
    if waiting.answer.done():  # nobody waits for it any more
        return
    if isinstance(answer, BaseException):
        waiting.answer.set_exception(answer)
    else:
        waiting.answer.set_result(answer)


def _run_together(model: BatchModel, signature: str, batch: list[_Waiting]) -> list[Arrays]:
    if len(batch) == 1:
        return [model.run(signature, batch[0].inputs)]
    together = {name: joined([waiting.inputs[name] for waiting in batch]) for name in batch[0].inputs}
    outputs = model.run(signature, together)
    ends = np.cumsum([waiting.rows for waiting in batch])
    if any(array.ndim == 0 or len(array) != ends[-1] for array in outputs.values()):
        raise InvalidRequestError("the outputs do not have the rows of the inputs")  # so each is asked alone
    return [
        {name: array[end - waiting.rows : end] for name, array in outputs.items()}
        for waiting, end in zip(batch, ends.tolist(), strict=True)
    ]
