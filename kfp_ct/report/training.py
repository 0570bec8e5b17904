"""How training went: loss and metrics by epoch, on the rows trained on and on those held out."""

from typing import Any

from kfp_ct.pages.charts import Frame, LineChart, lines
from kfp_ct.pages.plot import Point
from kfp_ct.report.content import Content
from kfp_ct.report.metrics import title

_EVAL = "val_"  # Keras' prefix


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/training.html` shows."""
    summary = content.training
    epochs: list[dict[str, Any]] = summary.get("history", [])
    names = [name for name in dict.fromkeys(n for epoch in epochs for n in epoch) if not name.startswith(_EVAL)]
    charts = [_chart(name, epochs) for name in names if not name.startswith("learning_rate")]
    if not charts:
        return {}
    return {
        "rows": summary["rows"],
        "epochs": len(epochs),
        "steps": summary["steps"],
        "best_epoch": summary.get("best_epoch"),
        "curves": charts,
        "estimated": any("auc" in name.lower() for name in names),
    }


def _chart(name: str, epochs: list[dict[str, Any]]) -> LineChart:
    series = {"train": _curve(name, epochs), "eval": _curve(f"{_EVAL}{name}", epochs)}
    shown = {split: points for split, points in series.items() if points}
    frame = Frame(title(name), (1, max(len(epochs), 2)), markers=True, width=500, height=280)
    return lines(shown, "epoch", title(name), frame)


def _curve(name: str, epochs: list[dict[str, Any]]) -> list[Point]:
    return [(number, epoch[name]) for number, epoch in enumerate(epochs, start=1) if epoch.get(name) is not None]
