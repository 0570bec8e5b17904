"""What the gate says about its anomalies: to a program, in one line, and to the person who must fix them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from kfp_ct.components.validate_data import privacy
from kfp_ct.components.validate_data.anomaly import INFINITE, Anomaly
from kfp_ct.components.validate_data.comparison import Comparison
from kfp_ct.components.validate_data.settings import Parameters
from kfp_ct.pages.formats import percent

_MOST_LISTED = 20
_FIXES = {
    "ENUM_TYPE_UNEXPECTED_STRING_VALUES": "a new value that is real: add it to the feature's string_domain",
    "SCHEMA_NEW_COLUMN": "a new column that is meant: add a feature to the schema; else take it out of the query",
    "SCHEMA_MISSING_COLUMN": "a column that is gone for good: take its feature out of the schema and of the model",
    "NO_VALUES": "a column that is no longer delivered: take it out, or mark its feature `lifecycle_stage: DEPRECATED`",
    privacy.KIND: "personal data: take the column out of the query; if it is none, correct its tag or the deny list",
    INFINITE: "infinite values: bound them or take them out in the query; if they are meant, give the feature "
    "`float_domain { max: inf }` (or `min: -inf`)",
    "INVALID_DOMAIN_SPECIFICATION": "a domain that is not there: add a string_domain of that name to the schema, or "
    "correct the feature's `domain`",
    "LABEL_CONSTANT": "a label of one class: widen the window, or check how the query computes it",
}


def content(data: tuple[Mapping[str, Any], Any], found: Sequence[Anomaly], rules: Parameters) -> dict[str, Any]:
    """Returns the content of `summary.json`.

    Args:
        data: Statistics by split, and the schema.
        found: Every anomaly, those that only warn among them.
        rules: The settings.

    Returns:
        features (how many the schema has), splits (name, rows, features, anomalies, severity) and anomalies: split,
        feature, kind, what, how_many (rows) and fraction (of the split's rows; None where it cannot be told),
        example, severity.
    """
    splits, schema = data
    examined = [
        {
            "name": name,
            "rows": int(statistics.datasets[0].num_examples),
            "features": len(statistics.datasets[0].features),
            "anomalies": sum(anomaly.split == name for anomaly in found),
            "severity": rules.severity(name),
        }
        for name, statistics in splits.items()
    ]
    return {
        "features": len(schema.feature),
        "splits": examined,
        "anomalies": [dataclasses.asdict(anomaly) for anomaly in found],
    }


def drift_and_skew(drifted: Comparison, skewed: Sequence[Comparison]) -> dict[str, Any]:
    """Returns the part of `summary.json` on drift and skew: drifted_features, and the distances by feature."""
    return {
        "drifted_features": drifted.exceeded,
        "drift": drifted.to_json(),
        "skew": [each.to_json() for each in skewed],
    }


def headline(found: Sequence[Anomaly]) -> str:
    """Returns one line: how many anomalies, and where."""
    features = sorted({anomaly.feature for anomaly in found if anomaly.feature})
    count = f"{len(found)} anomal{'y' if len(found) == 1 else 'ies'}"
    if not features:
        return f"{count}: {found[0].what}"
    named = ", ".join(features[:3]) + (", …" if len(features) > 3 else "")
    return f"{count} in {len(features)} feature{'s' if len(features) > 1 else ''}: {named}"


def message(found: Sequence[Anomaly], schema_name: str) -> str:
    """Returns what the person reads who must decide whether the data or the schema is wrong."""
    personal = list(dict.fromkeys(anomaly.feature for anomaly in found if anomaly.kind == privacy.KIND))
    message = f"the data holds personal data: {', '.join(personal)}" if personal else "the data does not fit the schema"
    lines = [message if personal else f"{message}: {headline(found)}"]
    lines += [f"- {line(anomaly)}" for anomaly in found[:_MOST_LISTED]]
    if len(found) > _MOST_LISTED:
        lines.append(f"- and {len(found) - _MOST_LISTED} more (all of them are in summary.json and on the page)")
    lines.append(f"expected: what {schema_name} says{', and no personal data' if personal else ''}")
    if any(anomaly.kind != privacy.KIND for anomaly in found):
        lines.append(
            "fix: correct the source or the query if the data is wrong; change the schema if the world has changed"
        )
    kinds = dict.fromkeys(anomaly.kind for anomaly in found)
    lines += [f"fix: {_FIXES[kind]}" for kind in kinds if kind in _FIXES]
    return "\n".join(lines)


def line(anomaly: Anomaly) -> str:
    """Returns one anomaly in one line."""
    place = f"{anomaly.feature or 'all features'}{f' ({anomaly.split})' if anomaly.split else ''}"
    count = f"; {rows(anomaly.how_many, anomaly.fraction)}" if anomaly.how_many is not None else ""
    return f"{place}: {anomaly.what}{count}{f'; such as {anomaly.example}' if anomaly.example else ''}"


def rows(how_many: int, fraction: float | None) -> str:
    """Formats a number of rows and their share: `1,503 rows (0.5 %)`."""
    share = f" ({percent(fraction)})" if fraction is not None else ""
    return f"{how_many:,} row{'' if how_many == 1 else 's'}{share}"
