"""The statistics as a page: every feature once, its splits next to each other."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from kfp_ct.pages.charts import legend
from kfp_ct.pages.formats import quoted
from kfp_ct.pages.markup import render
from kfp_ct.pages.sparklines import Bucket, Histogram, Share, ShareChart, histogram, shares

_SHOWN_VALUES = 6
# Identifiers and the like: a value in ten is new, so the most frequent ones say nothing.
_MOSTLY_DISTINCT = 0.1
Summary = dict[str, Any]  # of a feature in one split
BySplit = Mapping[str, Summary]


@dataclasses.dataclass(frozen=True)
class Feature:
    """A feature's rows: a chart of its values, or words in its place, and what it is in each split."""

    name: str
    histogram: Histogram | None
    shares: ShareChart | None
    words: str
    splits: BySplit


def draw(account: dict[str, Any]) -> Markup:
    """Draws the page from the content of `summary.json`."""
    splits = account["splits"]
    by_name: dict[str, dict[str, Summary]] = {}
    for split in splits:
        for feature in split["features"]:
            by_name.setdefault(feature["name"], {})[split["name"]] = feature
    names = [split["name"] for split in splits]
    texts = {name: of for name, of in by_name.items() if "top_values" in next(iter(of.values()))}
    numbers = {name: of for name, of in by_name.items() if name not in texts}
    return render(
        "components/statistics/page.html",
        splits=splits,
        legend=legend(names),
        numbers=[Feature(name, _histogram(name, of, names), None, "", of) for name, of in numbers.items()],
        texts=[_text(name, of, names) for name, of in texts.items()],
    )


def _histogram(name: str, of: BySplit, splits: Sequence[str]) -> Histogram:
    present = {split: of[split]["histogram"] for split in splits if split in of}
    series = {split: [Bucket(**bucket) for bucket in buckets] for split, buckets in present.items()}
    return histogram(series, label=f"distribution of {name} by split")


def _text(name: str, of: BySplit, splits: Sequence[str]) -> Feature:
    first = next(of[split] for split in splits if split in of)
    if first["unique"] > first["present"] * _MOSTLY_DISTINCT:
        return Feature(name, None, None, f"mostly distinct, such as {quoted(first['top_values'][0]['value'])}", of)
    return Feature(name, None, _top_values(of, splits), "", of)


def _top_values(of: BySplit, splits: Sequence[str]) -> ShareChart:
    """Shares of the most frequent values of the first split, those of the other splits below them."""
    found = {split: _fractions(of[split]) for split in splits if split in of}
    values = list(next(iter(found.values())))[:_SHOWN_VALUES]
    return shares([Share(value, [found.get(split, {}).get(value) for split in splits]) for value in values])


def _fractions(feature: Summary) -> dict[str, float]:
    return {top["value"]: top["count"] / max(feature["present"], 1) for top in feature["top_values"]}
