"""How far the data has moved: from what the champion was trained on (drift), and between splits (skew)."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from kfp_ct.data import drift, layouts
from kfp_ct.data.drift import Distance


@dataclasses.dataclass(frozen=True)
class Champion:
    """The registered model whose training data is the baseline; `path` may hold no model."""

    path: str = ""
    version: str = ""

    @property
    def title(self) -> str:
        """Names it."""
        return f"champion v{self.version}" if self.version else "the champion"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One dataset compared with another.

    Attributes:
        kind: "drift" or "skew".
        of: What is compared with what, in words.
        distances: Features that were compared.
        not_compared: Features that have a comparator but are not in both datasets with one type.
    """

    kind: str
    of: str
    distances: list[Distance]
    not_compared: list[str]

    @property
    def exceeded(self) -> list[str]:
        """The features that are farther than they may be."""
        return [distance.feature for distance in self.distances if distance.exceeded]

    def to_json(self) -> dict[str, Any]:
        """Returns it as it stands in `summary.json`."""
        rows = [dataclasses.asdict(distance) | {"exceeded": distance.exceeded} for distance in self.distances]
        return {"of": self.of, "distances": rows, "not_compared": self.not_compared}


NOT_COMPARED = Comparison("drift", "not measured: the data does not fit the schema", [], [])


def drift_from(
    champion: Champion, splits: Mapping[str, statistics_pb2.DatasetFeatureStatisticsList], schema: schema_pb2.Schema
) -> Comparison:
    """Compares the train split with the champion's; without either there is nothing to compare, and it says so."""
    if layouts.TRAIN not in splits:
        return Comparison("drift", f"not measured: the data has no split {layouts.TRAIN}", [], [])
    if not (Path(champion.path) / layouts.SERVING_MODEL).is_dir() or not champion.path:
        return Comparison("drift", "not measured: there is no champion yet", [], [])
    statistics = layouts.split_path(Path(champion.path) / layouts.REGISTERED / "statistics", layouts.TRAIN)
    file = statistics / layouts.STATISTICS_FILE
    if not file.is_file():
        return Comparison("drift", f"not measured: {champion.title} has no training statistics registered", [], [])
    baseline = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes())
    return _compare("drift", f"train against the data that {champion.title} was trained on", schema,
                    (splits[layouts.TRAIN], baseline))  # fmt: skip


def skew_between(
    splits: Mapping[str, statistics_pb2.DatasetFeatureStatisticsList], schema: schema_pb2.Schema
) -> list[Comparison]:
    """Compares every other split with the train split."""
    if layouts.TRAIN not in splits:
        return []
    return [
        _compare("skew", f"{name} against {layouts.TRAIN}", schema, (statistics, splits[layouts.TRAIN]))
        for name, statistics in splits.items()
        if name != layouts.TRAIN
    ]


def summary_clause(drifted: Comparison, skewed: Sequence[Comparison]) -> str:
    """Returns what drifted and what is skewed, as a clause of the summary line."""
    clauses = [f"drift {drifted.of}"] if drifted.of.startswith("not measured") else [_line("drifted", drifted)]
    names = list(dict.fromkeys(name for comparison in skewed for name in comparison.exceeded))
    return "; ".join([*clauses, *([f"skewed between splits: {_listed(names)}"] if names else [])])


def _line(verb: str, comparison: Comparison) -> str:
    names, compared = comparison.exceeded, len(comparison.distances)
    return f"{len(names)} of {compared} compared features {verb}{f': {_listed(names)}' if names else ''}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _compare(kind: drift.Comparator, of: str, schema: schema_pb2.Schema, sides: tuple[Any, Any]) -> Comparison:
    current, baseline = sides
    return Comparison(
        kind,
        of,
        drift.distances(schema, current, baseline, kind, {}),
        drift.not_compared(schema, current, baseline, kind),
    )
