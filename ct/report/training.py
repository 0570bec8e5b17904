"""How training went."""

from typing import Any

from components import charts
from components.html import Html, columns, paragraph
from ct.report import words
from ct.report.content import Content

_EVAL = "val_"  # Keras' prefix


def history(content: Content) -> list[Html]:
    """Loss and metrics by epoch, on the rows trained on and on those held out."""
    of = content.training
    epochs: list[dict[str, Any]] = of.get("history", [])
    names = [name for name in dict.fromkeys(n for epoch in epochs for n in epoch) if not name.startswith(_EVAL)]
    drawn = [_chart(name, epochs) for name in names if not name.startswith("learning_rate")]
    if not drawn:
        return []
    best = f"; the best is epoch {of['best_epoch']}" if of.get("best_epoch") else ""
    epochs_said = f"{words.count(len(epochs), 'epoch')}, {words.count(of['steps'], 'step')}"
    return [paragraph(f"{of['rows']:,} rows, {epochs_said}{best}."), columns(*drawn)]


def _chart(name: str, epochs: list[dict[str, Any]]) -> Html:
    series = {"train": _curve(name, epochs), "eval": _curve(f"{_EVAL}{name}", epochs)}
    shown = {split: points for split, points in series.items() if points}
    frame = charts.Frame(words.title(name), _epoch_limits(len(epochs)), markers=True, width=500, height=280)
    return charts.lines(shown, "epoch", words.title(name), frame)


def _curve(name: str, epochs: list[dict[str, Any]]) -> list[tuple[float, float]]:
    return [(number, epoch[name]) for number, epoch in enumerate(epochs, start=1) if epoch.get(name) is not None]


def _epoch_limits(epochs: int) -> tuple[float, float]:
    return (1, max(epochs, 2))
