"""Requests at the same time share a call of the model, and nobody can tell from the answers."""

import asyncio
import concurrent.futures
import threading
import time

import numpy as np
import pytest

from kfp_ct.serving.batching import Batcher, Batching, joined
from kfp_ct.serving.errors import InvalidRequestError
from kfp_ct.serving.saved_model import SavedModel
from kfp_ct.serving.values import Lists
from saved_models import save, save_signatures


class Model:
    """Doubles numbers, refuses negative ones, and is slow where it is told to."""

    def __init__(self, dependent=False):
        self.calls = []
        self.slow = threading.Event()
        self._dependent = dependent

    def batches(self, signature):
        return not self._dependent

    def run(self, signature, inputs):
        self.calls.append(len(inputs["x"]))
        if (inputs["x"] < 0).any():
            raise InvalidRequestError("negative")
        if (inputs["x"] == 99).any():
            assert self.slow.wait(120)
        return {"y": inputs["x"] * 2}


def ask(settings, model, requests, pauses=()):
    """Returns each request's answer or error; the workers are two."""

    async def all_of_them():
        with concurrent.futures.ThreadPoolExecutor(2) as workers:
            batcher = Batcher(settings, workers)
            tasks = []
            for index, request in enumerate(requests):
                tasks.append(asyncio.create_task(batcher.run(model, "s", {"x": np.asarray(request)})))
                await asyncio.sleep(pauses[index] if index < len(pauses) else 0)
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert not batcher._lanes, "nothing is kept of a version that nobody asks"
            return [str(a) if isinstance(a, Exception) else a["y"].tolist() for a in answers]

    return asyncio.run(all_of_them())


REQUESTS = [[number, number + 1] for number in range(10)]


@pytest.mark.parametrize("mode", ["off", "on", "adaptive"])
def test_every_request_has_its_own_answer(mode):
    assert ask(Batching(mode), Model(), REQUESTS) == [[2 * a, 2 * b] for a, b in REQUESTS]


def test_off_asks_one_by_one_and_on_waits_for_others():
    alone, together = Model(), Model()
    ask(Batching("off"), alone, REQUESTS)
    ask(Batching("on", delay_ms=200), together, REQUESTS)

    assert alone.calls == [2] * 10
    assert together.calls == [20]


def test_adaptive_starts_at_once_and_collects_while_the_model_works():
    model = Model()
    ask(Batching("adaptive"), model, REQUESTS)

    assert model.calls[0] == 2
    assert len(model.calls) < 10


def test_a_batch_has_no_more_rows_than_it_may():
    model = Model()
    ask(Batching("on", rows=5, delay_ms=50), model, REQUESTS)

    assert max(model.calls) <= 5
    assert sum(model.calls) == 20


def test_a_large_request_goes_alone():
    model = Model()
    answers = ask(Batching("on", rows=4, delay_ms=50), model, [[1, 2, 3, 4], [5]])

    assert model.calls[0] == 4
    assert answers == [[2, 4, 6, 8], [10]]


def test_a_refused_request_takes_no_other_with_it():
    answers = ask(Batching("on", delay_ms=50), Model(), [[1], [-1], [2]])

    assert answers == [[2], "negative", [4]]


def test_types_and_shapes_are_kept_apart():
    model = Model()
    answers = ask(Batching("on", delay_ms=50), model, [[1], [1.5], [[1, 2]], [2]])

    assert answers == [[2], [3.0], [[2, 4]], [4]]
    assert sorted(model.calls) == [1, 1, 2]


def test_lists_of_any_length_go_together():
    one = Lists(np.array([1.0, 2.0]), np.array([2, 0]), np.array([True, False]), np.nan)
    two = Lists(np.array([3.0]), np.array([1]), np.array([True]), np.nan)

    together = joined([one, two])

    np.testing.assert_array_equal(together.padded(), [[1, 2], [np.nan, np.nan], [3, np.nan]])
    assert together.present.tolist() == [True, False, True]


def test_a_slow_request_holds_others_no_longer_than_the_delay():
    model = Model()
    answered = []

    async def scene():
        with concurrent.futures.ThreadPoolExecutor(2) as workers:
            batcher = Batcher(Batching("adaptive", delay_ms=20), workers)
            slow = asyncio.create_task(batcher.run(model, "s", {"x": np.array([99])}))
            await asyncio.sleep(0.05)
            started = time.monotonic()
            answered.append((await batcher.run(model, "s", {"x": np.array([1])}))["y"].tolist())
            took = time.monotonic() - started
            assert not slow.done()
            model.slow.set()
            await slow
            return took

    assert asyncio.run(scene()) < 60
    assert answered == [[2]]


def test_rows_that_depend_on_each_other_are_never_put_together():
    model = Model(dependent=True)
    ask(Batching("on", delay_ms=50), model, REQUESTS)

    assert model.calls == [2] * 10


@pytest.fixture(scope="module")
def signatures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signatures") / "1"
    save_signatures(folder)
    model = SavedModel(folder)
    model.warm_up()
    return model


def test_a_model_is_tried_for_rows_that_depend_on_each_other(signatures):
    assert signatures.batches("lists")
    assert signatures.batches("serving_default")
    assert not signatures.batches("ranked"), "a softmax over the rows of a request"
    assert not signatures.batches("classes"), "serialized examples cannot be made up"


def test_a_model_with_varied_rows_that_it_refuses_is_not_put_together(tmp_path):
    save(tmp_path / "1", 1)
    model = SavedModel(tmp_path / "1")
    model.warm_up()

    assert model.batches("echo")


def test_a_model_answers_rows_together_as_alone(signatures):
    random = np.random.default_rng(3)
    rows = random.normal(size=(64, 3)).astype(np.float32)
    together = signatures.run("lists", {"values": rows})

    for index in range(64):
        alone = signatures.run("lists", {"values": rows[index : index + 1]})
        for name, value in alone.items():
            assert value.tobytes() == together[name][index : index + 1].tobytes()
