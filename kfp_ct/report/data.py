"""The data: where it came from, how it was split, what is in it, and what is wrong with it."""

from collections.abc import Sequence
from typing import Any

from kfp_ct.pages import charts, sparklines
from kfp_ct.pages.html import MISSING, Html, code, details, join, muted, note, number, paragraph, percent, table
from kfp_ct.report import words
from kfp_ct.report.content import Content
from kfp_ct.report.parts import pairs

_SHOWN_VALUES = 4
_MOST_FEATURES = 60
# Identifiers and the like: a value in ten is new, so the most frequent ones say nothing.
_MOSTLY_DISTINCT = 0.1
Feature = dict[str, Any]


def anomalies(content: Content) -> list[Html]:
    """What does not fit the schema; a clean result is said too."""
    of = content.anomalies
    if not of:
        return []
    found = of["anomalies"]
    examined = f"{words.count(of['features'], 'feature')} in {words.count(len(of['splits']), 'split')}"
    if not found:
        return [note("ok", f"No anomalies: {examined} fit the schema.")]
    rows = [
        [item["feature"] or "all", item["split"] or "all", item["what"], _how_many(item), item["example"] or MISSING]
        for item in found
    ]
    return [
        note("bad", f"{len(found)} found among {examined}: a person has to look."),
        table(["feature", "split", "what", "rows", "example"], rows),
    ]


def drift(content: Content) -> list[Html]:
    """Which features moved: from what the champion was trained on, and between the splits."""
    of = content.anomalies
    measured = [("drifted", of["drift"]), *(("skewed", skew) for skew in of["skew"])] if "drift" in of else []
    return [_moved(verb, each) for verb, each in measured if each["distances"] or verb == "drifted"]


def _moved(verb: str, of: dict[str, Any]) -> Html:
    moved = [row for row in of["distances"] if row["exceeded"]]
    if not of["distances"]:
        said = of["of"] if of["of"].startswith("not measured") else "no feature has a comparator in the schema"
        return note("info", f"Drift: {said}.")
    compared = f"of {words.count(len(of['distances']), 'compared feature')} ({of['of']})"
    if not moved:
        return note("ok", f"None {compared} {verb}.")
    listed = ", ".join(f"{row['feature']} {row['value']:.2f} (allowed {row['threshold']:g})" for row in moved)
    return note("warn", f"{len(moved)} {compared} {verb}: {listed}.")


def examples(content: Content) -> list[Html]:
    """Rows by split, the window, how rows were split, sources."""
    of = content.manifest
    if not of:
        return []
    total = sum(split["rows"] for split in of["splits"]) or 1
    splits = [[split["name"], split["rows"], percent(split["rows"] / total)] for split in of["splits"]]
    window = of.get("window") or {}
    about = [
        ["window", " until ".join(words.day(window.get(end) or "no bound") for end in ("start", "end"))],
        ["split by", ", ".join(f"{key} {_plain(value)}" for key, value in of["split_by"].items())],
        ["rejected rows", number(of.get("rejected_rows", 0))],
        ["columns", f"{len(of['columns'])}: {', '.join(of['columns'])}"],
        *([f"source {name}", uri] for name, uri in of["sources"].items()),
        ["fingerprint", code(of["fingerprint"])],
    ]
    drawn = table(["split", "rows", "share"], splits)
    return [Html(f'<div class="split">{drawn}{pairs(about)}</div>')]


def features(content: Content) -> list[Html]:
    """Every feature's distribution in the splits, the most often missing first."""
    splits = content.statistics.get("splits", [])
    by_name: dict[str, dict[str, Feature]] = {}
    for split in splits:
        for feature in split["features"]:
            by_name.setdefault(feature["name"], {})[split["name"]] = feature
    if not by_name:
        return []
    ordered = sorted(by_name.items(), key=lambda item: -max(feature["missing"] for feature in item[1].values()))
    names = [split["name"] for split in splits]
    shown, rest = ordered[:_MOST_FEATURES], ordered[_MOST_FEATURES:]
    parts = [paragraph("The most often missing first."), charts.legend(names), _feature_table(shown, names)]
    return [*parts, details(f"{len(rest):,} more features", _feature_table(rest, names))] if rest else parts


def _feature_table(shown: Sequence[tuple[str, dict[str, Feature]]], splits: Sequence[str]) -> Html:
    headers = ["feature", "distribution", *(f"missing in {split}" for split in splits), "mean ± std", "range"]
    rows = []
    for name, of in shown:
        first = next(iter(of.values()))
        missing = [percent(of[split]["missing"]) if split in of else None for split in splits]
        chart = _values(of, splits) if "top_values" in first else _histogram(name, of)
        title = join([name, " ", muted(first["type"])])
        rows.append([title, chart, *missing, _each(of, splits, _typical), _each(of, splits, _range)])
    return Html(f'<div class="features">{table(headers, rows)}</div>')


def _histogram(name: str, of: dict[str, Feature]) -> Html:
    series = {split: [sparklines.Bucket(**bucket) for bucket in feature["histogram"]] for split, feature in of.items()}
    return sparklines.histogram(series, f"distribution of {name} by split", size=(240, 34), labels=False)


def _values(of: dict[str, Feature], splits: Sequence[str]) -> Html:
    first = next(iter(of.values()))
    if not first["top_values"]:
        return muted("no values")
    if first["unique"] > first["present"] * _MOSTLY_DISTINCT:
        return muted(f"mostly distinct, such as {first['top_values'][0]['value']}")
    shares = {split: _shares(feature) for split, feature in of.items()}
    values = list(shares[next(iter(of))])[:_SHOWN_VALUES]
    return sparklines.shares(
        [sparklines.Share(value, [shares.get(split, {}).get(value) for split in splits]) for value in values], 240
    )


def _shares(feature: Feature) -> dict[str, float]:
    return {top["value"]: top["count"] / max(feature["present"], 1) for top in feature["top_values"]}


def _each(of: dict[str, Feature], splits: Sequence[str], say: Any) -> Html:
    """Says something of every split, one below the other; once if they agree."""
    said = [say(of[split]) for split in splits if split in of]
    return Html("<br>".join(dict.fromkeys(said)))


def _typical(feature: Feature) -> str:
    if "top_values" in feature:
        return f"{feature['unique']:,} distinct"
    return f"{number(feature['mean'])} ± {number(feature['std'])}"


def _range(feature: Feature) -> str:
    if "top_values" in feature:
        return ""
    low, high = number(feature["min"]), number(feature["max"])
    return low if low == high else f"{low} to {high}"


def _how_many(item: dict[str, Any]) -> str:
    if item["how_many"] is None:
        return MISSING
    share = f" ({percent(item['fraction'])})" if item["fraction"] is not None else ""
    return f"{item['how_many']:,}{share}"


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
