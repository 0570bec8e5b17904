"""Scoring on Beam: a shard is one element, so that rows never travel."""

from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam

from kfp_ct.components.predict_batch import shard as shards
from kfp_ct.components.predict_batch.plan import Shard
from kfp_ct.data import beam_runner
from kfp_ct.data.saved_model import SavedModel


class Score(beam.DoFn):
    """Scores shards with a model that each worker loads once."""

    def __init__(self, job: shards.Job) -> None:
        self._job = job
        self._model: SavedModel | None = None

    def setup(self) -> None:
        """Loads the model."""
        self._model = shards.load_model(self._job)

    def process(self, shard: Shard) -> Iterator[Any]:
        """Writes a shard's predictions and yields nothing: its record is beside its file."""
        assert self._model is not None  # noqa: S101 - Beam calls setup first
        shards.score(self._job, shard, self._model)
        yield from ()


def score(job: shards.Job, todo: Sequence[Shard], beam_pipeline_args: list[str]) -> None:
    """Scores shards on Beam's workers, which must see the same folders as this process.

    Raises:
        ComponentError: A shard could not be scored.
    """
    advice = (
        "expected: every shard to be scored\n"
        "fix: see the step's log; shards that were finished are kept, run again to go on"
    )
    with beam_runner.report_beam_failure("scores", advice), beam_runner.pipeline(beam_pipeline_args) as pipeline:
        _ = (
            pipeline
            | "Shards" >> beam.Create(list(todo))
            | "Spread" >> beam.Reshuffle()
            | "Score" >> beam.ParDo(Score(job))
        )
