"""The card of a model: what it is for, what it learned from, how well it does and for whom, where it comes from.

After Mitchell et al., "Model Cards for Model Reporting" (2019). What a run measured is read from its report.json, what
only people know from the project's model_card.yaml; nothing is said that neither has.
"""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from kfp_ct.cards.statement import Statement


@dataclasses.dataclass(frozen=True)
class Measure:
    """A metric on all rows or on a slice."""

    metric: str
    value: float | None
    slice: str = ""  # empty: all rows
    rows: int | None = None


@dataclasses.dataclass(frozen=True)
class Gap:
    """The spread of the metric that decides over the slices of a column that have enough rows."""

    column: str
    best: Measure
    worst: Measure

    @property
    def size(self) -> float:
        """The best value less the worst."""
        return abs((self.best.value or 0.0) - (self.worst.value or 0.0))


@dataclasses.dataclass(frozen=True)
class Card:
    """What the three forms of a card show."""

    project: str
    name: str
    version: str
    date: str
    statement: Statement
    data: Mapping[str, Any]  # window, sources, split, rows, columns, fingerprint, rejected
    decides: str  # the metric that gates are about
    overall: tuple[Measure, ...]
    slices: tuple[Measure, ...]
    gaps: tuple[Gap, ...]
    too_small: tuple[str, ...]  # slices that no gate judged
    gates: tuple[Mapping[str, Any], ...]
    baseline: Mapping[str, Any]
    serving: Mapping[str, Any]
    lineage: Mapping[str, str]
    attribution: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # as attribution.json; empty likewise
    fingerprint: str = ""  # of the model; empty: the version tells it
    importance: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # as importance.json; empty: not measured

    @property
    def named(self) -> str:
        """Which model it is: its version, or its content where it has none yet."""
        if self.version:
            return f"version {self.version}"
        return f"model {self.fingerprint[:12]}" if self.fingerprint else "not registered"


def of(report: Mapping[str, Any], statement: Statement, fingerprint: str = "") -> Card:
    """Returns the card of a model by what its run reported.

    Args:
        report: Its report.json.
        statement: What people say of the model.
        fingerprint: Of the model, where it is no version yet.
    """
    run, data = report["run"], report["data"] or {}
    gates = run["parameters"].get("gates") or {}
    decides = str(gates.get("metric", ""))
    least = int(gates.get("min_slice_rows", 0))
    slices = [
        each for entry in report["slices"] for each in _measures(entry["challenger"], entry["slice"], entry["rows"])
    ]
    judged = [each for each in slices if each.metric == decides and (each.rows or 0) >= least]
    return Card(
        project=run["project"],
        name=str(run["parameters"].get("model_name") or run["project"]),
        version=str(report["decision"].get("version", "")),
        date=run["ended"][:10],
        statement=statement,
        data=_data(data),
        decides=decides,
        overall=tuple(sorted(_overall(report), key=lambda each: each.metric != decides)),  # what decides, first
        slices=tuple(judged),
        gaps=tuple(_gaps(judged, report["slices"])),
        too_small=tuple(entry["slice"] for entry in report["slices"] if entry["rows"] < least),
        gates=tuple(report["checks"]),
        baseline=report["baseline"] or {},
        serving=(report["infra"] or {}).get("measured") or {},
        lineage=_lineage(run, data) | ({"model fingerprint": fingerprint} if fingerprint else {}),
        fingerprint=fingerprint,
    )


def _measures(metrics: Mapping[str, Any], slice_: str, rows: int | None) -> list[Measure]:
    """Numbers only: a metric by class or output has a table in the report."""
    return [
        Measure(name, value, slice_, rows)
        for name, value in metrics.items()
        if name != "example_count" and (value is None or isinstance(value, int | float))
    ]


def _overall(report: Mapping[str, Any]) -> list[Measure]:
    found = report["metrics"].get("challenger") or {}
    rows = found.get("example_count")
    return _measures(found, "", int(rows) if rows is not None else None)


def _gaps(judged: list[Measure], slices: list[Mapping[str, Any]]) -> list[Gap]:
    """One a column; slices of several columns at once are left out."""
    columns = {entry["slice"]: list(entry.get("columns") or ()) for entry in slices}
    by_column: dict[str, list[Measure]] = defaultdict(list)
    for each in judged:
        if len(columns[each.slice]) == 1 and each.value is not None and math.isfinite(each.value):
            by_column[columns[each.slice][0]].append(each)
    ordered = {column: sorted(found, key=lambda each: each.value or 0.0) for column, found in by_column.items()}
    return [Gap(column, found[-1], found[0]) for column, found in sorted(ordered.items()) if len(found) > 1]


def _data(manifest: Mapping[str, Any]) -> dict[str, Any]:
    if not manifest:
        return {}
    window = manifest.get("window") or {}
    return {
        "window": _window(window.get("start") or "", window.get("end") or ""),
        "sources": manifest.get("sources") or {},
        "split by": ", ".join(f"{name} {_words(value)}" for name, value in (manifest.get("split_by") or {}).items()),
        "rows": {split["name"]: split["rows"] for split in manifest.get("splits") or ()},
        "columns": manifest.get("columns") or {},
        "rejected rows": manifest.get("rejected_rows"),
        "fingerprint": manifest.get("fingerprint", ""),
    }


def _window(start: str, end: str) -> str:
    """The end is exclusive; a bound that is not set leaves nothing out."""
    if not start and not end:
        return "all rows of the sources"
    return " ".join(part for part in (f"from {start}" if start else "", f"to {end} (exclusive)" if end else "") if part)


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _lineage(run: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, str]:
    found = {
        "run": run["id"],
        "pipeline": run["pipeline"],
        "commit": run["commit"],
        "code version": run["code_version"],
        "image": run["image"],
        "cause": run["cause"],
        "by": run["user"],
        "data fingerprint": str(manifest.get("fingerprint", "")),
        **{name: str(version) for name, version in run["versions"].items()},
    }
    return {name: value for name, value in found.items() if value}
