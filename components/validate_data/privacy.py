"""Columns that hold personal data: tagged in the schema, or named like one on the deny list."""

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

from kfp_ct.components.validate_data.anomaly import Anomaly, feature_name

KIND = "PERSONAL_DATA"
# `annotation { tag: "personal_data" }` of a feature, TensorFlow Metadata's place for what a feature means.
TAGS = ("personal_data", "pii")


def personal_columns(splits: Mapping[str, Any], schema: Any, deny: Sequence[str]) -> list[Anomaly]:
    """Finds the columns that must not be here, whether or not they have a value; without an example, of course."""
    tagged = {feature.name for feature in schema.feature if any(tag.lower() in TAGS for tag in feature.annotation.tag)}
    found = []
    for split, statistics in splits.items():
        rows = int(statistics.datasets[0].num_examples)
        for name in sorted(feature_name(feature) for feature in statistics.datasets[0].features):
            if reason := _reason(name, tagged, deny):
                found.append(Anomaly(split, name, KIND, reason, rows, 1.0 if rows else None))
    return found


def _reason(name: str, tagged: set[str], deny: Sequence[str]) -> str:
    if name in tagged:
        return "personal data: tagged so in the schema"
    pattern = next((each for each in deny if fnmatch.fnmatchcase(name.lower(), each.strip().lower())), "")
    return f"personal data: its name is on the deny list ({pattern})" if pattern else ""
