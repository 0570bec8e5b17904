"""How training went."""

from typing import Any

from kfp_ct.components.tune import view
from kfp_ct.pages import charts
from kfp_ct.pages.html import Html, columns, details, paragraph
from kfp_ct.report import words
from kfp_ct.report.content import Content

_SHOWN_TRIALS = 12
_EVAL = "val_"  # Keras' prefix


def trials(content: Content) -> list[Html]:
    """What the search for hyperparameters tried, and what it chose; nothing if there was none."""
    of = content.tuning
    if not of.get("trials"):
        return []
    best = next(trial for trial in of["trials"] if trial["id"] == of["best"])
    failed = sum(trial["score"] is None for trial in of["trials"])
    lost = f", {failed} failed" if failed else ""
    said = f"{words.count(len(of['trials']), 'trial')}{lost}; best {of['objective']} {words.metric(best['score'])}."
    return [paragraph(said), details("every trial", view.table(of), opened=len(of["trials"]) <= _SHOWN_TRIALS)]


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
