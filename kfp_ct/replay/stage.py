"""What a strategy acts on: the world in which data arrives, models are trained and rows are answered."""

from typing import Any, Protocol

from kfp_ct.replay.plan import Span
from kfp_ct.replay.results import Answered, Decided, Quality, Trained
from kfp_ct.watch.observations import Period


class Stage(Protocol):
    """The pipeline, the prediction service and monitoring of one strategy, at a time that is told."""

    def train(self, data: Span, decided: Decided) -> Trained:
        """Runs the pipeline on the rows of a span; `data.start` counts only where the settings name no start."""

    def answer(self, span: Span) -> Answered:
        """Has the served model answer the rows of a span."""

    def measure(self, answered: tuple[Answered, ...]) -> Quality:
        """Compares answers with what became known of their rows."""

    def measure_version(self, answered: tuple[Answered, ...], version: str) -> Quality:
        """Returns what another version would have reached on the rows of these answers."""

    def monitor(self, window: Span, labelled: tuple[Answered, ...]) -> dict[str, Any]:
        """Examines a window's traffic, with the labels of these answers; returns the line of the history."""

    def periods(self) -> tuple[Period, ...]:
        """Returns what monitoring has found so far."""
