"""The statistics as a page: every feature once, its splits next to each other."""

from collections.abc import Sequence
from typing import Any

from kfp_ct.pages import charts, html, sparklines

_SHOWN_VALUES = 6
# Identifiers and the like: a value in ten is new, so the most frequent ones say nothing.
_MOSTLY_DISTINCT = 0.1


def draw(account: dict[str, Any]) -> str:
    """Draws the page from the content of `summary.json`."""
    splits = account["splits"]
    by_name: dict[str, dict[str, dict[str, Any]]] = {}
    for split in splits:
        for feature in split["features"]:
            by_name.setdefault(feature["name"], {})[split["name"]] = feature
    texts = {name: of for name, of in by_name.items() if "top_values" in next(iter(of.values()))}
    numbers = {name: of for name, of in by_name.items() if name not in texts}
    names = [split["name"] for split in splits]
    tiles = {f"rows in {split['name']}": split["num_examples"] for split in splits}
    parts = [html.facts({**tiles, "numeric features": len(numbers), "categorical features": len(texts)})]
    if numbers:
        parts.append(html.section("Numeric features", charts.legend(names), _numeric_table(numbers, names)))
    if texts:
        parts.append(html.section("Categorical features", charts.legend(names), _text_table(texts, names)))
    return html.page("Statistics", *parts, subtitle=" and ".join(f"{s['name']} split" for s in splits))


def _numeric_table(features: dict[str, dict[str, dict[str, Any]]], splits: Sequence[str]) -> html.Html:
    headers = ["feature", "distribution", "split", "missing", "mean", "std", "min", "median", "max", "zeros"]
    rows = []
    for name, of in features.items():
        chart = sparklines.histogram(
            {
                split: [sparklines.Bucket(**bucket) for bucket in of[split]["histogram"]]
                for split in splits
                if split in of
            },
            label=f"distribution of {name} by split",
        )
        for split, feature in of.items():
            cells = [feature[key] for key in ("mean", "std", "min", "median", "max")]
            zeros = html.percent(feature["zeros"] / feature["present"] if feature["present"] else None)
            rows.append([_title(name, feature), chart, split, _missing(feature), *cells, zeros])
    return html.table(headers, rows, merge=2)


def _text_table(features: dict[str, dict[str, dict[str, Any]]], splits: Sequence[str]) -> html.Html:
    headers = ["feature", "most frequent values", "split", "missing", "distinct"]
    rows = []
    for name, of in features.items():
        chart = _top_values({split: of[split] for split in splits if split in of}, splits)
        rows += [
            [_title(name, feature), chart, split, _missing(feature), feature["unique"]] for split, feature in of.items()
        ]
    return html.table(headers, rows, merge=2)


def _top_values(of: dict[str, dict[str, Any]], splits: Sequence[str]) -> html.Html:
    """Shares of the most frequent values of the first split, those of the other splits below them."""
    first = next(iter(of.values()))
    if first["unique"] > first["present"] * _MOSTLY_DISTINCT:
        return html.muted(f"mostly distinct, such as {first['top_values'][0]['value']}")
    shares = {split: _shares(feature) for split, feature in of.items()}
    values = list(next(iter(shares.values())))[:_SHOWN_VALUES]
    rows = [sparklines.Share(value, [shares.get(split, {}).get(value) for split in splits]) for value in values]
    return sparklines.shares(rows)


def _shares(feature: dict[str, Any]) -> dict[str, float]:
    return {top["value"]: top["count"] / max(feature["present"], 1) for top in feature["top_values"]}


def _title(name: str, feature: dict[str, Any]) -> html.Html:
    return html.join([name, " ", html.muted(feature["type"])])


def _missing(feature: dict[str, Any]) -> str:
    return html.percent(feature["missing"])
