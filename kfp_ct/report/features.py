"""Every feature's distribution in the splits, the most often missing first."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kfp_ct.pages.charts import legend
from kfp_ct.pages.formats import number
from kfp_ct.pages.sparklines import Bucket, Histogram, Share, ShareChart, histogram, shares
from kfp_ct.report.content import Content

_SHOWN_VALUES = 4
_MOST_FEATURES = 60
# Identifiers and the like: a value in ten is new, so the most frequent ones say nothing.
_MOSTLY_DISTINCT = 0.1
Summary = dict[str, Any]  # of a feature in one split
BySplit = Mapping[str, Summary]


@dataclasses.dataclass(frozen=True)
class Feature:
    """A row of the table: a chart of its values, or words in its place."""

    name: str
    type: str
    histogram: Histogram | None
    shares: ShareChart | None
    words: str
    missing: Sequence[float | None]  # in each split; None where the split has no such feature
    typical: Sequence[str]  # in each split; once if they agree
    range: Sequence[str]


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/features.html` shows."""
    splits = content.statistics.get("splits", [])
    by_name: dict[str, dict[str, Summary]] = {}
    for split in splits:
        for feature in split["features"]:
            by_name.setdefault(feature["name"], {})[split["name"]] = feature
    if not by_name:
        return {}
    names = [split["name"] for split in splits]
    ordered = sorted(by_name.items(), key=lambda item: -max(feature["missing"] for feature in item[1].values()))
    features = [_feature(name, of, names) for name, of in ordered]
    return {
        "splits": names,
        "legend": legend(names),
        "first": features[:_MOST_FEATURES],
        "more": features[_MOST_FEATURES:],
    }


def _feature(name: str, of: BySplit, splits: Sequence[str]) -> Feature:
    first = next(iter(of.values()))
    textual = "top_values" in first
    words = _no_chart(first) if textual else ""
    return Feature(
        name,
        first["type"],
        None if textual else _histogram(name, of),
        _shares(of, splits) if textual and not words else None,
        words,
        [of[split]["missing"] if split in of else None for split in splits],
        _each(of, splits, _distinct if textual else _mean),
        [] if textual else _each(of, splits, _range),
    )


def _no_chart(first: Summary) -> str:
    """Says why the values of a text feature are not drawn; empty if they are."""
    if not first["top_values"]:
        return "no values"
    if first["unique"] > first["present"] * _MOSTLY_DISTINCT:
        return f"mostly distinct, such as {first['top_values'][0]['value']}"
    return ""


def _histogram(name: str, of: BySplit) -> Histogram:
    series = {split: [Bucket(**bucket) for bucket in feature["histogram"]] for split, feature in of.items()}
    return histogram(series, f"distribution of {name} by split", size=(240, 34), labels=False)


def _shares(of: BySplit, splits: Sequence[str]) -> ShareChart:
    found = {split: _fractions(feature) for split, feature in of.items()}
    values = list(next(iter(found.values())))[:_SHOWN_VALUES]
    return shares([Share(value, [found.get(split, {}).get(value) for split in splits]) for value in values], 240)


def _fractions(feature: Summary) -> dict[str, float]:
    return {top["value"]: top["count"] / max(feature["present"], 1) for top in feature["top_values"]}


def _each(of: BySplit, splits: Sequence[str], text: Callable[[Summary], str]) -> list[str]:
    return list(dict.fromkeys(text(of[split]) for split in splits if split in of))


def _distinct(feature: Summary) -> str:
    return f"{feature['unique']:,} distinct"


def _mean(feature: Summary) -> str:
    return f"{number(feature['mean'])} ± {number(feature['std'])}"


def _range(feature: Summary) -> str:
    low, high = number(feature["min"]), number(feature["max"])
    return low if low == high else f"{low} to {high}"
