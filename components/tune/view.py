"""The trials as a page, and as the table that the run's report shows as well."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from kfp_ct.pages.markup import render


@dataclasses.dataclass(frozen=True)
class Trials:
    """The table of trials: the best first, the failed last."""

    objective: str
    best: str  # id of the best trial
    columns: Sequence[tuple[str, bool]]  # hyperparameters, and whether all their values are numbers
    rows: Sequence[dict[str, Any]]


def draw(summary: dict[str, Any]) -> Markup:
    """Draws the page from the content of `summary.json`."""
    if not summary["trials"]:
        return render("components/tune/page.html", best=None)
    best = next(trial for trial in summary["trials"] if trial["id"] == summary["best"])
    return render("components/tune/page.html", summary=summary, best=best, trials=trials(summary))


def trials(summary: dict[str, Any]) -> Trials:
    """Returns the table of trials."""
    sign = -1 if summary["direction"] == "max" else 1
    ordered = sorted(
        summary["trials"], key=lambda trial: (trial["score"] is None, sign * (trial["score"] or 0.0), trial["id"])
    )
    names = dict.fromkeys(name for trial in ordered for name in trial["values"])
    columns = [(name, _are_numbers([trial["values"].get(name) for trial in ordered])) for name in names]
    return Trials(summary["objective"], summary["best"], columns, ordered)


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float | None) and not isinstance(value, bool) for value in values)
